import { ValueError } from '../errors.ts';
import type { LanguageModel } from '../models/language-model.ts';
import { native } from '../native.ts';
import { scope } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';
import { type Completion, packCompletions, widthOf } from '../training/completion-batch.ts';
import { deviceOfModel } from '../training/model-input.ts';

export interface BitsPerTokenOptions {
  /** Rows per forward pass; bounds the memory. Default 16. */
  batchSize?: number;
  signal?: AbortSignal | undefined;
}

/**
 * How many bits a model needs for a token of some answers, given their prompts and what comes before: the mean of
 * −log₂ p over all answer tokens, stop tokens included. The perplexity is 2 to this.
 *
 * @param rows prompts and answers
 * @throws ValueError for no rows or a batch size below 1, the signal's reason when it aborts
 */
export async function bitsPerToken(
  model: LanguageModel,
  rows: readonly Completion[],
  { batchSize = 16, signal }: BitsPerTokenOptions = {},
): Promise<number> {
  if (rows.length === 0) throw new ValueError('rows: expected at least one, got none', 'rows');
  if (!(Number.isInteger(batchSize) && batchSize >= 1)) {
    throw new ValueError(`batchSize: expected an integer of at least 1, got ${batchSize}`, 'batchSize');
  }
  const width = widthOf(rows.map(({ prompt }) => prompt));
  // Rows of similar length together: little is padding then.
  const sorted = [...rows].sort((a, b) => a.tokens.length - b.tokens.length);
  let nats = 0;
  let tokens = 0;
  for (let begin = 0; begin < sorted.length; begin += batchSize) {
    signal?.throwIfAborted();
    const part = sorted.slice(begin, begin + batchSize);
    const perPosition = negativeLogLikelihoods(model, part, width);
    for (const value of await perPosition.read()) nats += value;
    perPosition.dispose();
    for (const { tokens: own } of part) tokens += own.length;
  }
  return nats / tokens / Math.LN2;
}

/** −ln p of each target of a batch, [rows · positions]; 0 where there is none. */
function negativeLogLikelihoods(model: LanguageModel, rows: readonly Completion[], width: number): Tensor {
  const { batch, targets } = packCompletions(rows, width);
  const device = deviceOfModel(model);
  return scope(() => {
    const logits = model.forward(batch).reshape([targets.length, -1]);
    const wanted = Tensor.from(targets, [targets.length], device);
    const weights = Tensor.from(new Float32Array(targets.length).fill(1), [targets.length], device);
    const [loss, perRow, gradient] = native.crossEntropy(logits.handle, wanted.handle, weights.handle, 1);
    new Tensor(loss, 'float32').dispose();
    new Tensor(gradient, logits.dtype).dispose();
    return new Tensor(perRow, 'float32');
  });
}
