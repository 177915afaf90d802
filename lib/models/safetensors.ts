import { OutOfMemoryError, ShapeError } from '../errors.ts';
import { readExactly, writeFileAtomic } from '../files.ts';
import { quoted, shapeText } from './safetensors/describe.ts';
import { SAFETENSORS_DTYPES, type Safetensors, type StoredTensor } from './safetensors/dtype.ts';
import { headerLength, PREFIX_BYTES, parseHeader } from './safetensors/header.ts';
import { layOut } from './safetensors/layout.ts';
import { openSafetensors } from './safetensors/open.ts';
import { isPickle, pickleError } from './safetensors/pickle.ts';

export type { Safetensors, SafetensorsDType, StoredTensor } from './safetensors/dtype.ts';
export { SAFETENSORS_DTYPES } from './safetensors/dtype.ts';
export type { FloatDType } from './safetensors/floats.ts';
export { fromFloat32, toFloat32 } from './safetensors/floats.ts';

/**
 * Parses a safetensors file held in memory. The tensors are views on `bytes` where their alignment allows, copies
 * otherwise.
 *
 * @param source what errors call the data
 * @throws CheckpointError for each way in which the bytes can be wrong
 */
export function parseSafetensors(bytes: Uint8Array, source = 'safetensors'): Safetensors {
  if (isPickle(bytes.subarray(0, PREFIX_BYTES))) throw pickleError(source);
  const length = headerLength(bytes.subarray(0, PREFIX_BYTES), bytes.byteLength, source);
  const start = PREFIX_BYTES + length;
  const header = parseHeader(bytes.subarray(PREFIX_BYTES, start), bytes.byteLength - start, source);
  const tensors = new Map<string, StoredTensor>();
  for (const { name, dtype, shape, begin, end } of header.entries) {
    const view = bytes.subarray(start + begin, start + end);
    const data = view.byteOffset % SAFETENSORS_DTYPES[dtype] === 0 ? view : new Uint8Array(view);
    tensors.set(name, { dtype, shape, data });
  }
  return { tensors, metadata: header.metadata };
}

/**
 * Reads a safetensors file: each tensor into memory of its own, so that dropping one frees it.
 *
 * @throws CheckpointError when the file is missing, damaged or truncated; OutOfMemoryError when a tensor does not fit
 */
export async function loadSafetensors(path: string): Promise<Safetensors> {
  const { handle, start, entries, metadata } = await openSafetensors(path);
  try {
    const tensors = new Map<string, StoredTensor>();
    for (const { name, dtype, shape, begin, end } of entries) {
      const data = allocate(end - begin, name, path);
      await readExactly(handle, data, start + begin, path);
      tensors.set(name, { dtype, shape, data });
    }
    return { tensors, metadata };
  } finally {
    await handle.close();
  }
}

/**
 * Writes a safetensors file, whole or not at all. Equal content gives equal bytes, in whatever order it is given:
 * tensors are sorted by falling alignment and then by name, metadata by key.
 *
 * @param tensors by name; their data is read while the promise is pending and must not change
 * @throws ValueError, ShapeError, DTypeError for what the format cannot hold; CheckpointError when writing fails
 */
export async function saveSafetensors(
  path: string,
  tensors: Iterable<readonly [string, StoredTensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeFileAtomic(path, serializeSafetensors(tensors, metadata));
}

/** The chunks of a safetensors file, in order: the length with the header, then each tensor's own bytes (no copies). */
export function serializeSafetensors(
  tensors: Iterable<readonly [string, StoredTensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const data = new Map<string, Uint8Array>();
  const infos = [...tensors].map(([name, tensor]) => {
    data.set(name, tensor.data);
    return { name, dtype: tensor.dtype, shape: tensor.shape };
  });
  const { head, entries } = layOut(infos, metadata);
  const chunks = entries.map(({ name, dtype, shape, begin, end }) => {
    const bytes = data.get(name) as Uint8Array;
    if (bytes.byteLength !== end - begin) {
      throw new ShapeError(
        `tensor ${quoted(name)}: expected ${end - begin} bytes for ${dtype} ${shapeText(shape)}, got ${bytes.byteLength}`,
        name,
      );
    }
    return bytes;
  });
  return [head, ...chunks];
}

function allocate(bytes: number, name: string, path: string): Uint8Array {
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new OutOfMemoryError(`${path}: tensor ${quoted(name)} needs ${bytes} bytes`, path, { cause: error });
  }
}
