import { hostArray } from '../host-arrays.ts';
import type { TokenBatch } from '../models/token-batch.ts';

/** A prompt and what follows it. */
export interface Completion {
  prompt: Int32Array;
  tokens: Int32Array;
}

/** Completions as model input, and where in its output the completions' own tokens are predicted. */
export interface CompletionBatch {
  batch: TokenBatch;
  /** Row-major over [rows, positions]: the token to predict after each position; −1 outside the completions. */
  targets: Int32Array;
}

/**
 * Packs completions so that every row's completion begins at the same position: prompts are padded on the left to
 * `width`, completions on the right. The last token is predicted but not fed.
 */
export function packCompletions(completions: readonly Completion[], width: number): CompletionBatch {
  const longest = completions.reduce((most, { tokens }) => Math.max(most, tokens.length), 1);
  const rows = completions.length;
  const positions = width + longest - 1;
  const tokens = hostArray('int32', rows * positions, 'the tokens of a batch');
  const targets = hostArray('int32', rows * positions, 'the targets of a batch').fill(-1);
  const starts = new Int32Array(rows);
  completions.forEach((completion, r) => {
    const base = r * positions;
    starts[r] = width - completion.prompt.length;
    tokens.set(completion.prompt, base + width - completion.prompt.length);
    tokens.set(completion.tokens.subarray(0, longest - 1), base + width);
    targets.set(completion.tokens, base + width - 1);
  });
  return { batch: { rows, positions, tokens, starts }, targets };
}

/** The longest prompt among several lists. */
export function widthOf(...prompts: readonly (readonly Int32Array[])[]): number {
  return prompts.flat().reduce((most, { length }) => Math.max(most, length), 0);
}
