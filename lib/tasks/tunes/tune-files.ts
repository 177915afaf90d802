import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ValueError } from '../../errors.ts';
import { isSystemError, systemFailure } from '../../files/failure.ts';

export type TuneFormat = 'abc' | 'midi' | 'jsonl' | 'jsonl.gz';

export interface TuneFile {
  /** To open it by. */
  readonly path: string;
  /** Below the folder that was asked for, without the ending, `/` between names. */
  readonly stem: string;
  readonly format: TuneFormat;
}

const ENDINGS: readonly [string, TuneFormat][] = [
  ['.abc', 'abc'],
  ['.mid', 'midi'],
  ['.midi', 'midi'],
  ['.jsonl', 'jsonl'],
  ['.jsonl.gz', 'jsonl.gz'],
];

/** How deep folders may lie in one another. */
const MOST_DEPTH = 32;

/**
 * The files of tunes at a path, by their endings in any case: the file itself, or all below the folder, in the order of
 * their paths' code units. Names that begin with a dot and links to folders are passed over.
 *
 * @throws ValueError when the path is a file with another ending
 * @throws CheckpointError when the path is missing or may not be read
 */
export async function findTuneFiles(path: string, signal?: AbortSignal): Promise<TuneFile[]> {
  try {
    if (!(await stat(path)).isDirectory()) {
      const file = asTuneFile(path, basename(path));
      if (file) return [file];
      const endings = ENDINGS.map(([ending]) => ending).join(', ');
      throw new ValueError(
        `path: expected a folder, or a file that ends in ${endings}, got ${JSON.stringify(path)}`,
        'path',
      );
    }
    const files: TuneFile[] = [];
    await collect(path, '', 0, files, signal);
    return files.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  } catch (error) {
    if (isSystemError(error)) throw systemFailure(path, 'read', error);
    throw error;
  }
}

function asTuneFile(path: string, relative: string): TuneFile | null {
  for (const [ending, format] of ENDINGS) {
    if (relative.toLowerCase().endsWith(ending)) return { path, stem: relative.slice(0, -ending.length), format };
  }
  return null;
}

async function collect(
  folder: string,
  relative: string,
  depth: number,
  files: TuneFile[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    signal?.throwIfAborted();
    if (entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    const name = relative === '' ? entry.name : `${relative}/${entry.name}`;
    if (entry.isDirectory()) {
      if (depth < MOST_DEPTH) await collect(path, name, depth + 1, files, signal);
      continue;
    }
    const file = asTuneFile(path, name);
    // A device or a pipe could keep a reader waiting.
    if (file && (entry.isFile() || (entry.isSymbolicLink() && (await isFile(path))))) files.push(file);
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
