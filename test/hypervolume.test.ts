import { hypervolume, hypervolumes, Random, ValueError } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { Judgements } from '../lib/evaluation/judgement.ts';
import { Scene, scene } from './claims-scene.ts';

interface Place {
  x: number;
  y: number;
}

const AXES = { x: ({ x }: Place) => x, y: ({ y }: Place) => y };

/** The area by cells: all coordinates cut the plane into cells, each of which is covered wholly or not at all. */
function areaByCells(points: readonly Place[], reference: Place): number {
  const cuts = (own: (point: Place) => number) => {
    return [own(reference), ...points.map(own).filter((value) => value > own(reference))].sort((a, b) => a - b);
  };
  const [xs, ys] = [cuts(AXES.x), cuts(AXES.y)];
  let area = 0;
  for (let i = 1; i < xs.length; i++) {
    for (let j = 1; j < ys.length; j++) {
      const covered = points.some(({ x, y }) => x >= xs[i]! && y >= ys[j]!);
      if (covered) area += (xs[i]! - xs[i - 1]!) * (ys[j]! - ys[j - 1]!);
    }
  }
  return area;
}

describe('hypervolume', () => {
  it('is the area that an L of rectangles has', () => {
    expect(hypervolume([{ quality: 0.5, diversity: 0.4 }])).toBeCloseTo(0.2, 12);
    // 0.2 · 0.9 and, beyond it, 0.4 · 0.5.
    const two = [
      { quality: 0.9, diversity: 0.2 },
      { quality: 0.5, diversity: 0.6 },
    ];
    expect(hypervolume(two)).toBeCloseTo(0.38, 12);
    expect(hypervolume([...two].reverse())).toBeCloseTo(0.38, 12);
    expect(hypervolume(two, undefined, { x: 0.1, y: 0.5 })).toBeCloseTo(0.1 * 0.4, 12);
    expect(hypervolume([])).toBe(0);
  });

  it('agrees with the area by cells, ties, duplicates and points below the reference included', () => {
    const random = new Random(3);
    // A coarse grid, so that coordinates tie.
    const value = () => random.integer(13) / 8 - 0.5;
    for (let round = 0; round < 300; round++) {
      const points = Array.from({ length: random.integer(9) }, () => ({ x: value(), y: value() }));
      const reference = { x: value() / 2, y: value() / 2 };
      expect(hypervolume(points, AXES, reference)).toBeCloseTo(areaByCells(points, reference), 12);
    }
  });

  it('agrees with the share of darts that hit', () => {
    const random = new Random(8);
    const points = Array.from({ length: 20 }, () => ({ x: random.uniform(), y: random.uniform() * 0.5 }));
    const darts = 40_000;
    let hits = 0;
    for (let dart = 0; dart < darts; dart++) {
      const [x, y] = [random.uniform(), random.uniform()];
      if (points.some((point) => point.x > x && point.y > y)) hits++;
    }
    const area = hypervolume(points, AXES);
    expect(Math.abs(hits / darts - area)).toBeLessThan(4 * Math.sqrt((area * (1 - area)) / darts));
  });

  it('is not changed by what is dominated, and grows with what is not', () => {
    const front = [
      { quality: 0.8, diversity: 0.2 },
      { quality: 0.4, diversity: 0.7 },
    ];
    const whole = hypervolume(front);
    expect(hypervolume([...front, { quality: 0.4, diversity: 0.6 }, front[0]!])).toBe(whole);
    expect(hypervolume([...front, { quality: -0.5, diversity: 3 }, { quality: 0.9, diversity: -1 }])).toBe(whole);
    expect(hypervolume([...front, { quality: 0.6, diversity: 0.5 }])).toBeCloseTo(whole + 0.3 * 0.2, 12);
  });

  it('refuses what is not finite', () => {
    const bad = { quality: Number.NaN, diversity: 1 };
    expect(() => hypervolume([{ quality: 1, diversity: 1 }, bad])).toThrow(ValueError);
    expect(() => hypervolume([bad])).toThrow(/^points\[0\]: expected finite numbers, got x = 1, y = NaN$/);
    expect(() => hypervolume([{ quality: Number.POSITIVE_INFINITY, diversity: 0 }])).toThrow(ValueError);
    expect(() => hypervolume([], undefined, { x: 0, y: Number.NaN })).toThrow(/^reference: /);
  });
});

describe('hypervolumes', () => {
  const options = () => ({ random: new Random(1), resamples: 500 });

  it('tells each family in order, then all, of their points’ means', () => {
    const { judgements } = scene().add('off-policy', { beta: 0 }, [0.5, 0.5]);
    const found = hypervolumes(judgements, options());
    expect(found.map(({ family, points }) => [family, points])).toEqual([
      ['base', 1],
      ['guidance', 3],
      ['distilled', 3],
      ['nucleus', 1],
      ['off-policy', 1],
      ['all', 9],
    ]);
    for (const { family, value, interval } of found) {
      const own = judgements.map(({ point }) => point).filter((point) => family === 'all' || point.family === family);
      expect(value).toBeCloseTo(hypervolume(own), 9);
      expect(interval[0]).toBeLessThan(value);
      expect(interval[1]).toBeGreaterThan(value);
    }
    const { value } = found.at(-1)!;
    for (const family of found) expect(family.value).toBeLessThanOrEqual(value);
  });

  it('resamples prompts: the interval of one point is that of the product of its means', () => {
    const { judgements } = new Scene().add('base', {}, [0.33, 0.79]);
    const [base] = hypervolumes(judgements, options());
    const judged = new Judgements(judgements, options());
    const product = judged.estimate((mean) => mean(judgements[0]!, 'quality') * mean(judgements[0]!, 'diversity'));
    expect(base!.value).toBeCloseTo(product.value, 12);
    base!.interval.forEach((end, i) => {
      expect(end).toBeCloseTo(product.interval[i]!, 12);
    });
  });

  it('counts what is below 0 as 0', () => {
    const { judgements } = new Scene(0.02).add('base', {}, [-0.3, 0.5]).add('nucleus', { topP: 0.9 }, [0.2, 0.4]);
    const found = hypervolumes(judgements, options());
    expect(found[0]).toEqual({ family: 'base', value: 0, interval: [0, 0], points: 1 });
    expect(found[2]!.value).toBe(found[1]!.value);
  });
});
