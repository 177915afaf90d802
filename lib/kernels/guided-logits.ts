import { native } from '../native.ts';
import { type ComputeType, Tensor } from '../tensor/tensor.ts';
import { expectAgreement, expectElements, expectFloats, expectOptions, expectTensor, logitsOf } from './arguments.ts';

export interface GuidedLogitsOptions {
  /** Size of the vocabulary; rows = length / vocab. */
  vocab: number;
  /** Where the result goes: as long as `cond`, and either memory of its own or exactly `cond` or `uncond`. */
  out?: Float32Array;
}

/**
 * Classifier-free guidance: guided = uncond + scale · (cond − uncond), for rows of logits (Ho and Salimans, 2022; for
 * autoregressive models arXiv 2410.06084). Scale 0 gives `uncond` and 1 gives `cond`, bit for bit; more than 1 guides.
 * A token that is −∞ in either branch is −∞ in the result.
 *
 * With typed arrays: `cond` and `uncond` are float32 [rows, vocab], row-major, `scale` is a number or a Float32Array
 * with one per row; runs now and returns `out`, or a new array. With Tensors: both float32 or both
 * bfloat16, [rows, vocab], `scale` a number or a Tensor [rows]; returns a Tensor of their type at once and runs in queue
 * order.
 *
 * @throws ShapeError, DTypeError for arguments that do not fit each other.
 * @throws ValueError for NaN or +∞ in a logit, a scale that is not finite, a result beyond float32, and an `out` that
 *   overlaps an input in part. With Tensors, what is wrong with the data rejects at `read()`. After such an error the
 *   content of `out` is undefined.
 */
export function guidedLogits(
  cond: Float32Array,
  uncond: Float32Array,
  scale: number | Float32Array,
  options: GuidedLogitsOptions,
): Float32Array;
export function guidedLogits<C extends ComputeType>(
  cond: Tensor<C>,
  uncond: Tensor<C>,
  scale: number | Tensor,
  options?: { vocab?: number },
): Tensor<C>;
export function guidedLogits(
  cond: Float32Array | Tensor<ComputeType>,
  uncond: Float32Array | Tensor<ComputeType>,
  scale: number | Float32Array | Tensor,
  options?: GuidedLogitsOptions | { vocab?: number },
): Float32Array | Tensor<ComputeType> {
  if (cond instanceof Tensor) {
    expectElements('cond', cond);
    expectTensor('uncond', uncond, cond.dtype);
    if (typeof scale !== 'number') expectTensor('scale', scale, 'float32');
    if (options !== undefined) expectOptions('options', options, ['vocab']);
    expectAgreement('vocab', options?.vocab, cond.shape[1]);
    const factor = typeof scale === 'number' ? scale : scale.handle;
    return new Tensor(native.guidedLogits(cond.handle, uncond.handle, factor), cond.dtype);
  }
  expectOptions('options', options, ['vocab', 'out']);
  const { vocab: width, out: given } = options as GuidedLogitsOptions;
  const { rows, vocab } = logitsOf('cond', cond, width);
  const out = given ?? new Float32Array(cond.length);
  expectFloats('uncond', uncond, rows, vocab);
  expectFloats('out', out, rows, vocab);
  if (typeof scale !== 'number') expectFloats('scale', scale, rows);
  native.guidedLogitsNow(cond, uncond, scale, width, out);
  return out;
}
