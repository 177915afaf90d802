import { native } from '../native.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { StoredType } from './arguments.ts';
import type { ElementOption, FloatArray, Like } from './host-elements.ts';
import { interpolated } from './interpolated.ts';

export type MergeOptions<A extends FloatArray = Float32Array> = ElementOption<A> & {
  /** Where the result goes: as long as the inputs, and either memory of its own or exactly one of them. */
  out?: Like<A>;
};

/** The options of a merge may be left out where the kind of array says what it holds. */
export type MergeArguments<A extends FloatArray> = A extends Uint16Array
  ? [options: MergeOptions<A>]
  : [options?: MergeOptions<A>];

/**
 * Linear interpolation, (1 − weight) · a + weight · b, element by element. Weight 0 gives `a` and 1 gives `b`, bit for
 * bit, also when the other holds NaN; a weight outside [0, 1] extrapolates. In between, float32 is computed in float64
 * and rounded once; bfloat16 and float16 are computed in float32, so that up to 4 · 2^−24 (|(1 − weight) · a| +
 * |weight · b|) is added to the half unit in the last place of the result. Where the inputs agree so does the result.
 *
 * With typed arrays: two of one length, both Float32Arrays, both Uint16Arrays of the `dtype` 'bf16' or 'f16', or both
 * Float16Arrays; runs now and returns `out`, or a new array of their kind. With Tensors: of one shape and type, float32,
 * float16 or bfloat16; returns a Tensor of it at once and runs in queue order.
 *
 * @throws ShapeError, DTypeError for inputs that do not fit each other.
 * @throws ValueError for a weight that is not finite and an `out` that overlaps an input in part.
 */
export function lerp<A extends FloatArray>(a: A, b: Like<A>, weight: number, ...options: MergeArguments<A>): Like<A>;
export function lerp<D extends StoredType>(a: Tensor<D>, b: Tensor<NoInfer<D>>, weight: number): Tensor<D>;
export function lerp(
  a: FloatArray | Tensor<StoredType>,
  b: FloatArray | Tensor<StoredType>,
  weight: number,
  options: object = {},
): FloatArray | Tensor<StoredType> {
  return interpolated({ tensors: native.lerp, now: native.lerpNow }, a, b, weight, options);
}
