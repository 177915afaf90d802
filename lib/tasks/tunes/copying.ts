import { ValueError } from '../../errors.ts';

/** How much of a sequence is taken from a corpus. */
export interface Copying {
  /** Tokens of the longest stretch that stands somewhere in the corpus, too. */
  readonly longestShared: number;
  /** Share of the sequence's n-grams that stand in the corpus; 0 for a sequence shorter than n. */
  readonly copiedNgrams: number;
}

/**
 * An index of what a corpus says, so that copying is not taken for quality: every suffix of its sequences in one sorted
 * array (a suffix array, by prefix doubling).
 */
export class Corpus {
  /** The sequences one after another, each followed by −1. */
  readonly #text: Int32Array;
  /** Where suffixes begin, sorted by what follows. */
  readonly #suffixes: Int32Array;
  readonly ngram: number;

  /** @param ngram n ≥ 1; default 8 */
  constructor(sequences: readonly Int32Array[], ngram = 8) {
    if (!(Number.isInteger(ngram) && ngram >= 1)) {
      throw new ValueError(`ngram: expected an integer of at least 1, got ${ngram}`, 'ngram');
    }
    this.ngram = ngram;
    const text = new Int32Array(sequences.reduce((sum, { length }) => sum + length + 1, 0)).fill(-1);
    let at = 0;
    for (const sequence of sequences) {
      text.set(sequence, at);
      at += sequence.length + 1;
    }
    this.#text = text;
    this.#suffixes = sortedSuffixes(text);
  }

  /** Longest common stretch and share of copied n-grams. O(tokens · log corpus). */
  copying(sequence: Int32Array): Copying {
    let longestShared = 0;
    let copied = 0;
    const ngrams = sequence.length - this.ngram + 1;
    for (let i = 0; i < sequence.length; i++) {
      const length = this.#longestPrefix(sequence.subarray(i));
      longestShared = Math.max(longestShared, length);
      if (length >= this.ngram) copied++;
    }
    return { longestShared, copiedNgrams: ngrams > 0 ? copied / ngrams : 0 };
  }

  /** How many tokens at the begin of a sequence stand together somewhere in the corpus. */
  #longestPrefix(sequence: Int32Array): number {
    // The suffixes that share most stand beside the place where the sequence itself would.
    let low = 0;
    let high = this.#suffixes.length;
    let longest = 0;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { shared, less } = this.#compare(this.#suffixes[middle] as number, sequence);
      longest = Math.max(longest, shared);
      if (less) low = middle + 1;
      else high = middle;
    }
    return longest;
  }

  /** How much a suffix shares with a sequence, and whether it comes before it. */
  #compare(suffix: number, sequence: Int32Array): { shared: number; less: boolean } {
    const text = this.#text;
    let shared = 0;
    while (shared < sequence.length && suffix + shared < text.length && text[suffix + shared] === sequence[shared]) {
      shared++;
    }
    const own = text[suffix + shared] ?? -1;
    return { shared, less: shared < sequence.length && own < (sequence[shared] as number) };
  }
}

/** Suffix array by prefix doubling: O(n log² n). */
function sortedSuffixes(text: Int32Array): Int32Array {
  const n = text.length;
  const suffixes = Int32Array.from({ length: n }, (_, i) => i);
  let rank = Int32Array.from(text, (token) => token + 1);
  for (let width = 1; ; width *= 2) {
    const now = rank;
    // Both ranks as one number: they stay below 2^26 for corpora of 67 million tokens.
    const key = Float64Array.from({ length: n }, (_, i) => (now[i] as number) * 2 ** 26 + (now[i + width] ?? -1) + 1);
    suffixes.sort((a, b) => (key[a] as number) - (key[b] as number));
    rank = new Int32Array(n);
    for (let i = 1; i < n; i++) {
      const [a, b] = [suffixes[i - 1] as number, suffixes[i] as number];
      rank[b] = (rank[a] as number) + (key[a] === key[b] ? 0 : 1);
    }
    if (n === 0 || rank[suffixes[n - 1] as number] === n - 1 || width >= n) return suffixes;
  }
}
