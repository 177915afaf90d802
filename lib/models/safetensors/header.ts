import { clipped, describe, quoted, shapeText } from './describe.ts';
import { byteSize, isSafetensorsDType, isShape, type SafetensorsDType } from './dtype.ts';
import { damaged, isObject, parseObject } from './strict-json.ts';

/** Bytes before the header: its length, little-endian. */
export const PREFIX_BYTES = 8;

/** Longest header that is read, in bytes: real ones take about 100 bytes for each tensor. */
export const MAX_HEADER_BYTES = 100_000_000;

/** The name under which the header keeps the metadata; no tensor can have it. */
export const METADATA_NAME = '__metadata__';

/** Where a tensor lies: [begin, end) in bytes from the end of the header. */
export interface HeaderEntry {
  name: string;
  dtype: SafetensorsDType;
  shape: number[];
  begin: number;
  end: number;
}

export interface Header {
  /** In the order of their bytes, which the entries cover without gap or overlap. */
  entries: HeaderEntry[];
  metadata: Record<string, string>;
}

/**
 * Reads the header's length from a file's first bytes.
 *
 * @param prefix the first 8 bytes (fewer when the file has fewer)
 * @param fileBytes size of the whole file
 * @param source what errors call the file
 */
export function headerLength(prefix: Uint8Array, fileBytes: number, source: string): number {
  if (fileBytes < PREFIX_BYTES || prefix.byteLength < PREFIX_BYTES) {
    throw damaged(source, `expected at least ${PREFIX_BYTES} bytes, got ${fileBytes}`);
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw damaged(
      source,
      `expected a header of at most ${MAX_HEADER_BYTES} bytes, got ${length}; is it a safetensors file?`,
    );
  }
  if (length > BigInt(fileBytes - PREFIX_BYTES)) {
    throw damaged(
      source,
      `the header should take ${length} bytes, but only ${fileBytes - PREFIX_BYTES} follow; is the file truncated?`,
    );
  }
  return Number(length);
}

/**
 * Parses and validates a header: nothing of it is trusted.
 *
 * @param bytes the header, without the length before it
 * @param dataBytes how many bytes follow it in the file
 * @param source what errors call the file
 * @throws CheckpointError for each way in which a header can be wrong
 */
export function parseHeader(bytes: Uint8Array, dataBytes: number, source: string): Header {
  const object = parseObject(bytes, source, 'the header');
  let metadata: Record<string, string> = Object.create(null);
  const entries: HeaderEntry[] = [];
  for (const [name, value] of Object.entries(object)) {
    if (/\p{Surrogate}/u.test(name)) {
      throw damaged(source, `the name ${quoted(name)} is not valid Unicode`);
    }
    if (name === METADATA_NAME) metadata = parseMetadata(value, source);
    else entries.push(parseEntry(name, value, source));
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkLayout(entries, dataBytes, source);
  return { entries, metadata };
}

function parseMetadata(value: unknown, source: string): Record<string, string> {
  if (!isObject(value)) throw damaged(source, `${METADATA_NAME}: expected an object, got ${describe(value)}`);
  const metadata: Record<string, string> = Object.create(null);
  for (const [key, entry] of Object.entries(value)) {
    if (typeof entry !== 'string') {
      throw damaged(source, `${METADATA_NAME}.${clipped(key)}: expected a string, got ${describe(entry)}`);
    }
    // What is read can be written again.
    if (/\p{Surrogate}/u.test(key + entry)) {
      throw damaged(source, `${METADATA_NAME}.${clipped(key)}: the key or its value is not valid Unicode`);
    }
    metadata[key] = entry;
  }
  return metadata;
}

function parseEntry(name: string, value: unknown, source: string): HeaderEntry {
  const tensor = `tensor ${quoted(name)}`;
  if (!isObject(value)) throw damaged(source, `${tensor}: expected an object, got ${describe(value)}`);
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  if (!isSafetensorsDType(dtype)) throw damaged(source, `${tensor}: unknown dtype ${describe(dtype)}`);
  if (!isShape(shape)) {
    throw damaged(source, `${tensor}: expected a shape of integers ≥ 0, got ${describe(shape)}`);
  }
  if (!isShape(offsets) || offsets.length !== 2) {
    throw damaged(source, `${tensor}: expected data_offsets [begin, end] of integers ≥ 0, got ${describe(offsets)}`);
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end) throw damaged(source, `${tensor}: data_offsets [${begin}, ${end}] are reversed`);
  const size = byteSize(dtype, shape);
  if (size === null) throw damaged(source, `${tensor}: the size of shape ${shapeText(shape)} overflows`);
  if (end - begin !== size) {
    throw damaged(
      source,
      `${tensor}: expected ${size} bytes for ${dtype} ${shapeText(shape)}, got ${end - begin} ([${begin}, ${end}])`,
    );
  }
  return { name, dtype, shape, begin, end };
}

/** Every byte after the header belongs to exactly one tensor. */
function checkLayout(entries: readonly HeaderEntry[], dataBytes: number, source: string): void {
  let covered = 0;
  let before = 'the header';
  for (const { name, begin, end } of entries) {
    const tensor = `tensor ${quoted(name)}`;
    if (end > dataBytes) {
      throw damaged(
        source,
        `${tensor}: ends at byte ${end}, but only ${dataBytes} bytes follow the header; is the file truncated?`,
      );
    }
    if (begin < covered) {
      throw damaged(source, `${tensor}: begins at byte ${begin} and overlaps ${before}, which ends at ${covered}`);
    }
    if (begin > covered) {
      throw damaged(source, `${tensor}: begins at byte ${begin}, a gap after ${before}, which ends at ${covered}`);
    }
    covered = end;
    before = tensor;
  }
  if (covered < dataBytes) {
    throw damaged(source, `${dataBytes - covered} trailing bytes after the last tensor, expected none`);
  }
}
