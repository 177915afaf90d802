import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { CfgDistillError } from '../errors.ts';
import { isElf, readElf } from './elf.ts';

/** What a native library says about where it can be loaded. */
export interface Binary {
  platform: 'linux' | 'darwin' | 'win32';
  /** Of `process.arch`; a universal library of macOS has several. */
  architectures: string[];
  /** Libraries that it is linked to, and the versions of symbols it wants from them; known for Linux only. */
  needed: string[];
  versions: string[];
}

/** Larger files than this are no addon; they are not read. */
const LARGEST = 1 << 28;

const MACH_MACHINES: Readonly<Record<number, string>> = { 16777223: 'x64', 16777228: 'arm64', 7: 'ia32', 12: 'arm' };
const PE_MACHINES: Readonly<Record<number, string>> = { 34404: 'x64', 43620: 'arm64', 332: 'ia32', 452: 'arm' };

const machine = (names: Readonly<Record<number, string>>, number: number) =>
  names[number] ?? `machine 0x${number.toString(16)}`;

/** At most the first `limit` bytes of a file. */
export function readStart(path: string, limit: number): Buffer {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(Math.min(limit, fstatSync(file).size));
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(file);
  }
}

/** Reads the header of a native library. Throws CfgDistillError when it is none or damaged. */
export function inspectBinary(path: string): Binary {
  const bytes = readStart(path, LARGEST);
  try {
    if (isElf(bytes)) {
      const { architecture, needed, versions } = readElf(bytes);
      return { platform: 'linux', architectures: [architecture], needed, versions };
    }
    const architectures = machArchitectures(bytes) ?? peArchitectures(bytes);
    if (architectures) return { ...architectures, needed: [], versions: [] };
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new CfgDistillError('ERR_DEVICE', 'a damaged or truncated library', undefined, { cause });
  }
  const start = JSON.stringify(bytes.toString('latin1', 0, 16));
  throw new CfgDistillError(
    'ERR_DEVICE',
    bytes.length === 0 ? 'an empty file' : `no native library: it begins ${start}`,
  );
}

function machArchitectures(bytes: Buffer): Pick<Binary, 'platform' | 'architectures'> | null {
  if (bytes.length < 8) return null;
  const magic = bytes.readUInt32BE(0);
  if (magic === 0xcafebabe) {
    const count = bytes.readUInt32BE(4);
    // A class file of Java begins the same; its version stands where the number of architectures would.
    if (count > 16) return null;
    const architectures = Array.from({ length: count }, (_, i) =>
      machine(MACH_MACHINES, bytes.readUInt32BE(8 + 20 * i)),
    );
    return { platform: 'darwin', architectures };
  }
  if (magic === 0xcffaedfe || magic === 0xcefaedfe)
    return { platform: 'darwin', architectures: [machine(MACH_MACHINES, bytes.readUInt32LE(4))] };
  return null;
}

function peArchitectures(bytes: Buffer): Pick<Binary, 'platform' | 'architectures'> | null {
  if (bytes.length < 2 || bytes.toString('latin1', 0, 2) !== 'MZ') return null;
  const header = bytes.readUInt32LE(0x3c);
  if (bytes.readUInt32BE(header) !== 0x50450000) return null;
  return { platform: 'win32', architectures: [machine(PE_MACHINES, bytes.readUInt16LE(header + 4))] };
}
