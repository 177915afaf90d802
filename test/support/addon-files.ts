import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const COMPILER = process.env.CXX || 'g++';

/** Compiles a library of one C source in a folder, with nothing of the system's libraries, and returns its path. */
export function compileLibrary(folder: string, name: string, source: string, ...options: string[]): string {
  const file = join(folder, `${name}.c`);
  const output = join(folder, name);
  writeFileSync(file, source);
  execFileSync(COMPILER, ['-xc', '-shared', '-fPIC', '-nostdlib', '-o', output, file, '-xnone', ...options]);
  return output;
}

/** A copy of a file with every occurrence of one text replaced by another of the same length. */
export function patchedCopy(from: string, to: string, before: string, after: string): string {
  if (before.length !== after.length) throw new Error(`lengths differ: '${before}', '${after}'`);
  const bytes = readFileSync(from);
  let found = 0;
  for (let at = bytes.indexOf(before, 0, 'latin1'); at >= 0; at = bytes.indexOf(before, at + 1, 'latin1')) {
    bytes.write(after, at, 'latin1');
    found++;
  }
  if (found === 0) throw new Error(`'${before}' does not occur in ${from}`);
  writeFileSync(to, bytes);
  return to;
}

/** A copy of an ELF file that claims to be for another machine, by the ELF specification's number. */
export function withMachine(from: string, to: string, machine: number): string {
  const bytes = readFileSync(from);
  bytes.writeUInt16LE(machine, 18);
  writeFileSync(to, bytes);
  return to;
}

/** The beginning of a macOS library for these CPU types. */
export function machO(...types: number[]): Buffer {
  const bytes = Buffer.alloc(4096);
  if (types.length === 1) {
    bytes.writeUInt32LE(0xfeedfacf, 0);
    bytes.writeUInt32LE(types[0] as number, 4);
    return bytes;
  }
  bytes.writeUInt32BE(0xcafebabe, 0);
  bytes.writeUInt32BE(types.length, 4);
  types.forEach((type, i) => bytes.writeUInt32BE(type, 8 + 20 * i));
  return bytes;
}

/** The beginning of a Windows library for a machine. */
export function portableExecutable(machine: number): Buffer {
  const bytes = Buffer.alloc(4096);
  bytes.write('MZ', 0, 'latin1');
  bytes.writeUInt32LE(128, 0x3c);
  bytes.write('PE\0\0', 128, 'latin1');
  bytes.writeUInt16LE(machine, 132);
  return bytes;
}
