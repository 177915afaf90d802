import { OutOfMemoryError } from './errors.ts';

interface Kinds {
  float32: Float32Array<ArrayBuffer>;
  int32: Int32Array<ArrayBuffer>;
  uint16: Uint16Array<ArrayBuffer>;
  uint32: Uint32Array<ArrayBuffer>;
}

const KINDS: { [K in keyof Kinds]: { readonly BYTES_PER_ELEMENT: number; new (length: number): Kinds[K] } } = {
  float32: Float32Array,
  int32: Int32Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
};

/**
 * A typed array of zeros. Throws OutOfMemoryError, naming the size and what it was for, where the system or the runtime
 * gives none so large.
 */
export function hostArray<K extends keyof Kinds>(kind: K, length: number, what: string): Kinds[K] {
  try {
    return new KINDS[kind](length);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    const bytes = length * KINDS[kind].BYTES_PER_ELEMENT;
    throw new OutOfMemoryError(`out of memory: no ${bytes} bytes for ${what}`, undefined, { cause });
  }
}
