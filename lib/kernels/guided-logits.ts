import { native } from '../native.ts';
import { Tensor } from '../tensor/tensor.ts';
import { expectAgreement, expectFloats, expectOptions, expectTensor, logitsOf } from './arguments.ts';

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
 * with one per row; runs now and returns `out`, or a new array. With Tensors: float32 [rows, vocab], `scale` a number
 * or a Tensor [rows]; returns a Tensor [rows, vocab] at once and runs in queue order.
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
export function guidedLogits(
  cond: Tensor,
  uncond: Tensor,
  scale: number | Tensor,
  options?: { vocab?: number },
): Tensor;
export function guidedLogits(
  cond: Float32Array | Tensor,
  uncond: Float32Array | Tensor,
  scale: number | Float32Array | Tensor,
  options?: GuidedLogitsOptions | { vocab?: number },
): Float32Array | Tensor {
  if (cond instanceof Tensor) {
    expectTensor('cond', cond, 'float32');
    expectTensor('uncond', uncond, 'float32');
    if (typeof scale !== 'number') expectTensor('scale', scale, 'float32');
    if (options !== undefined) expectOptions('options', options, ['vocab']);
    expectAgreement('vocab', options?.vocab, cond.shape[1]);
    const factor = typeof scale === 'number' ? scale : scale.handle;
    return new Tensor(native.guidedLogits(cond.handle, uncond.handle, factor), 'float32');
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
