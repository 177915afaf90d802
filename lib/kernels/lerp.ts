import { native } from '../native.ts';
import { Tensor } from '../tensor/tensor.ts';
import { expectFloats, expectOptions, expectTensor } from './arguments.ts';

export interface MergeOptions {
  /** Where the result goes: as long as the inputs, and either memory of its own or exactly one of them. */
  out?: Float32Array;
}

/**
 * Linear interpolation, (1 − weight) · a + weight · b, element by element. Weight 0 gives `a` and 1 gives `b`, bit for
 * bit, also when the other holds NaN; a weight outside [0, 1] extrapolates. In between, computed in float64 and rounded
 * once.
 *
 * With typed arrays: two Float32Arrays of one length; runs now and returns `out`, or a new array. With Tensors: float32
 * of one shape; returns a Tensor at once and runs in queue order.
 *
 * @throws ShapeError, DTypeError for inputs that do not fit each other.
 * @throws ValueError for a weight that is not finite and an `out` that overlaps an input in part.
 */
export function lerp(a: Float32Array, b: Float32Array, weight: number, options?: MergeOptions): Float32Array;
export function lerp(a: Tensor, b: Tensor, weight: number): Tensor;
export function lerp(
  a: Float32Array | Tensor,
  b: Float32Array | Tensor,
  weight: number,
  options: MergeOptions = {},
): Float32Array | Tensor {
  if (a instanceof Tensor) {
    expectTensor('a', a, 'float32');
    expectTensor('b', b, 'float32');
    expectOptions('options', options, []);
    return new Tensor(native.lerp(a.handle, b.handle, weight), 'float32');
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
