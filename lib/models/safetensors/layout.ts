import { DTypeError, ShapeError, ValueError } from '../../errors.ts';
import { quoted, shapeText } from './describe.ts';
import { byteSize, dtypeRank, isSafetensorsDType, isShape, type SafetensorsDType } from './dtype.ts';
import { type HeaderEntry, MAX_HEADER_BYTES, METADATA_NAME, PREFIX_BYTES } from './header.ts';

/** What the header says of a tensor, apart from its place. */
export interface TensorInfo {
  name: string;
  dtype: SafetensorsDType;
  shape: readonly number[];
}

/** A file before its data. */
export interface Layout {
  /** The file's first bytes: the header's length and the header, a multiple of 8 bytes. */
  head: Uint8Array;
  /** In the order of their bytes, which follow `head` without gaps. */
  entries: HeaderEntry[];
}

/**
 * Lays out a file. Equal content gives an equal layout, in whatever order it is given: tensors are sorted by falling
 * alignment and then by name, metadata by key.
 *
 * @throws ValueError, ShapeError, DTypeError for what the format cannot hold
 */
export function layOut(tensors: Iterable<TensorInfo>, metadata: Readonly<Record<string, string>>): Layout {
  const sorted = [...tensors].map((tensor) => {
    return { ...tensor, size: sizeOf(tensor), order: Buffer.from(tensor.name, 'utf8') };
  });
  sorted.sort((a, b) => dtypeRank(b.dtype) - dtypeRank(a.dtype) || Buffer.compare(a.order, b.order));

  const names = new Set<string>();
  const fields: string[] = [];
  if (Object.keys(metadata).length > 0) fields.push(`"${METADATA_NAME}":${metadataJson(metadata)}`);
  const entries: HeaderEntry[] = [];
  let begin = 0;
  for (const { name, dtype, shape, size } of sorted) {
    if (names.has(name)) throw new ValueError(`tensors: the name ${quoted(name)} occurs twice`, 'tensors');
    names.add(name);
    const end = begin + size;
    entries.push({ name, dtype, shape: [...shape], begin, end });
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`);
    begin = end;
  }
  return { head: headOf(`{${fields.join(',')}}`), entries };
}

function headOf(json: string): Uint8Array {
  const header = Buffer.from(json, 'utf8');
  const length = Math.ceil(header.byteLength / 8) * 8;
  if (length > MAX_HEADER_BYTES) {
    throw new ValueError(`tensors: the header would take ${length} bytes, at most ${MAX_HEADER_BYTES} fit`, 'tensors');
  }
  const head = new Uint8Array(PREFIX_BYTES + length).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(length), true);
  head.set(header, PREFIX_BYTES);
  return head;
}

function sizeOf({ name, dtype, shape }: TensorInfo): number {
  const tensor = `tensor ${quoted(name)}`;
  if (name === METADATA_NAME || /\p{Surrogate}/u.test(name)) {
    throw new ValueError(`tensors: ${quoted(name)} cannot be a tensor's name`, 'tensors');
  }
  if (!isSafetensorsDType(dtype)) throw new DTypeError(`${tensor}: unknown dtype ${JSON.stringify(dtype)}`, name);
  if (!isShape(shape)) {
    throw new ShapeError(`${tensor}: expected a shape of integers ≥ 0, got ${JSON.stringify(shape)}`, name);
  }
  const size = byteSize(dtype, shape);
  if (size === null) throw new ShapeError(`${tensor}: the size of shape ${shapeText(shape)} overflows`, name);
  return size;
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
