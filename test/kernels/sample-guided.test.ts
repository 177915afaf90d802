import { describe, expect, it } from 'vitest';
import { DTypeError, ShapeError, ValueError } from '../../lib/errors.ts';
import { guidedLogits, sampleGuided } from '../../lib/kernels/index.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { chiSquareP } from '../support/chi-square.ts';
import { drawDistribution, guide } from '../support/guidance-reference.ts';
import { randomFloats, sameBits } from '../support/random-data.ts';

/** One row of logits, many times. */
function repeated(row: Float32Array, times: number): Float32Array {
  const out = new Float32Array(row.length * times);
  for (let r = 0; r < times; r++) out.set(row, r * row.length);
  return out;
}

const draws = 20_000;
const random = new Random(11);
const cond12 = randomFloats(random, 12, 2);
const uncond12 = randomFloats(random, 12, 2);
const withHoles = cond12.map((z, v) => (v % 5 === 1 ? -Infinity : z));
const ties = Float32Array.of(1, 2, 2, 0, 2, 1, 1, 0, 2, -1);
const wide = randomFloats(random, 700, 3);

type Options = { scale?: number; temperature?: number; topK?: number; topP?: number };
const cases: [name: string, cond: Float32Array, uncond: Float32Array | null, options: Options][] = [
  ['plain', cond12, null, {}],
  ['temperature 0.6', cond12, null, { temperature: 0.6 }],
  ['temperature 2.5', cond12, null, { temperature: 2.5 }],
  ['guided', cond12, uncond12, { scale: 2 }],
  ['guided, negative scale', cond12, uncond12, { scale: -1, temperature: 1.3 }],
  ['guided with -Infinity', withHoles, uncond12, { scale: 3, temperature: 0.99 }],
  ['top-k', cond12, null, { topK: 4 }],
  ['top-k of ties', ties, null, { topK: 3 }],
  ['top-k beyond the vocabulary', cond12, null, { topK: 99 }],
  ['top-p', cond12, null, { topP: 0.7 }],
  ['top-p of ties', ties, null, { topP: 0.5 }],
  ['tiny top-p: the most likely token', cond12, null, { topP: 1e-9 }],
  ['top-k, then top-p', cond12, uncond12, { scale: 1.5, temperature: 1.4, topK: 6, topP: 0.8 }],
  ['top-k that cuts a tie, then top-p', ties, null, { temperature: 2, topK: 6, topP: 0.85 }],
  ['700 tokens', wide, null, { temperature: 1.1 }],
  ['700 tokens, top-k', wide, null, { topK: 50 }],
  ['700 tokens, top-p', wide, null, { topP: 0.6 }],
  ['one token', Float32Array.of(-3), null, { topK: 1, topP: 0.1 }],
];

describe('sampleGuided', () => {
  it.each(cases)('draws from the exact distribution: %s', (_, cond, uncond, options) => {
    const vocab = cond.length;
    const { tokens, logProbs } = sampleGuided(repeated(cond, draws), uncond && repeated(uncond, draws), {
      vocab,
      seed: 5,
      ...options,
    });
    const exact = drawDistribution(guide(cond, uncond, options.scale ?? 1), options);
    const counts = new Array<number>(vocab).fill(0);
    let worst = 0;
    for (let r = 0; r < draws; r++) {
      counts[tokens[r]!]!++;
      worst = Math.max(worst, Math.abs(logProbs[r]! - Math.log(exact[tokens[r]!]!)));
    }
    expect(worst).toBeLessThan(4e-6);
    expect(chiSquareP(counts, exact)).toBeGreaterThan(1e-4);
  });

  it('the chi-square test tells a slightly wrong temperature apart', () => {
    const { tokens } = sampleGuided(repeated(cond12, draws), null, { vocab: 12, seed: 5, temperature: 1.1 });
    const counts = new Array<number>(12).fill(0);
    for (const token of tokens) counts[token]!++;
    expect(chiSquareP(counts, drawDistribution(cond12, {}))).toBeLessThan(1e-4);
  });

  it('draws independently: pairs of successive counters fall on the product distribution', () => {
    const row = Float32Array.of(0, 1, -0.5);
    const { tokens } = sampleGuided(repeated(row, 2 * draws), null, { vocab: 3, seed: 77 });
    const pairs = new Array<number>(9).fill(0);
    for (let r = 0; r < 2 * draws; r += 2) pairs[tokens[r]! * 3 + tokens[r + 1]!]!++;
    const p = drawDistribution(row, {});
    expect(
      chiSquareP(
        pairs,
        p.flatMap((a) => p.map((b) => a * b)),
      ),
    ).toBeGreaterThan(1e-4);
  });

  it('keeps exactly the smallest set that reaches topP, also at its border', () => {
    const uniform = repeated(new Float32Array(10), 2000);
    for (const [topP, kept] of [
      [0.1, 1],
      [0.3, 3],
      [0.31, 4],
      [0.7, 7],
      [1, 10],
    ] as const) {
      expect(new Set(sampleGuided(uniform, null, { vocab: 10, seed: 1, topP }).tokens)).toEqual(
        new Set(Array.from({ length: kept }, (_, v) => v)),
      );
    }
    const halves = Float32Array.from([0.125, 0.5, 0.125, 0.25], Math.log);
    const { tokens } = sampleGuided(repeated(halves, 2000), null, { vocab: 4, seed: 1, topP: 0.75 });
    expect(new Set(tokens)).toEqual(new Set([1, 3]));
  });

  it('takes the largest logit at temperature 0, the lowest token of ties, with log-probability 0', () => {
    const rows = Float32Array.of(1, 3, 3, -Infinity, 2, -Infinity, -Infinity, -Infinity, -8, -Infinity);
    const { tokens, logProbs } = sampleGuided(rows, null, { vocab: 5, seed: 3, temperature: 0, topP: 0.1 });
    expect(Array.from(tokens)).toEqual([1, 3]);
    expect(Array.from(logProbs)).toEqual([0, 0]);
  });

  it('stays finite at extreme logits and temperatures', () => {
    const extreme = Float32Array.of(1e4, -1e4, 1e4 - 1, 0, -Infinity, 3e38, -3e38, 0);
    for (const temperature of [1e-40, 1e-3, 1, 1e30]) {
      const { tokens, logProbs } = sampleGuided(extreme, null, { vocab: 4, seed: 9, temperature, topP: 0.99 });
      for (let r = 0; r < 2; r++) {
        expect(extreme[r * 4 + tokens[r]!]).toBeGreaterThan(-Infinity);
        expect(logProbs[r]).toBeLessThanOrEqual(0);
        expect(logProbs[r]).toBeGreaterThan(-10);
      }
    }
    const { tokens } = sampleGuided(extreme, null, { vocab: 4, seed: 9, temperature: 1e-40 });
    expect(Array.from(tokens)).toEqual([0, 1]);
  });

  it('does not depend on the batch, only on the seed and the counter', () => {
    const [rows, vocab] = [37, 45];
    const cond = randomFloats(new Random(1), rows * vocab, 3);
    const uncond = randomFloats(new Random(2), rows * vocab, 3);
    const options = { vocab, scale: 2, seed: 2 ** 53 - 1, topK: 20, topP: 0.9 };
    const all = sampleGuided(cond, uncond, { ...options, offset: 100 });
    const counters = Int32Array.from({ length: rows }, (_, r) => 100 + r);
    expect(sampleGuided(cond, uncond, { ...options, offset: counters })).toEqual(all);
    for (const r of [0, 17, rows - 1]) {
      const part = (logits: Float32Array) => logits.subarray(r * vocab, (r + 1) * vocab);
      const one = sampleGuided(part(cond), part(uncond), { ...options, offset: 100 + r });
      expect(one.tokens[0]).toBe(all.tokens[r]);
      expect(one.logProbs[0]).toBe(all.logProbs[r]);
    }
    expect(sampleGuided(cond, uncond, { ...options, offset: 101 }).tokens).not.toEqual(all.tokens);
    expect(sampleGuided(cond, uncond, { ...options, offset: 100, seed: 1 }).tokens).not.toEqual(all.tokens);
  });

  it('draws the same from separately guided logits, and the same as Tensors', async () => {
    const [rows, vocab] = [29, 133];
    const cond = randomFloats(new Random(3), rows * vocab, 3);
    const uncond = randomFloats(new Random(4), rows * vocab, 3);
    const scale = randomFloats(new Random(5), rows, 4);
    const offset = Int32Array.from({ length: rows }, (_, r) => 1000 - r);
    const options = { temperature: 0.9, topK: 30, topP: 0.95, seed: 12 };
    const now = sampleGuided(cond, uncond, { ...options, vocab, scale, offset });
    const guided = guidedLogits(cond, uncond, scale, { vocab });
    expect(sampleGuided(guided, null, { ...options, vocab, offset })).toEqual(now);
    const later = sampleGuided(Tensor.from(cond, [rows, vocab]), Tensor.from(uncond, [rows, vocab]), {
      ...options,
      scale: Tensor.from(scale, [rows]),
      offset: Tensor.from(offset, [rows]),
    });
    expect(later.tokens.shape).toEqual([rows]);
    expect(await later.tokens.read()).toEqual(now.tokens);
    expect(sameBits(await later.logProbs.read(), now.logProbs)).toBe(true);
  });
});

describe('sampleGuided refuses', () => {
  const four = () => Float32Array.of(1, 2, 3, 4);
  const base = { vocab: 2, seed: 1 };

  it.each([
    ['temperature', -0.1],
    ['temperature', Number.NaN],
    ['temperature', Infinity],
    ['topK', 0],
    ['topK', 1.5],
    ['topK', -3],
    ['topP', 0],
    ['topP', 1.0001],
    ['topP', Number.NaN],
    ['seed', -1],
    ['seed', 0.5],
    ['seed', 2 ** 53],
    ['seed', undefined],
    ['offset', -1],
    ['offset', 1.5],
    ['vocab', 0],
  ])('%s = %d', (argument, value) => {
    expect(() => sampleGuided(four(), null, { ...base, [argument]: value })).toThrow(ValueError);
    expect(() => sampleGuided(four(), null, { ...base, [argument]: value })).toThrow(
      new RegExp(`^${argument}: expected`),
    );
  });

  it('a scale without a second branch, and branches without a scale', () => {
    expect(() => sampleGuided(four(), four(), base)).toThrow(/^scale: expected/);
    expect(() => sampleGuided(four(), null, { ...base, scale: 3 })).toThrow(/^scale: expected none/);
    expect(() => sampleGuided(four(), four(), { ...base, scale: Float32Array.of(1, Number.NaN) })).toThrow(
      'scale: expected a finite number in row 1, got NaN',
    );
  });

  it('unknown options, lengths and types that do not fit', () => {
    expect(() => sampleGuided(four(), null, { ...base, topk: 3 } as typeof base)).toThrow("unknown key 'topk'");
    expect(() => sampleGuided(four(), new Float32Array(2), { ...base, scale: 2 })).toThrow(ShapeError);
    expect(() => sampleGuided(new Float32Array(3), null, base)).toThrow(ShapeError);
    expect(() => sampleGuided(four(), null, { ...base, offset: Int32Array.of(1) })).toThrow(ShapeError);
    expect(() => sampleGuided(four(), null, { ...base, offset: four() as unknown as Int32Array })).toThrow(DTypeError);
    expect(() => sampleGuided(four(), null, { ...base, offset: Int32Array.of(0, -4) })).toThrow(
      'offset: expected a counter of at least 0 in row 1, got -4',
    );
    const one = new Float32Array(1);
    expect(() =>
      native.sampleGuidedNow(four(), null, 1, 2, 1, undefined, undefined, 1, 0, new Int32Array(2), one, 'float32'),
    ).toThrow(ShapeError);
  });

  it('rows without support, NaN and +∞', async () => {
    const empty = Float32Array.of(0, 1, -Infinity, 2);
    const other = Float32Array.of(0, 1, 2, -Infinity);
    const message = 'cond: expected at least one token with finite logits in row 1, got none';
    for (const temperature of [0, 1]) {
      expect(() => sampleGuided(empty, other, { ...base, temperature, scale: 2 })).toThrow(message);
    }
    const later = sampleGuided(Tensor.from(empty, [2, 2]), Tensor.from(other, [2, 2]), { seed: 1, scale: 2 });
    await expect(later.tokens.read()).rejects.toThrow(message);
    await expect(later.logProbs.read()).rejects.toThrow(message);
    expect(() => sampleGuided(Float32Array.of(1, Number.NaN), null, base)).toThrow('cond: expected a finite logit');
    expect(() => sampleGuided(Float32Array.of(1, Infinity), null, base)).toThrow('at [0, 1], got Infinity');
  });
});
