import { native } from '../native.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { StoredType } from './arguments.ts';
import type { FloatArray, Like } from './host-elements.ts';
import { interpolated } from './interpolated.ts';
import type { MergeArguments } from './lerp.ts';

/**
 * Spherical interpolation of two arrays as flat vectors (K. Shoemake, "Animating rotation with quaternion curves",
 * SIGGRAPH 1985): sin((1 − weight) Ω) / sin Ω · a + sin(weight Ω) / sin Ω · b, where Ω is the angle between them,
 * cos Ω = a·b / (|a| |b|). The factors are applied to `a` and `b` as they are, whatever their lengths. They go over into
 * those of `lerp` as Ω → 0; with a zero vector, which has no direction, it is `lerp`. Weight 0 gives `a` and 1 gives `b`,
 * bit for bit, whatever the other holds; a weight outside [0, 1] goes on along the arc. The products are summed in
 * float64, the rest is computed as in `lerp`.
 *
 * With typed arrays: two of one length, both Float32Arrays, both Uint16Arrays of the `dtype` 'bf16' or 'f16', or both
 * Float16Arrays; runs now and returns `out`, or a new array of their kind. With Tensors: of one shape and type, float32,
 * float16 or bfloat16; returns a Tensor of it at once and runs in queue order.
 *
 * @throws ShapeError, DTypeError for inputs that do not fit each other.
 * @throws ValueError for a weight that is not finite, an `out` that overlaps an input in part, NaN or ∞ in an input, and
 *   inputs of exactly opposite directions (Ω within 1.4e-6 of π), between which there is no one arc. With Tensors, what
 *   is wrong with the data rejects at `read()`.
 */
export function slerp<A extends FloatArray>(a: A, b: Like<A>, weight: number, ...options: MergeArguments<A>): Like<A>;
export function slerp<D extends StoredType>(a: Tensor<D>, b: Tensor<NoInfer<D>>, weight: number): Tensor<D>;
export function slerp(
  a: FloatArray | Tensor<StoredType>,
  b: FloatArray | Tensor<StoredType>,
  weight: number,
  options: object = {},
): FloatArray | Tensor<StoredType> {
  return interpolated({ tensors: native.slerp, now: native.slerpNow }, a, b, weight, options);
}
