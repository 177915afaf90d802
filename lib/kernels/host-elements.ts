import { DTypeError, OutOfMemoryError } from '../errors.ts';
import type { FloatDType } from '../native.ts';
import { type Dimension, described, expectLength, expectMemory } from './arguments.ts';

/** A Float16Array, where the runtime has one. */
export interface Float16Elements extends ArrayBufferView {
  readonly [Symbol.toStringTag]: 'Float16Array';
  readonly length: number;
}

/** Floating-point numbers in host memory. Whoever passes a Uint16Array says what it holds by the option `dtype`. */
export type FloatArray = Float32Array | Uint16Array | Float16Elements;

/** The kind of array that another is, whatever its buffer. */
export type Like<A extends FloatArray> = A extends Float32Array
  ? Float32Array
  : A extends Uint16Array
    ? Uint16Array
    : A;

/** The option that says what a kind of array holds. */
export type ElementOption<A extends FloatArray> = A extends Uint16Array
  ? {
      /** What the Uint16Arrays hold: bfloat16 or IEEE 754 float16. */
      dtype: 'bf16' | 'f16';
    }
  : {
      /** Told by the kind of array already. */
      dtype?: 'f32' | 'f16';
    };

const NATIVE_NAMES = { f32: 'float32', bf16: 'bfloat16', f16: 'float16' } as const;

function isFloat16Array(value: unknown): value is Float16Elements {
  return ArrayBuffer.isView(value) && (value as Partial<Float16Elements>)[Symbol.toStringTag] === 'Float16Array';
}

/**
 * The type of the elements of an array, by its kind and the option `dtype`.
 *
 * @throws DTypeError for anything but a Float32Array, a Uint16Array with a dtype, or a Float16Array, and for a dtype
 *   that the array cannot hold
 */
export function elementType(argument: string, value: unknown, dtype: unknown): FloatDType {
  if (dtype !== undefined && (typeof dtype !== 'string' || !Object.hasOwn(NATIVE_NAMES, dtype))) {
    throw new DTypeError(`dtype: expected 'f32', 'bf16' or 'f16', got ${described(dtype)}`, 'dtype');
  }
  const kind = value instanceof Float32Array ? 'f32' : isFloat16Array(value) ? 'f16' : undefined;
  if (kind !== undefined && (dtype === undefined || dtype === kind)) return NATIVE_NAMES[kind];
  if (value instanceof Uint16Array && (dtype === 'bf16' || dtype === 'f16')) return NATIVE_NAMES[dtype];
  if (value instanceof Uint16Array) {
    const got = dtype === undefined ? 'none' : described(dtype);
    throw new DTypeError(`dtype: expected 'bf16' or 'f16' for the Uint16Array ${argument}, got ${got}`, 'dtype');
  }
  const expected =
    dtype === undefined || dtype === 'f32'
      ? 'a Float32Array, or a Uint16Array with the option dtype'
      : dtype === 'f16'
        ? 'a Uint16Array or a Float16Array of f16'
        : 'a Uint16Array of bf16';
  throw new DTypeError(`${argument}: expected ${expected}, got ${described(value)}`, argument);
}

/**
 * The memory of an array as the addon takes it.
 *
 * @throws DTypeError unless the array holds elements of this type, ShapeError unless its length is that of the
 *   dimensions, ValueError for one whose buffer was transferred
 */
export function elementsOf(
  argument: string,
  value: unknown,
  type: FloatDType,
  ...dimensions: Dimension[]
): Float32Array | Uint16Array {
  if (type === 'float32' && !(value instanceof Float32Array)) {
    throw new DTypeError(`${argument}: expected a Float32Array, got ${described(value)}`, argument);
  }
  const halves = value instanceof Uint16Array || (type === 'float16' && isFloat16Array(value));
  if (type !== 'float32' && !halves) {
    const expected = type === 'float16' ? 'a Uint16Array or a Float16Array' : 'a Uint16Array';
    throw new DTypeError(`${argument}: expected ${expected} of ${type}, got ${described(value)}`, argument);
  }
  const array = value as FloatArray & { readonly length: number };
  expectMemory(argument, array);
  if (dimensions.length) expectLength(argument, array.length, dimensions);
  if (array instanceof Float32Array || array instanceof Uint16Array) return array;
  return new Uint16Array(array.buffer, array.byteOffset, array.length);
}

/** An array of the same kind with `length` elements of 0. Throws OutOfMemoryError, naming the size. */
export function newLike<A extends FloatArray>(array: A, length: number): Like<A> {
  // A subclass's own constructor may take something else.
  const kind: new (n: number) => unknown =
    array instanceof Float32Array
      ? Float32Array
      : array instanceof Uint16Array
        ? Uint16Array
        : (globalThis as unknown as { Float16Array: new (n: number) => Float16Elements }).Float16Array;
  try {
    return new kind(length) as Like<A>;
  } catch (cause) {
    const bytes = length * (array instanceof Float32Array ? 4 : 2);
    throw new OutOfMemoryError(`out: out of memory for a result of ${length} elements, ${bytes} bytes`, 'out', {
      cause,
    });
  }
}
