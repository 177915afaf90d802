import { existsSync } from 'node:fs';
import { readStart } from './binary.ts';
import { isElf, readElf } from './elf.ts';

/** What an addon must fit. */
export interface System {
  platform: string;
  arch: string;
  /** The C library of Linux; null elsewhere. */
  libc: 'glibc' | 'musl' | null;
  /** Its version, of glibc only. */
  glibc: string | null;
  /** Versions of Node and of its Node-API. */
  node: string;
  napi: string;
}

/** The C library that this Node is linked to: that of its program loader, which every executable names. */
export function libcOf(executable: string): 'glibc' | 'musl' {
  try {
    const start = readStart(executable, 4096);
    const interpreter = isElf(start) ? readElf(start, true).interpreter : null;
    if (interpreter !== null) return interpreter.includes('musl') ? 'musl' : 'glibc';
  } catch {
    // Not readable, or made in a way that is not foreseen here: decided by the system instead.
  }
  return existsSync('/etc/alpine-release') ? 'musl' : 'glibc';
}

/** Quick: leaves the version of glibc out. */
export function target(): Pick<System, 'platform' | 'arch' | 'libc'> {
  const libc = process.platform === 'linux' ? libcOf(process.execPath) : null;
  return { platform: process.platform, arch: process.arch, libc };
}

/** Everything about the system; takes a while. */
export function thisSystem(): System {
  const fits = target();
  const glibc = fits.libc === 'glibc' ? glibcVersion() : null;
  return { ...fits, glibc, node: process.version, napi: process.versions.napi ?? 'unknown' };
}

function glibcVersion(): string | null {
  const report = process.report as (NodeJS.ProcessReport & { excludeNetwork?: boolean }) | undefined;
  if (!report) return null;
  // Otherwise it may wait for the names of network peers.
  report.excludeNetwork = true;
  const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime ?? null;
}

/** `linux-x64 (glibc 2.36), Node v20.20.2, Node-API 9` */
export function systemName({ platform, arch, libc, glibc, node, napi }: System): string {
  const library = libc === null ? '' : ` (${glibc === null ? libc : `glibc ${glibc}`})`;
  return `${platform}-${arch}${library}, Node ${node}, Node-API ${napi}`;
}
