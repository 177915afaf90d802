import { CfgDistillError } from '../errors.ts';

/** What the header of an ELF file (Linux) says about where it can be loaded. */
export interface ElfFacts {
  /** Of `process.arch`, or the number of the machine in the ELF specification. */
  architecture: string;
  /** The program loader, of an executable. */
  interpreter: string | null;
  /** Libraries that it is linked to. */
  needed: string[];
  /** Versions of symbols that it wants from them, such as GLIBC_2.34. */
  versions: string[];
}

const MACHINES: Readonly<Record<number, string>> = {
  3: 'ia32',
  8: 'mips',
  21: 'ppc64',
  22: 's390x',
  40: 'arm',
  62: 'x64',
  183: 'arm64',
  243: 'riscv64',
  258: 'loong64',
};

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NEEDED = 1;
const DT_STRTAB = 5;
const DT_VERNEED = 0x6ffffffe;
const DT_VERNEEDNUM = 0x6fffffff;

interface Segment {
  type: number;
  offset: number;
  address: number;
  size: number;
}

/** Reads numbers of the file's own width and byte order. Reading past the end is a RangeError. */
class Reader {
  readonly wide: boolean;
  readonly #bytes: Buffer;
  readonly #little: boolean;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.wide = bytes.readUInt8(4) === 2;
    this.#little = bytes.readUInt8(5) === 1;
  }

  half(at: number): number {
    return this.#little ? this.#bytes.readUInt16LE(at) : this.#bytes.readUInt16BE(at);
  }

  word(at: number): number {
    return this.#little ? this.#bytes.readUInt32LE(at) : this.#bytes.readUInt32BE(at);
  }

  /** An address, an offset or a size: 4 or 8 bytes. */
  long(at: number): number {
    if (!this.wide) return this.word(at);
    return Number(this.#little ? this.#bytes.readBigUInt64LE(at) : this.#bytes.readBigUInt64BE(at));
  }

  text(at: number): string {
    const end = this.#bytes.indexOf(0, at);
    if (at >= this.#bytes.length || end < 0) throw new RangeError('a text without an end');
    return this.#bytes.toString('latin1', at, end);
  }
}

export function isElf(bytes: Buffer): boolean {
  return bytes.length >= 4 && bytes.readUInt32BE(0) === 0x7f454c46;
}

/**
 * Reads an ELF file, or its first part if only the architecture and the interpreter are wanted: what lies further on is
 * then absent from the answer. Throws CfgDistillError on a damaged file.
 */
export function readElf(bytes: Buffer, part = false): ElfFacts {
  try {
    const reader = new Reader(bytes);
    const machine = reader.half(18);
    const segments = segmentsOf(reader);
    const interpreter = segments.find(({ type }) => type === PT_INTERP);
    return {
      architecture: MACHINES[machine] ?? `ELF machine ${machine}`,
      interpreter: interpreter ? reader.text(interpreter.offset) : null,
      ...(part ? { needed: [], versions: [] } : linkageOf(reader, segments)),
    };
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new CfgDistillError('ERR_DEVICE', 'a damaged or truncated ELF file', undefined, { cause });
  }
}

function segmentsOf(reader: Reader): Segment[] {
  const { wide } = reader;
  const table = reader.long(wide ? 32 : 28);
  const entry = reader.half(wide ? 54 : 42);
  const count = reader.half(wide ? 56 : 44);
  return Array.from({ length: count }, (_, i) => {
    const at = table + i * entry;
    return wide
      ? {
          type: reader.word(at),
          offset: reader.long(at + 8),
          address: reader.long(at + 16),
          size: reader.long(at + 32),
        }
      : {
          type: reader.word(at),
          offset: reader.long(at + 4),
          address: reader.long(at + 8),
          size: reader.long(at + 16),
        };
  });
}

function linkageOf(reader: Reader, segments: readonly Segment[]): Pick<ElfFacts, 'needed' | 'versions'> {
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  if (!dynamic) return { needed: [], versions: [] };
  const step = reader.wide ? 16 : 8;
  const entries: { tag: number; value: number }[] = [];
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += step) {
    entries.push({ tag: reader.long(at), value: reader.long(at + step / 2) });
  }
  const value = (tag: number) => entries.find((entry) => entry.tag === tag)?.value;
  /** Where in the file an address of memory comes from. */
  const place = (address: number) => {
    const segment = segments.find(
      (one) => one.type === PT_LOAD && address >= one.address && address < one.address + one.size,
    );
    if (!segment) throw new RangeError('an address outside the file');
    return address - segment.address + segment.offset;
  };
  const strings = value(DT_STRTAB);
  if (strings === undefined) return { needed: [], versions: [] };
  const text = (offset: number) => reader.text(place(strings) + offset);
  const needed = entries.filter(({ tag }) => tag === DT_NEEDED).map((entry) => text(entry.value));
  const first = value(DT_VERNEED);
  const versions = first === undefined ? [] : versionsAt(reader, place(first), value(DT_VERNEEDNUM) ?? 0, text);
  return { needed, versions };
}

/** The linked lists of the version section: one entry for each library, with one for each version below it. */
function versionsAt(reader: Reader, start: number, libraries: number, text: (offset: number) => string): string[] {
  const versions: string[] = [];
  let at = start;
  for (let i = 0; i < libraries; i++) {
    let version = at + reader.word(at + 8);
    for (let left = reader.half(at + 2); left > 0; left--) {
      versions.push(text(reader.word(version + 8)));
      const step = reader.word(version + 12);
      if (step === 0) break;
      version += step;
    }
    // Steps lead forwards, so a damaged list ends at the end of the file at the latest.
    const step = reader.word(at + 12);
    if (step === 0) break;
    at += step;
  }
  return versions;
}
