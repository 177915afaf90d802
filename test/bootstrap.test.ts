import { describe, expect, it } from 'vitest';
import { ShapeError, ValueError } from '../lib/errors.ts';
import { bootstrapDifference, bootstrapMean, bootstrapMeans, percentileInterval } from '../lib/evaluation/bootstrap.ts';
import { Random } from '../lib/random.ts';

/** A generator for simulations of millions of draws, for which the library's own is too slow (mulberry32). */
class Quick {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  uniform(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  integer(n: number): number {
    return Math.floor(this.uniform() * n);
  }
}

/** A standard normal draw (Box and Muller). */
function normal(random: { uniform(): number }): number {
  return Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
}

describe('percentileInterval', () => {
  it('cuts equal tails, whatever the order', () => {
    const draws = Float64Array.from({ length: 2000 }, (_, index) => (index * 1237) % 2000);
    // Of the draws 0 … 1999, the p-quantile is 1999 p.
    const [low, high] = percentileInterval(draws);
    expect(low).toBeCloseTo(1999 * 0.025, 9);
    expect(high).toBeCloseTo(1999 * 0.975, 9);
    expect(percentileInterval(draws, 0.5)[0]).toBeCloseTo(1999 * 0.25, 9);
    expect(draws[1]).toBe(1237);
  });

  it('refuses levels outside (0, 1) and no draws', () => {
    for (const level of [0, 1, Number.NaN, 95]) expect(() => percentileInterval([1, 2], level)).toThrow(ValueError);
    expect(() => percentileInterval([])).toThrow(ValueError);
  });
});

describe('bootstrapMean', () => {
  // Values of one prompt, each with mean 3.
  it.each([
    ['normal', (random: Quick) => 3 + 2 * normal(random)],
    ['skewed', (random: Quick) => 2 - Math.log(1 - random.uniform())],
    ['two-valued', (random: Quick) => (random.uniform() < 0.3 ? 2 + 10 / 3 : 2)],
  ])('covers the true mean of %s values about 95 times in 100', (_, draw) => {
    const random = new Quick(5);
    const trials = 2000;
    let covered = 0;
    for (let trial = 0; trial < trials; trial++) {
      const values = Float64Array.from({ length: 129 }, () => draw(random));
      const [low, high] = bootstrapMean(values, { random, resamples: 300 }).interval;
      if (low <= 3 && 3 <= high) covered++;
    }
    // Four standard errors are 0.02; at 129 prompts a percentile interval is itself about 0.01 short.
    expect(covered / trials).toBeGreaterThan(0.92);
    expect(covered / trials).toBeLessThan(0.97);
  });

  it('is about 1.96 standard errors to either side', () => {
    const random = new Random(2);
    const values = Float64Array.from({ length: 400 }, () => normal(random));
    const { value, interval } = bootstrapMean(values, { random });
    const average = values.reduce((sum, v) => sum + v, 0) / 400;
    const deviation = Math.sqrt(values.reduce((sum, v) => sum + (v - average) ** 2, 0) / 400);
    expect(value).toBeCloseTo(average, 12);
    expect((interval[1] - interval[0]) / ((2 * 1.96 * deviation) / 20)).toBeGreaterThan(0.93);
    expect((interval[1] - interval[0]) / ((2 * 1.96 * deviation) / 20)).toBeLessThan(1.07);
  });

  it('repeats with the same seed and differs with another', () => {
    const values = Float64Array.from({ length: 30 }, (_, index) => Math.sin(index * index));
    const at = (seed: number) => bootstrapMean(values, { random: new Random(seed) }).interval;
    expect(at(1)).toEqual(at(1));
    expect(at(1)).not.toEqual(at(2));
  });

  it('narrows with the level, and has no width where all values are equal', () => {
    const values = Float64Array.from({ length: 30 }, (_, index) => Math.sin(index * index));
    const wide = bootstrapMean(values, { random: new Random(1), level: 0.95 }).interval;
    const narrow = bootstrapMean(values, { random: new Random(1), level: 0.5 }).interval;
    expect(narrow[0]).toBeGreaterThan(wide[0]);
    expect(narrow[1]).toBeLessThan(wide[1]);
    expect(bootstrapMean(new Float64Array(10).fill(0.25), { random: new Random(1) })).toEqual({
      value: 0.25,
      interval: [0.25, 0.25],
    });
  });
});

describe('bootstrapDifference', () => {
  it('pairs prompts: what they share cancels', () => {
    const random = new Random(3);
    const hard = Float64Array.from({ length: 100 }, () => 10 * normal(random));
    const a = hard.map((value) => value + 0.1 + 0.01 * normal(random));
    const { value, interval } = bootstrapDifference(a, hard, { random });
    expect(value).toBeCloseTo(0.1, 2);
    expect(interval[1] - interval[0]).toBeLessThan(0.01);
    expect(interval[0]).toBeGreaterThan(0.09);
  });

  it('covers the true difference of correlated models about 95 times in 100', () => {
    const random = new Quick(9);
    let covered = 0;
    for (let trial = 0; trial < 2000; trial++) {
      const a = new Float64Array(129);
      const b = new Float64Array(129);
      for (let prompt = 0; prompt < 129; prompt++) {
        const shared = normal(random);
        a[prompt] = 1 + shared + 0.5 * normal(random);
        b[prompt] = shared + 0.5 * normal(random);
      }
      const [low, high] = bootstrapDifference(a, b, { random, resamples: 300 }).interval;
      if (low <= 1 && 1 <= high) covered++;
    }
    expect(covered / 2000).toBeGreaterThan(0.92);
    expect(covered / 2000).toBeLessThan(0.97);
  });
});

describe('bootstrapMeans', () => {
  it('shares each resample between the columns', () => {
    const random = new Random(4);
    const a = Float64Array.from({ length: 50 }, () => normal(random));
    const [first, second] = bootstrapMeans([a, a.map((value) => 2 * value + 1)], { random, resamples: 100 });
    first!.forEach((mean, resample) => {
      expect(second![resample]).toBeCloseTo(2 * mean + 1, 12);
    });
  });

  it('refuses ragged, empty and non-finite columns, and no resamples', () => {
    const random = new Random(1);
    expect(() => bootstrapMeans([new Float64Array(3), new Float64Array(2)], { random })).toThrow(ShapeError);
    expect(() => bootstrapMeans([new Float64Array(0)], { random })).toThrow(ValueError);
    expect(() => bootstrapMeans([Float64Array.of(1, Number.NaN)], { random })).toThrow(/values\[0\]\[1\].*NaN/);
    expect(() => bootstrapMeans([new Float64Array(3)], { random, resamples: 0 })).toThrow(/resamples/);
    expect(() => bootstrapDifference(new Float64Array(3), new Float64Array(2), { random })).toThrow(ShapeError);
  });
});
