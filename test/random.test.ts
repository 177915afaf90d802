import { describe, expect, it } from 'vitest';
import { ValueError } from '../lib/errors.ts';
import { philox4x32, Random, type RandomState } from '../lib/random.ts';

/** Philox4x32-10 in exact integer arithmetic, from its definition. */
function philoxReference(counter: bigint[], key: bigint[]): bigint[] {
  const word = 0xffffffffn;
  let [c0, c1, c2, c3] = counter as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key as [bigint, bigint];
  for (let round = 0; round < 10; round++) {
    const p0 = 0xd2511f53n * c0;
    const p1 = 0xcd9e8d57n * c2;
    [c0, c1, c2, c3] = [(p1 >> 32n) ^ c1 ^ k0, p1 & word, (p0 >> 32n) ^ c3 ^ k1, p0 & word];
    k0 = (k0 + 0x9e3779b9n) & word;
    k1 = (k1 + 0xbb67ae85n) & word;
  }
  return [c0, c1, c2, c3];
}

describe('philox4x32', () => {
  // The known-answer vectors of the generator's authors.
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ] as const)('gives the published answer for counter %j', (counter, key, expected) => {
    expect(philox4x32(counter, key)).toEqual(expected);
  });

  it('agrees with exact integer arithmetic on many counters and keys', () => {
    const random = new Random(99);
    for (let trial = 0; trial < 500; trial++) {
      const w = Array.from({ length: 6 }, () => random.word());
      const expected = philoxReference(w.slice(0, 4).map(BigInt), w.slice(4).map(BigInt)).map(Number);
      expect(philox4x32(w.slice(0, 4) as [number, number, number, number], w.slice(4) as [number, number])).toEqual(
        expected,
      );
    }
  });
});

describe('Random', () => {
  it('gives the same stream for the same seed and another for another, also above 32 bits', () => {
    const draw = (seed: number) => {
      const random = new Random(seed);
      return Array.from({ length: 20 }, () => random.uniform());
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    expect(draw(2 ** 32 + 7)).not.toEqual(draw(7));
  });

  it('gives the documented words', () => {
    const random = new Random(0);
    expect([random.word(), random.word(), random.word(), random.word()]).toEqual([
      0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8,
    ]);
  });

  it('draws uniformly from [0, 1): chi-square over 64 bins', () => {
    const random = new Random(3);
    const counts = new Array<number>(64).fill(0);
    const draws = 64_000;
    for (let i = 0; i < draws; i++) {
      const u = random.uniform();
      expect(u >= 0 && u < 1).toBe(true);
      counts[Math.floor(u * 64)]!++;
    }
    const chi = counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    expect(chi).toBeGreaterThan(27.6); // 63 degrees of freedom: the 0.00001 and 0.99999 quantiles are 24 and 123
    expect(chi).toBeLessThan(123);
  });

  it('draws integers uniformly, also where n does not divide 2^32', () => {
    const random = new Random(4);
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i++) counts[random.integer(7)]!++;
    const chi = counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
    expect(chi).toBeLessThan(33.1); // 6 degrees of freedom, 0.99999

    // With n = 3 · 2^30 the plain remainder would give the lowest third twice as often as the others.
    const n = 3 * 2 ** 30;
    let low = 0;
    for (let i = 0; i < 9000; i++) if (random.integer(n) < n / 3) low++;
    expect(Math.abs(low - 3000)).toBeLessThan(5 * Math.sqrt(9000 * (2 / 9)));
    expect(random.integer(1)).toBe(0);
  });

  it('shuffles every order equally often, in place', () => {
    const random = new Random(5);
    const counts = new Map<string, number>();
    for (let i = 0; i < 24_000; i++) {
      const array = [0, 1, 2, 3];
      expect(random.shuffle(array)).toBe(array);
      counts.set(array.join(), (counts.get(array.join()) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    const chi = [...counts.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    expect(chi).toBeLessThan(65); // 23 degrees of freedom, 0.99999
    expect(random.shuffle([])).toEqual([]);
  });

  it('goes on from a saved state bit for bit, through JSON, at every position within a block', () => {
    for (let drawn = 0; drawn < 9; drawn++) {
      const random = new Random(2 ** 40 + 11);
      for (let i = 0; i < drawn; i++) random.word();
      const state = JSON.parse(JSON.stringify(random.state())) as RandomState;
      const expected = Array.from({ length: 10 }, () => random.uniform());
      const other = new Random(1);
      other.word();
      other.restore(state);
      expect(Array.from({ length: 10 }, () => other.uniform())).toEqual(expected);
    }
  });

  it('forks by label alone: not by what was drawn, and apart for each label and from the parent', () => {
    const first = (random: Random) => [random.word(), random.word(), random.word()].join();
    const random = new Random(6);
    const before = first(random.fork('split'));
    random.uniform();
    expect(first(random.fork('split'))).toBe(before);
    const labels = ['split', 'splits', 'lsplit', '', '1', '\u0000', '\u0000\u0000', 0, 1, 2, 2 ** 32, 2 ** 32 + 1];
    const streams = labels.map((label) => first(random.fork(label)));
    streams.push(first(new Random(6)), first(new Random(7).fork('split')), first(random.fork('split').fork('split')));
    expect(new Set(streams).size).toBe(streams.length);
  });

  it('refuses bad input and keeps its state', () => {
    for (const seed of [-1, 0.5, Number.NaN, 2 ** 53]) expect(() => new Random(seed)).toThrow(ValueError);
    expect(() => new Random(-1)).toThrow('seed: expected an integer in [0, 2^53 - 1], got -1');
    const random = new Random(1);
    for (const n of [0, -3, 1.5, 2 ** 32 + 1]) expect(() => random.integer(n)).toThrow(ValueError);
    expect(() => random.fork(-1)).toThrow('label: expected');
    const state = random.state();
    const bad = [{}, null, { key: [1], position: 0 }, { key: [1, -1], position: 0 }, { key: [1, 1], position: 0.5 }];
    for (const value of bad) expect(() => random.restore(value as RandomState)).toThrow(ValueError);
    expect(random.state()).toEqual(state);
  });
});
