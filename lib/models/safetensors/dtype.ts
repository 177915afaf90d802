/**
 * Element types of the safetensors format that fill whole bytes, and their sizes in bytes. The order is the one the
 * format's reference implementation sorts by (falling), so that equal content makes equal files.
 */
export const SAFETENSORS_DTYPES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  F8_E8M0: 1,
  F8_E4M3FNUZ: 1,
  F8_E5M2FNUZ: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  C64: 8,
  F64: 8,
  I64: 8,
  U64: 8,
} as const;

export type SafetensorsDType = keyof typeof SAFETENSORS_DTYPES;

const RANK = new Map<string, number>(Object.keys(SAFETENSORS_DTYPES).map((name, index) => [name, index]));

/** Whether `name` is an element type this reader knows. */
export function isSafetensorsDType(name: unknown): name is SafetensorsDType {
  return typeof name === 'string' && RANK.has(name);
}

/** Position of a dtype in the sorting order; wider types rank higher. */
export function dtypeRank(dtype: SafetensorsDType): number {
  return RANK.get(dtype)!;
}

/** A tensor as a file stores it. */
export interface StoredTensor {
  dtype: SafetensorsDType;
  /** Row-major; [] is a scalar, and a 0 anywhere makes the tensor empty. */
  shape: number[];
  /** Little-endian elements; begins at a multiple of the element size in its ArrayBuffer. */
  data: Uint8Array;
}

/** The content of a safetensors file. */
export interface Safetensors {
  tensors: Map<string, StoredTensor>;
  /** Free-form strings; an object without a prototype, so that no key means anything special. */
  metadata: Record<string, string>;
}

/** Number of bytes of a tensor, or null when that is not an exact integer in a double. */
export function byteSize(dtype: SafetensorsDType, shape: readonly number[]): number | null {
  if (shape.includes(0)) return 0;
  let size: number = SAFETENSORS_DTYPES[dtype];
  for (const dimension of shape) {
    size *= dimension;
    if (!Number.isSafeInteger(size)) return null;
  }
  return size;
}

/** Whether every entry is an integer ≥ 0 that a double holds exactly. */
export function isShape(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((entry) => Number.isSafeInteger(entry) && entry >= 0);
}
