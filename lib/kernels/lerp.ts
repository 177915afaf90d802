import { native } from '../native.ts';
import { Tensor } from '../tensor/tensor.ts';
import { expectFloats, expectOptions, expectStored, expectTensor, type StoredType } from './arguments.ts';

export interface MergeOptions {
  /** Where the result goes: as long as the inputs, and either memory of its own or exactly one of them. */
  out?: Float32Array;
}

/**
 * Linear interpolation, (1 − weight) · a + weight · b, element by element. Weight 0 gives `a` and 1 gives `b`, bit for
 * bit, also when the other holds NaN; a weight outside [0, 1] extrapolates. In between, computed in float64 and rounded
 * once.
 *
 * With typed arrays: two Float32Arrays of one length; runs now and returns `out`, or a new array. With Tensors: of
 * one shape and type, float32, float16 or bfloat16; returns a Tensor of it at once and runs in queue order.
 *
 * @throws ShapeError, DTypeError for inputs that do not fit each other.
 * @throws ValueError for a weight that is not finite and an `out` that overlaps an input in part.
 */
export function lerp(a: Float32Array, b: Float32Array, weight: number, options?: MergeOptions): Float32Array;
export function lerp<D extends StoredType>(a: Tensor<D>, b: Tensor<D>, weight: number): Tensor<D>;
export function lerp(
  a: Float32Array | Tensor<StoredType>,
  b: Float32Array | Tensor<StoredType>,
  weight: number,
  options: MergeOptions = {},
): Float32Array | Tensor<StoredType> {
  if (a instanceof Tensor) {
    expectStored('a', a);
    expectTensor('b', b, a.dtype);
    expectOptions('options', options, []);
    return new Tensor(native.lerp(a.handle, b.handle, weight), a.dtype);
  }
  expectOptions('options', options, ['out']);
  expectFloats('a', a);
  const elements = { name: 'elements', size: a.length };
  expectFloats('b', b, elements);
  const { out = new Float32Array(a.length) } = options;
  expectFloats('out', out, elements);
  native.lerpNow(a, b, weight, out);
  return out;
}
