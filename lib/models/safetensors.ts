import { DTypeError, OutOfMemoryError, ShapeError, ValueError } from '../errors.ts';
import { openFile, readExactly, writeFileAtomic } from '../files.ts';
import {
  byteSize,
  dtypeRank,
  isSafetensorsDType,
  isShape,
  SAFETENSORS_DTYPES,
  type Safetensors,
  type StoredTensor,
} from './safetensors/dtype.ts';
import { headerLength, MAX_HEADER_BYTES, METADATA_NAME, PREFIX_BYTES, parseHeader } from './safetensors/header.ts';

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
  const { handle, size } = await openFile(path);
  try {
    const prefix = new Uint8Array(Math.min(PREFIX_BYTES, size));
    await readExactly(handle, prefix, 0, path);
    const bytes = new Uint8Array(headerLength(prefix, size, path));
    await readExactly(handle, bytes, PREFIX_BYTES, path);
    const start = PREFIX_BYTES + bytes.byteLength;
    const header = parseHeader(bytes, size - start, path);
    const tensors = new Map<string, StoredTensor>();
    for (const { name, dtype, shape, begin, end } of header.entries) {
      const data = allocate(end - begin, name, path);
      await readExactly(handle, data, start + begin, path);
      tensors.set(name, { dtype, shape, data });
    }
    return { tensors, metadata: header.metadata };
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
  const entries = [...tensors].map(([name, tensor]) => {
    checkTensor(name, tensor);
    return { name, order: Buffer.from(name, 'utf8'), ...tensor };
  });
  entries.sort((a, b) => dtypeRank(b.dtype) - dtypeRank(a.dtype) || Buffer.compare(a.order, b.order));

  const names = new Set<string>();
  const fields: string[] = [];
  if (Object.keys(metadata).length > 0) fields.push(`"${METADATA_NAME}":${metadataJson(metadata)}`);
  let offset = 0;
  for (const { name, dtype, shape, data } of entries) {
    if (names.has(name)) throw new ValueError(`tensors: the name ${JSON.stringify(name)} occurs twice`, 'tensors');
    names.add(name);
    const end = offset + data.byteLength;
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [offset, end] })}`);
    offset = end;
  }
  const header = Buffer.from(`{${fields.join(',')}}`, 'utf8');
  const length = Math.ceil(header.byteLength / 8) * 8;
  if (length > MAX_HEADER_BYTES) {
    throw new ValueError(`tensors: the header would take ${length} bytes, at most ${MAX_HEADER_BYTES} fit`, 'tensors');
  }
  const head = new Uint8Array(PREFIX_BYTES + length).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(length), true);
  head.set(header, PREFIX_BYTES);
  return [head, ...entries.map(({ data }) => data)];
}

function checkTensor(name: string, { dtype, shape, data }: StoredTensor): void {
  const tensor = `tensor ${JSON.stringify(name)}`;
  if (name === METADATA_NAME || /\p{Surrogate}/u.test(name)) {
    throw new ValueError(`tensors: ${JSON.stringify(name)} cannot be a tensor's name`, 'tensors');
  }
  if (!isSafetensorsDType(dtype)) throw new DTypeError(`${tensor}: unknown dtype ${JSON.stringify(dtype)}`, name);
  if (!isShape(shape)) {
    throw new ShapeError(`${tensor}: expected a shape of integers ≥ 0, got ${JSON.stringify(shape)}`, name);
  }
  const size = byteSize(dtype, shape);
  if (data.byteLength !== size) {
    throw new ShapeError(
      `${tensor}: expected ${size ?? 'too many'} bytes for ${dtype} [${shape.join(', ')}], got ${data.byteLength}`,
      name,
    );
  }
}

function metadataJson(metadata: Readonly<Record<string, string>>): string {
  const fields = Object.entries(metadata).map(([key, value]) => {
    if (typeof value !== 'string') {
      throw new ValueError(`metadata.${key}: expected a string, got ${JSON.stringify(value)}`, 'metadata');
    }
    if (/\p{Surrogate}/u.test(key + value)) {
      throw new ValueError(`metadata: ${JSON.stringify(key)} or its value is not valid Unicode`, 'metadata');
    }
    return [key, `${JSON.stringify(key)}:${JSON.stringify(value)}`] as const;
  });
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([, text]) => text).join(',')}}`;
}

function allocate(bytes: number, name: string, path: string): Uint8Array {
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new OutOfMemoryError(`${path}: tensor ${JSON.stringify(name)} needs ${bytes} bytes`, path, { cause: error });
  }
}
