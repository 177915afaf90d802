import { type FileHandle, mkdir, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CheckpointError, ValueError } from './errors.ts';
import { AtomicFile, isTemporaryName } from './files/atomic-file.ts';
import { isSystemError, systemFailure } from './files/failure.ts';

export { AtomicFile, isTemporaryName, syncFolder, temporaryName } from './files/atomic-file.ts';

/** A piece of a file's content; strings are written as UTF-8. */
export type FileChunk = string | Uint8Array;

/** The marker file that makes a folder one of ours. */
export const OUTPUT_MARKER = 'cfgdistill.json';

/** What a marker file holds: the kind of output, and whatever else its writer wants to find again. */
export interface OutputMarker {
  kind: string;
  [field: string]: unknown;
}

/**
 * Writes a whole file or nothing: under a temporary name in the same folder, synced, renamed over `path`, and the
 * folder synced, so that a reader (or a machine that lost power) sees the old content or the new, never a part.
 * The temporary file is removed on any failure.
 *
 * @param path the file; its folder must exist
 * @param data the content, whole or as chunks in order (an iterable of chunks, asynchronous or not)
 * @throws CheckpointError naming the path when the system refuses (no such folder, no permission, disk full);
 *   an error thrown by the chunks' source passes through unchanged
 */
export async function writeFileAtomic(
  path: string,
  data: FileChunk | Iterable<FileChunk> | AsyncIterable<FileChunk>,
): Promise<void> {
  const file = await AtomicFile.create(path);
  try {
    await writeFile(file.handle, data);
    await file.sync();
    await file.publish();
  } catch (error) {
    await file.discard();
    if (isSystemError(error)) throw systemFailure(path, 'written', error);
    throw error;
  }
}

/**
 * Opens a regular file for reading; the caller closes it.
 *
 * @throws CheckpointError naming the path when it is missing, a folder, or may not be read
 */
export async function openFile(path: string): Promise<{ handle: FileHandle; size: number }> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    const status = await handle.stat();
    if (!status.isFile()) throw new CheckpointError(`${path}: expected a file, got a folder or a device`, path);
    return { handle, size: status.size };
  } catch (error) {
    await handle?.close();
    if (isSystemError(error)) throw systemFailure(path, 'read', error);
    throw error;
  }
}

/**
 * Fills `target` from `position` (bytes from the file's start).
 *
 * @throws CheckpointError when the file ends before, as it does when something truncates it while it is read
 */
export async function readExactly(
  handle: FileHandle,
  target: Uint8Array,
  position: number,
  path: string,
): Promise<void> {
  // One read call takes at most 2³¹ − 1 bytes.
  const most = 2 ** 30;
  for (let done = 0; done < target.byteLength; ) {
    const wanted = Math.min(most, target.byteLength - done);
    const { bytesRead } = await readChunk(handle, target, done, wanted, position + done, path);
    if (bytesRead === 0) {
      throw new CheckpointError(
        `${path}: expected ${position + target.byteLength} bytes or more, but the file ended at ${position + done}`,
        path,
      );
    }
    done += bytesRead;
  }
}

async function readChunk(
  handle: FileHandle,
  target: Uint8Array,
  offset: number,
  length: number,
  position: number,
  path: string,
): Promise<{ bytesRead: number }> {
  try {
    return await handle.read(target, offset, length, position);
  } catch (error) {
    if (isSystemError(error)) throw systemFailure(path, 'read', error);
    throw error;
  }
}

/**
 * Reads a whole file that should be small.
 *
 * @param most in bytes
 * @param what what errors call it: "an index"
 * @throws CheckpointError naming the path when it is missing, unreadable or larger
 */
export async function readBounded(path: string, most: number, what: string): Promise<Uint8Array> {
  const { handle, size } = await openFile(path);
  try {
    if (size > most) throw new CheckpointError(`${path}: expected ${what} of at most ${most} bytes, got ${size}`, path);
    const bytes = new Uint8Array(size);
    await readExactly(handle, bytes, 0, path);
    return bytes;
  } finally {
    await handle.close();
  }
}

/**
 * Reads and parses a JSON file.
 *
 * @throws CheckpointError naming the path when it is missing, unreadable or not JSON
 */
export async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isSystemError(error)) throw systemFailure(path, 'read', error);
    throw error;
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CheckpointError(`${path}: expected JSON: ${(error as Error).message}`, path, { cause: error });
  }
}

/**
 * Makes `path` this program's output folder, or refuses. Accepted are a path where nothing is (the folder is made,
 * with its parents), an empty folder, and a folder that an earlier run of the same kind claimed. Accepted folders
 * without a marker get one; an existing marker stays as it is.
 *
 * @param path the folder
 * @param marker `kind` tells one sort of output from another; the rest is stored for later runs to read
 * @returns the marker that an earlier run left, or null when the folder is new
 * @throws ValueError when the path is a file, or a folder that holds something else; nothing is touched then
 */
export async function claimOutputFolder(path: string, marker: OutputMarker): Promise<OutputMarker | null> {
  const expected = `output: expected a new or empty folder, or one of an earlier "${marker.kind}" run`;
  const refuse = (why: string, cause?: unknown) =>
    new ValueError(`${expected}, got ${JSON.stringify(path)}, ${why}; nothing in it was touched`, 'output', { cause });

  const markerPath = join(path, OUTPUT_MARKER);
  const names = await listFolder(path, refuse);
  if (names?.includes(OUTPUT_MARKER)) {
    let found: unknown;
    try {
      found = await readJson(markerPath);
    } catch (error) {
      throw refuse(`whose ${OUTPUT_MARKER} cannot be understood`, error);
    }
    if (!isMarker(found)) throw refuse(`whose ${OUTPUT_MARKER} is not one of this program's`);
    if (found.kind !== marker.kind) throw refuse(`which belongs to a "${found.kind}" run`);
    return found;
  }
  // A run that was killed while it wrote its marker leaves only a temporary of ours: still an empty folder.
  const foreign = names?.filter((name) => !isTemporaryName(name)).sort() ?? [];
  if (foreign.length > 0) {
    const rest = foreign.length > 1 ? ` and ${foreign.length - 1} more` : '';
    throw refuse(`which holds ${JSON.stringify(foreign[0])}${rest}`);
  }
  if (names === null) {
    try {
      await mkdir(path, { recursive: true });
    } catch (error) {
      throw refuse(`which cannot be made (${(error as Error).message})`, error);
    }
  }
  await writeFileAtomic(markerPath, `${JSON.stringify(marker, null, 2)}\n`);
  return null;
}

/** The names in a folder; null where nothing is. */
async function listFolder(
  path: string,
  refuse: (why: string, cause?: unknown) => ValueError,
): Promise<string[] | null> {
  try {
    const status = await stat(path);
    if (!status.isDirectory()) throw refuse(`which is a file (${basename(path)})`);
    return await readdir(path);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    if (error.code === 'ENOENT') return null;
    throw refuse(`which cannot be looked into (${error.message})`, error);
  }
}

function isMarker(value: unknown): value is OutputMarker {
  return typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string';
}
