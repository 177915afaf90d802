import { mkdir, realpath, rmdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { isSystemError, systemFailure } from '../files/failure.ts';

/** Makes a folder with its parents, and returns what takes the new ones away again as far as they are empty. */
export async function makeFolder(path: string): Promise<() => Promise<void>> {
  let first: string | undefined;
  try {
    first = await mkdir(path, { recursive: true });
  } catch (error) {
    throw isSystemError(error) ? systemFailure(path, 'written', error) : error;
  }
  return async () => {
    if (first === undefined) return;
    for (let folder = resolve(path); ; folder = dirname(folder)) {
      const gone = await rmdir(folder).then(
        () => true,
        () => false,
      );
      if (!gone || folder === resolve(first)) return;
    }
  };
}

/** The path without links, of something that need not be there yet. */
export async function realPath(path: string): Promise<string> {
  const whole = resolve(path);
  const parent = dirname(whole);
  try {
    return await realpath(whole);
  } catch {
    return parent === whole ? whole : join(await realPath(parent), basename(whole));
  }
}
