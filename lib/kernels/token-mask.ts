import { DTypeError, ShapeError, ValueError } from '../errors.ts';
import { hostArray } from '../host-arrays.ts';
import { type Dimension, described, expectInteger, expectMemory } from './arguments.ts';

/** Words of a mask of tokens: a bit each. */
export function maskWords(vocab: number): number {
  return Math.ceil(vocab / 32);
}

/**
 * A mask of the tokens that may be drawn, for the option `allowed` of `sampleGuided`: [ceil(vocab / 32)] words, bit
 * v % 32 of word ⌊v / 32⌋ (the lowest first) is 1 for every token v of `tokens`.
 *
 * @throws ValueError for a token out of [0, vocab)
 */
export function tokenMask(tokens: Iterable<number>, { vocab }: { vocab: number }): Uint32Array {
  expectInteger('vocab', vocab, 1);
  const mask = hostArray('uint32', maskWords(vocab), 'the mask');
  for (const token of tokens) {
    if (!(Number.isInteger(token) && token >= 0 && token < vocab)) {
      throw new ValueError(`tokens: expected tokens below ${vocab}, got ${described(token)}`, 'tokens');
    }
    mask[token >> 5] = (mask[token >> 5] as number) | (1 << (token & 31));
  }
  return mask;
}

/** Throws DTypeError unless `value` is a Uint32Array, ShapeError unless it is a mask for one row, or for each of them. */
export function expectMask(
  argument: string,
  value: unknown,
  rows: Dimension,
  vocab: Dimension,
): asserts value is Uint32Array {
  if (!(value instanceof Uint32Array)) {
    throw new DTypeError(`${argument}: expected a Uint32Array, got ${described(value)}`, argument);
  }
  expectMemory(argument, value);
  const words = maskWords(vocab.size);
  if (value.length === words || value.length === rows.size * words) return;
  throw new ShapeError(
    `${argument}: expected [rows, words] = [${rows.size}, ${words}] or [words] = [${words}], got ${value.length} elements`,
    argument,
  );
}
