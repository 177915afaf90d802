import { ValueError } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { Random } from '../../lib/random.ts';
import { Corpus } from '../../lib/tasks/tunes/copying.ts';

const ints = (...values: number[]) => Int32Array.from(values);

/** The definition, by trying everything. */
function slowly(corpus: readonly Int32Array[], sequence: Int32Array, ngram: number) {
  const texts = corpus.map((own) => `,${own.join()},`);
  const has = (from: number, to: number) => texts.some((text) => text.includes(`,${sequence.slice(from, to).join()},`));
  let longestShared = 0;
  let copied = 0;
  for (let from = 0; from < sequence.length; from++) {
    for (let to = from + 1; to <= sequence.length && has(from, to); to++)
      longestShared = Math.max(longestShared, to - from);
    if (from + ngram <= sequence.length && has(from, from + ngram)) copied++;
  }
  const ngrams = sequence.length - ngram + 1;
  return { longestShared, copiedNgrams: ngrams > 0 ? copied / ngrams : 0 };
}

describe('what is copied from a corpus', () => {
  const corpus = new Corpus([ints(1, 2, 3, 4, 5), ints(9, 8, 7)], 3);

  it.each([
    [[1, 2, 3, 4, 5], 5, 1],
    [[0, 2, 3, 4, 0], 3, 1 / 3],
    [[4, 5, 9, 8], 2, 0], // not across two sequences
    [[6, 6, 6], 0, 0],
    [[7], 1, 0],
    [[], 0, 0],
  ])('%j', (sequence, longestShared, copiedNgrams) => {
    expect(corpus.copying(ints(...sequence))).toEqual({ longestShared, copiedNgrams });
  });

  it('is what trying everything finds', () => {
    const random = new Random(1);
    const draw = (length: number, tokens: number) =>
      Int32Array.from({ length }, () => Math.floor(tokens * random.uniform()));
    for (let round = 0; round < 60; round++) {
      const tokens = 2 + (round % 4);
      const sequences = Array.from({ length: 1 + (round % 5) }, () =>
        draw(1 + Math.floor(40 * random.uniform()), tokens),
      );
      const ngram = 1 + (round % 6);
      const own = new Corpus(sequences, ngram);
      const sequence = draw(25, tokens);
      expect(own.copying(sequence)).toEqual(slowly(sequences, sequence, ngram));
    }
  });

  it('takes a corpus that repeats itself, and one of nothing', () => {
    const same = new Corpus([new Int32Array(20_000).fill(3)]);
    expect(same.copying(new Int32Array(300).fill(3))).toEqual({ longestShared: 300, copiedNgrams: 1 });
    expect(new Corpus([]).copying(ints(1, 2))).toEqual({ longestShared: 0, copiedNgrams: 0 });
    expect(new Corpus([ints()]).copying(ints(1, 2))).toEqual({ longestShared: 0, copiedNgrams: 0 });
  });

  it('refuses n-grams of nothing', () => {
    expect(() => new Corpus([], 0)).toThrow(ValueError);
  });
});
