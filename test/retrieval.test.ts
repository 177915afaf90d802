import { retrievalAt1, ShapeError } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { Random } from '../lib/random.ts';
import { randomFloats } from './support/random-data.ts';

describe('retrievalAt1', () => {
  it('counts the queries whose own candidate is nearest by angle, not by length', () => {
    const queries = Float32Array.of(1, 0, 0, 1, 1, 1);
    // The third query's own candidate points away; the first one's is tiny but right.
    const candidates = Float32Array.of(0.001, 0, 0, 500, 1, -1);
    expect(retrievalAt1(queries, candidates, 2)).toBeCloseTo(2 / 3, 12);
  });

  it('lets further candidates distract', () => {
    const queries = Float32Array.of(1, 0.1, 0, 1);
    const own = [1, 0, 0, 1];
    expect(retrievalAt1(queries, Float32Array.from(own), 2)).toBe(1);
    expect(retrievalAt1(queries, Float32Array.of(...own, 1, 0.1), 2)).toBe(0.5);
    expect(retrievalAt1(queries, Float32Array.of(...own, -1, -0.1), 2)).toBe(1);
  });

  it('counts ties as misses', () => {
    expect(retrievalAt1(Float32Array.of(1, 0, 0, 1), Float32Array.of(1, 1, 1, 1), 2)).toBe(0);
    expect(retrievalAt1(new Float32Array(4), Float32Array.of(1, 0, 0, 1), 2)).toBe(0);
    expect(retrievalAt1(Float32Array.of(1, 0), Float32Array.of(-1, 0), 2)).toBe(1);
  });

  it('agrees with a direct float64 count', () => {
    const random = new Random(5);
    const [n, m, dimensions] = [40, 90, 3];
    const candidates = randomFloats(random, m * dimensions);
    const queries = candidates.slice(0, n * dimensions).map((x) => x + 0.3 * (2 * random.uniform() - 1));
    const cosine = (i: number, j: number): number => {
      let [dot, a, b] = [0, 0, 0];
      for (let d = 0; d < dimensions; d++) {
        const [x, y] = [queries[i * dimensions + d]!, candidates[j * dimensions + d]!];
        dot += x * y;
        a += x * x;
        b += y * y;
      }
      return dot / Math.sqrt(a * b);
    };
    let hits = 0;
    for (let i = 0; i < n; i++) {
      const scores = Array.from({ length: m }, (_, j) => cosine(i, j));
      if (scores.indexOf(Math.max(...scores)) === i) hits++;
    }
    expect(hits).toBeGreaterThan(5);
    expect(hits).toBeLessThan(n);
    expect(retrievalAt1(queries, candidates, dimensions)).toBe(hits / n);
  });

  it("takes each query's own candidate by its number, which queries may share", () => {
    const candidates = Float32Array.of(1, 0, 0, 1, -1, 0);
    const queries = Float32Array.of(1, 0.1, 2, -0.1, 0.2, 1, -1, 0.5);
    expect(retrievalAt1(queries, candidates, 2, [0, 0, 1, 2])).toBe(1);
    expect(retrievalAt1(queries, candidates, 2, [0, 1, 1, 0])).toBe(0.5);
    expect(() => retrievalAt1(queries, candidates, 2, [0, 1])).toThrow(
      'own: expected one for each of 4 queries, got 2',
    );
    expect(() => retrievalAt1(queries, candidates, 2, [0, 0, 3, 0])).toThrow(
      'own[2]: expected an integer from 0 to 2, got 3',
    );
  });

  it('refuses lengths that are no matrices, and fewer candidates than queries', () => {
    const floats = (n: number) => new Float32Array(n);
    expect(() => retrievalAt1(floats(5), floats(6), 2)).toThrow(ShapeError);
    expect(() => retrievalAt1(floats(4), floats(5), 2)).toThrow(ShapeError);
    expect(() => retrievalAt1(floats(6), floats(4), 2)).toThrow(
      /^candidates: expected \[m, 2\] .*got 4 and 6 elements/,
    );
    expect(() => retrievalAt1(floats(0), floats(4), 2)).toThrow(ShapeError);
    expect(() => retrievalAt1(floats(4), floats(4), 0)).toThrow(ShapeError);
  });
});
