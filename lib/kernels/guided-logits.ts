import { native } from '../native.ts';
import { type ComputeType, Tensor } from '../tensor/tensor.ts';
import { expectAgreement, expectElements, expectFloats, expectOptions, expectTensor, logitsOf } from './arguments.ts';
import { type ElementOption, elementsOf, elementType, type FloatArray, type Like, newLike } from './host-elements.ts';

export type GuidedLogitsOptions<A extends FloatArray = Float32Array> = ElementOption<A> & {
  /** Size of the vocabulary; rows = length / vocab. */
  vocab: number;
  /** Where the result goes: as long as `cond`, and either memory of its own or exactly `cond` or `uncond`. */
  out?: Like<A>;
};

/**
 * Classifier-free guidance: guided = uncond + scale · (cond − uncond), for rows of logits (Ho and Salimans, 2022; for
 * autoregressive models arXiv 2410.06084). Scale 0 gives `uncond` and 1 gives `cond`, bit for bit; more than 1 guides.
 * A token that is −∞ in either branch is −∞ in the result.
 *
 * With typed arrays: `cond` and `uncond` are [rows, vocab], row-major, both Float32Arrays, both Uint16Arrays of the
 * `dtype` 'bf16' or 'f16', or both Float16Arrays; `scale` is a number or a Float32Array with one per row; runs now and
 * returns `out`, or a new array of their kind. Arithmetic is float32, rounded once. With Tensors: both float32 or both
 * bfloat16, [rows, vocab], `scale` a number or a Tensor [rows]; returns a Tensor of their type at once and runs in queue
 * order.
 *
 * @throws ShapeError, DTypeError for arguments that do not fit each other.
 * @throws ValueError for NaN or +∞ in a logit, a scale that is not finite, a result beyond float32, and an `out` that
 *   overlaps an input in part. With Tensors, what is wrong with the data rejects at `read()`. After such an error the
 *   content of `out` is undefined.
 */
export function guidedLogits<A extends FloatArray>(
  cond: A,
  uncond: Like<A>,
  scale: number | Float32Array,
  options: GuidedLogitsOptions<A>,
): Like<A>;
export function guidedLogits<C extends ComputeType>(
  cond: Tensor<C>,
  uncond: Tensor<NoInfer<C>>,
  scale: number | Tensor,
  options?: { vocab?: number },
): Tensor<C>;
export function guidedLogits(
  cond: FloatArray | Tensor<ComputeType>,
  uncond: FloatArray | Tensor<ComputeType>,
  scale: number | Float32Array | Tensor,
  options?: GuidedLogitsOptions<FloatArray> | { vocab?: number },
): FloatArray | Tensor<ComputeType> {
  if (cond instanceof Tensor) {
    expectElements('cond', cond);
    expectTensor('uncond', uncond, cond.dtype);
    if (typeof scale !== 'number') expectTensor('scale', scale, 'float32');
    if (options !== undefined) expectOptions('options', options, ['vocab']);
    expectAgreement('vocab', options?.vocab, cond.shape[1]);
    const factor = typeof scale === 'number' ? scale : scale.handle;
    return new Tensor(native.guidedLogits(cond.handle, uncond.handle, factor), cond.dtype);
  }
  expectOptions('options', options, ['vocab', 'dtype', 'out']);
  const { vocab: width, dtype, out: given } = options as GuidedLogitsOptions<FloatArray>;
  const type = elementType('cond', cond, dtype);
  const own = elementsOf('cond', cond, type);
  const { rows, vocab } = logitsOf('cond', own, width);
  const other = elementsOf('uncond', uncond, type, rows, vocab);
  if (typeof scale !== 'number') expectFloats('scale', scale, rows);
  const out = given ?? newLike(cond, own.length);
  native.guidedLogitsNow(own, other, scale, width, elementsOf('out', out, type, rows, vocab), type);
  return out;
}
