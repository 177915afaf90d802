import { describe, expect, it } from 'vitest';
import { ValueError } from '../lib/errors.ts';
import { meanPairwise } from '../lib/evaluation/diversity.ts';
import { paretoFront } from '../lib/evaluation/pareto.ts';
import { Random } from '../lib/random.ts';

const point = (name: string, quality: number, diversity: number) => ({ name, quality, diversity });
const names = (points: readonly { name: string }[]) => points.map(({ name }) => name);

describe('paretoFront', () => {
  it('keeps what nothing dominates, by falling quality', () => {
    const points = [point('a', 0.3, 0.8), point('b', 0.6, 0.6), point('c', 0.5, 0.5), point('d', 0.8, 0.2)];
    expect(names(paretoFront(points))).toEqual(['d', 'b', 'a']);
  });

  it('drops a point that ties in one measure and loses in the other', () => {
    expect(names(paretoFront([point('a', 0.5, 0.5), point('b', 0.5, 0.6)]))).toEqual(['b']);
    expect(names(paretoFront([point('a', 0.5, 0.5), point('b', 0.6, 0.5)]))).toEqual(['b']);
  });

  it('keeps points that tie in both, in the order given', () => {
    const points = [point('x', 0.1, 0.9), point('b', 0.5, 0.5), point('a', 0.5, 0.5), point('c', 0.5, 0.4)];
    expect(names(paretoFront(points))).toEqual(['b', 'a', 'x']);
  });

  it('takes any items with their own measures, and leaves the input as it is', () => {
    const items: [number, number][] = [
      [1, 2],
      [2, 1],
      [0, 0],
      [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
    ];
    const before = structuredClone(items);
    const front = paretoFront(items, { x: (item) => item[0], y: (item) => item[1] });
    expect(front).toEqual([items[3], items[0], items[1]]);
    expect(items).toEqual(before);
  });

  it('of none is none, of one is that one', () => {
    expect(paretoFront([])).toEqual([]);
    expect(names(paretoFront([point('a', 0, 0)]))).toEqual(['a']);
  });

  it('refuses NaN', () => {
    expect(() => paretoFront([point('a', 0, 0), point('b', Number.NaN, 1)])).toThrow(ValueError);
    expect(() => paretoFront([point('a', 0, 0), point('b', Number.NaN, 1)])).toThrow(/points\[1\].*y = NaN/);
  });

  it('agrees with the definition on random points with many ties', () => {
    const random = new Random(1);
    for (let trial = 0; trial < 300; trial++) {
      const points = Array.from({ length: 1 + random.integer(12) }, (_, index) =>
        point(String(index), random.integer(5), random.integer(5)),
      );
      const expected = points.filter(
        (p) =>
          !points.some(
            (o) =>
              o.quality >= p.quality &&
              o.diversity >= p.diversity &&
              (o.quality > p.quality || o.diversity > p.diversity),
          ),
      );
      const front = paretoFront(points);
      expect(names(front).sort()).toEqual(names(expected).sort());
      expect(front.every((p, index) => index === 0 || front[index - 1]!.quality >= p.quality)).toBe(true);
    }
  });
});

describe('meanPairwise', () => {
  it('is the mean over the pairs i < j', () => {
    expect(meanPairwise([1, 4, 9], (a, b) => Math.abs(a - b))).toBeCloseTo((3 + 8 + 5) / 3, 12);
    expect(meanPairwise(['a', 'a'], (a, b) => (a === b ? 0 : 1))).toBe(0);
  });

  it('needs a pair', () => {
    expect(() => meanPairwise([1], () => 0)).toThrow(ValueError);
  });
});
