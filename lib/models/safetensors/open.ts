import type { FileHandle } from 'node:fs/promises';
import { CheckpointError } from '../../errors.ts';
import { openFile, readExactly } from '../../files.ts';
import { type HeaderEntry, headerLength, PREFIX_BYTES, parseHeader } from './header.ts';
import { isPickle, isPickleName, pickleError } from './pickle.ts';

/** An open safetensors file whose header has been read and checked. */
export interface SafetensorsFile {
  path: string;
  handle: FileHandle;
  /** Where the tensors' bytes begin, from the file's start; the entries count from there. */
  start: number;
  /** In the order of their bytes, which they cover without gap or overlap. */
  entries: HeaderEntry[];
  /** An object without a prototype. */
  metadata: Record<string, string>;
}

/**
 * Opens a safetensors file and reads its header; the caller closes the handle.
 *
 * @throws CheckpointError when the file is missing, damaged, truncated or a pickle
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const { handle, size } = await openFile(path);
  try {
    const prefix = new Uint8Array(Math.min(PREFIX_BYTES, size));
    await readExactly(handle, prefix, 0, path);
    if (isPickle(prefix)) throw pickleError(path);
    const bytes = new Uint8Array(headerLength(prefix, size, path));
    await readExactly(handle, bytes, PREFIX_BYTES, path);
    const start = PREFIX_BYTES + bytes.byteLength;
    return { path, handle, start, ...parseHeader(bytes, size - start, path) };
  } catch (error) {
    await handle.close();
    // Under such a name, damage is the less likely explanation.
    if (isPickleName(path) && error instanceof CheckpointError) throw pickleError(path, error);
    throw error;
  }
}

/**
 * The metadata of a safetensors file, without reading its tensors.
 *
 * @throws CheckpointError as `openSafetensors`
 */
export async function readMetadata(path: string): Promise<Record<string, string>> {
  const { handle, metadata } = await openSafetensors(path);
  await handle.close();
  return metadata;
}
