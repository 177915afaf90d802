import { ShapeError, ValueError } from '../errors.ts';
import { hostArray } from '../host-arrays.ts';

/**
 * Token sequences as a matrix, padded on the left so that all of them end together: the next token of every row is at
 * the same place, and the keys of row r are its positions from `starts[r]` on.
 */
export interface TokenBatch {
  readonly rows: number;
  readonly positions: number;
  /** [rows, positions], row-major; what stands before a row's start is not read. */
  readonly tokens: Int32Array;
  /** [rows]: the first position that holds a token. */
  readonly starts: Int32Array;
  /** Set while training: random masks of layers with dropout come from this seed. Absent: no dropout. */
  readonly dropoutSeed?: number;
}

/**
 * Packs sequences, padded on the left to the longest one or to `width`.
 *
 * @throws ValueError for an empty sequence or a token outside the vocabulary, ShapeError for one longer than `width`
 */
export function packTokens(
  sequences: readonly Int32Array[],
  { vocabularySize, width, argument = 'prompts' }: { vocabularySize: number; width?: number; argument?: string },
): TokenBatch {
  if (sequences.length === 0) throw new ValueError(`${argument}: expected at least one sequence, got none`, argument);
  const positions = width ?? sequences.reduce((longest, s) => Math.max(longest, s.length), 0);
  const tokens = hostArray('int32', sequences.length * positions, argument);
  const starts = new Int32Array(sequences.length);
  sequences.forEach((sequence, row) => {
    checkTokens(sequence, vocabularySize, `${argument}[${row}]`);
    if (sequence.length > positions) {
      throw new ShapeError(
        `${argument}[${row}]: expected at most ${positions} tokens, got ${sequence.length}`,
        `${argument}[${row}]`,
      );
    }
    starts[row] = positions - sequence.length;
    tokens.set(sequence, row * positions + positions - sequence.length);
  });
  return { rows: sequences.length, positions, tokens, starts };
}

/** Throws ValueError unless the sequence is an Int32Array of at least one token, each inside the vocabulary. */
export function checkTokens(sequence: Int32Array, vocabularySize: number, argument: string): void {
  if (!(sequence instanceof Int32Array)) {
    throw new ValueError(`${argument}: expected an Int32Array of tokens`, argument);
  }
  if (sequence.length === 0) throw new ValueError(`${argument}: expected at least one token, got none`, argument);
  const at = sequence.findIndex((token) => token < 0 || token >= vocabularySize);
  if (at >= 0) {
    throw new ValueError(
      `${argument}: expected tokens from 0 to ${vocabularySize - 1}, got ${sequence[at]} at ${at}`,
      argument,
    );
  }
}
