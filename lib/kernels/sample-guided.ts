import { hostArray } from '../host-arrays.ts';
import { native } from '../native.ts';
import { type ComputeType, Tensor } from '../tensor/tensor.ts';
import {
  expectAgreement,
  expectElements,
  expectFloats,
  expectInts,
  expectOptions,
  expectTensor,
  logitsOf,
  scaleFor,
} from './arguments.ts';
import { type ElementOption, elementsOf, elementType, type FloatArray, type Like } from './host-elements.ts';
import { expectMask } from './token-mask.ts';

/** How tokens are drawn; `S` is a scale per row, `C` a counter per row, `M` a mask of tokens per row. */
export interface DrawOptions<S, C, M> {
  /** Size of the vocabulary, which a Tensor's shape tells already. */
  vocab?: number;
  /** Guidance scale, one number or one per row. Needed with two branches, of no use without `uncond`. */
  scale?: number | S;
  /**
   * At least 0, default 1. 0 takes the most likely token (ties: the lowest id), with log-probability 0. Below 1e-37 it
   * acts as 1e-37.
   */
  temperature?: number;
  /** Keeps the k most likely tokens (ties: the lower ids stay); an integer of at least 1. Default: all. */
  topK?: number;
  /** Then keeps the smallest set of the most likely tokens whose mass reaches p; 0 < p ≤ 1. Default: all. */
  topP?: number;
  /** An integer in [0, 2^53). A draw depends on the seed and the row's counter alone. */
  seed: number;
  /** A number: row r draws from counter offset + r. Or one counter per row, int32, at least 0. Default 0. */
  offset?: number | C;
  /**
   * The tokens that may be drawn: [rows, ceil(vocab / 32)] words, or one row of them for all rows; bit v % 32 of word
   * ⌊v / 32⌋, the lowest first, is token v's (`tokenMask` makes such a row). A token whose bit is 0 counts as one whose
   * guided logit is −∞. Default: every token.
   */
  allowed?: M;
}

export type SampleGuidedOptions<A extends FloatArray = Float32Array> = ElementOption<A> &
  DrawOptions<Float32Array, Int32Array, Uint32Array> & {
    /** Size of the vocabulary; rows = length / vocab. */
    vocab: number;
  };

/**
 * Combines two branches as `guidedLogits` does and draws one token per row from softmax(guided / temperature): top-k,
 * renormalised, then top-p, then the draw (philox4x32-10, by inversion). The mass reaches `topP` up to the rounding of
 * float32 logits. `logProbs` are those of the distribution drawn from, after truncation, in nats. `uncond` null: no
 * guidance, one branch.
 *
 * With typed arrays: [rows, vocab], row-major, both Float32Arrays, both Uint16Arrays of the `dtype` 'bf16' or 'f16', or
 * both Float16Arrays; runs now. With Tensors: both float32 or both bfloat16,
 * [rows, vocab]; returns Tensors [rows] at once and runs in queue order. `allowed` is then a Tensor of int32 with the same
 * bits, of one dimension for a mask of all rows.
 *
 * @throws ShapeError, DTypeError for arguments that do not fit each other.
 * @throws ValueError for an option out of range, NaN or +∞ in a logit (also of a token that is not allowed), and a row
 *   without any finite logit among the allowed tokens. With Tensors, what is wrong with the data rejects at `read()`.
 */
export function sampleGuided<A extends FloatArray>(
  cond: A,
  uncond: Like<A> | null,
  options: SampleGuidedOptions<A>,
): { tokens: Int32Array; logProbs: Float32Array };
export function sampleGuided<C extends ComputeType>(
  cond: Tensor<C>,
  uncond: Tensor<NoInfer<C>> | null,
  options: DrawOptions<Tensor, Tensor<'int32'>, Tensor<'int32'>>,
): { tokens: Tensor<'int32'>; logProbs: Tensor };
export function sampleGuided(
  cond: FloatArray | Tensor<ComputeType>,
  uncond: FloatArray | Tensor<ComputeType> | null,
  options: SampleGuidedOptions<FloatArray> | DrawOptions<Tensor, Tensor<'int32'>, Tensor<'int32'>>,
): { tokens: Int32Array; logProbs: Float32Array } | { tokens: Tensor<'int32'>; logProbs: Tensor } {
  const names = ['vocab', 'scale', 'temperature', 'topK', 'topP', 'seed', 'offset', 'allowed'];
  expectOptions('options', options, cond instanceof Tensor ? names : ['dtype', ...names]);
  const { temperature = 1, topK, topP, seed, offset = 0 } = options;
  const scale = scaleFor<number | Float32Array | Tensor>(options.scale, uncond !== null);
  if (cond instanceof Tensor) {
    expectElements('cond', cond);
    expectAgreement('vocab', options.vocab, cond.shape[1]);
    if (uncond !== null) expectTensor('uncond', uncond, cond.dtype);
    if (typeof scale !== 'number') expectTensor('scale', scale, 'float32');
    if (typeof offset !== 'number') expectTensor('offset', offset, 'int32');
    const { allowed } = options;
    if (allowed !== undefined) expectTensor('allowed', allowed, 'int32');
    const [tokens, logProbs] = native.sampleGuided(
      cond.handle,
      uncond?.handle ?? null,
      typeof scale === 'number' ? scale : scale.handle,
      temperature,
      topK,
      topP,
      seed,
      typeof offset === 'number' ? offset : offset.handle,
      allowed?.handle,
    );
    return { tokens: new Tensor(tokens, 'int32'), logProbs: new Tensor(logProbs, 'float32') };
  }
  const { vocab: width, dtype, allowed } = options as SampleGuidedOptions<FloatArray>;
  const type = elementType('cond', cond, dtype);
  const own = elementsOf('cond', cond, type);
  const { rows, vocab } = logitsOf('cond', own, width);
  const other = uncond === null ? null : elementsOf('uncond', uncond, type, rows, vocab);
  if (typeof scale !== 'number') expectFloats('scale', scale, rows);
  if (typeof offset !== 'number') expectInts('offset', offset, rows);
  if (allowed !== undefined) expectMask('allowed', allowed, rows, vocab);
  const tokens = hostArray('int32', rows.size, 'the tokens');
  const logProbs = hostArray('float32', rows.size, 'the log-probabilities');
  native.sampleGuidedNow(
    ...([own, other, scale, width, temperature, topK, topP, seed, offset] as const),
    ...([tokens, logProbs, type, allowed] as const),
  );
  return { tokens, logProbs };
}
