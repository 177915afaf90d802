import { describe, expect, test } from 'vitest';
import { ShapeError, ValueError } from '../lib/errors.ts';
import { mapOf } from '../lib/evaluation/projection.ts';
import { Random } from '../lib/random.ts';

/** Rows whose principal directions are known: independent scores along orthonormal directions. */
function known(n: number, dimensions: number, spreads: readonly number[]) {
  const random = new Random(3);
  const axes = spreads.map((_, axis) => {
    // Rows of a Hadamard-like matrix of cosines (the discrete cosine transform) are orthonormal.
    const scale = Math.sqrt(2 / dimensions);
    return Array.from(
      { length: dimensions },
      (_, i) => scale * Math.cos((Math.PI * (i + 0.5) * (axis + 1)) / dimensions),
    );
  });
  // Scores that are centred and uncorrelated, by the same transform over the rows.
  const scores = spreads.map((spread, axis) =>
    Array.from({ length: n }, (_, i) => spread * Math.sqrt(2 / n) * Math.cos((Math.PI * (i + 0.5) * (axis + 1)) / n)),
  );
  const offset = Array.from({ length: dimensions }, () => 10 * random.uniform());
  const rows = new Float32Array(n * dimensions);
  for (let i = 0; i < n; i++) {
    for (let d = 0; d < dimensions; d++) {
      rows[i * dimensions + d] = spreads.reduce((sum, _, a) => sum + scores[a]![i]! * axes[a]![d]!, offset[d]!);
    }
  }
  return { rows, scores };
}

const column = (places: Float32Array, axis: number) => Array.from(places).filter((_, i) => i % 2 === axis);
const square = (values: readonly number[]) => values.reduce((sum, value) => sum + value * value, 0);

describe('mapOf', () => {
  test.each([
    [40, 16, [9, 5, 3, 1]],
    [12, 64, [4, 3.9, 3.8, 3.7, 0.5]],
    [30, 3, [3, 1]],
  ])('finds the two directions that vary most, of %i rows of %i', (n, dimensions, spreads) => {
    const { rows, scores } = known(n, dimensions, spreads);
    const places = mapOf(rows, dimensions);
    expect(places).toHaveLength(2 * n);
    for (const axis of [0, 1]) {
      const found = column(places, axis);
      const sign = Math.sign(found.reduce((sum, value, i) => sum + value * scores[axis]![i]!, 0));
      found.forEach((value, i) => expect(value).toBeCloseTo(sign * scores[axis]![i]!, 4));
    }
  });

  test('keeps as much variance as any two directions can, on rows of no structure', () => {
    const random = new Random(8);
    const [n, d] = [60, 24];
    const rows = Float32Array.from({ length: n * d }, () => random.uniform());
    const places = mapOf(rows, d);
    const kept = [0, 1].map((axis) => square(column(places, axis)));
    // The two largest eigenvalues by plain power iteration with deflation on the scatter matrix.
    const mean = Array.from({ length: d }, (_, j) => rows.reduce((sum, x, i) => (i % d === j ? sum + x / n : sum), 0));
    const scatter = Array.from({ length: d }, (_, a) =>
      Array.from({ length: d }, (_, b) => {
        let sum = 0;
        for (let i = 0; i < n; i++) sum += (rows[i * d + a]! - mean[a]!) * (rows[i * d + b]! - mean[b]!);
        return sum;
      }),
    );
    const eigenvalues = [0, 1].map(() => {
      let v = Array.from({ length: d }, (_, i) => Math.sin(i + 1));
      let value = 0;
      for (let step = 0; step < 5000; step++) {
        const w = scatter.map((row) => row.reduce((sum, x, j) => sum + x * v[j]!, 0));
        value = Math.sqrt(square(w));
        v = w.map((x) => x / value);
      }
      scatter.forEach((row, a) => row.forEach((_, b) => (row[b]! -= value * v[a]! * v[b]!)));
      return value;
    });
    kept.forEach((value, axis) => expect(value / eigenvalues[axis]!).toBeCloseTo(1, 5));
    expect(kept[0]!).toBeGreaterThan(kept[1]!);
  });

  test('is the same every time, whatever sign the rows have', () => {
    const { rows } = known(20, 8, [3, 2]);
    expect(mapOf(rows, 8)).toEqual(mapOf(rows.slice(), 8));
    const mirrored = mapOf(
      rows.map((value) => -value),
      8,
    );
    mapOf(rows, 8).forEach((value, i) => expect(mirrored[i]).toBeCloseTo(-value, 4));
  });

  test('places what does not vary in the middle', () => {
    expect(Array.from(mapOf(Float32Array.of(1, 2, 3), 3))).toEqual([0, 0]);
    expect(Array.from(mapOf(Float32Array.of(1, 2, 1, 2, 1, 2), 2))).toEqual([0, 0, 0, 0, 0, 0]);
    expect(Array.from(mapOf(Float32Array.of(1, 4), 1))).toEqual([-1.5, 0, 1.5, 0]);
    expect(mapOf(new Float32Array(0), 5)).toHaveLength(0);
    // On a line: the second direction is empty.
    const line = mapOf(Float32Array.of(0, 0, 3, 4, 6, 8), 2);
    expect(column(line, 0)).toEqual([-5, 0, 5]);
    expect(square(column(line, 1))).toBeLessThan(1e-9);
  });

  test('refuses what is no set of rows', () => {
    expect(() => mapOf(new Float32Array(5), 2)).toThrow(ShapeError);
    expect(() => mapOf(new Float32Array(5), 2)).toThrow('embeddings: expected rows of 2 values, got 5 values in all');
    expect(() => mapOf(new Float32Array(4), 0)).toThrow('dimensions: expected an integer of at least 1, got 0');
    expect(() => mapOf(Float32Array.of(0, Number.NaN), 1)).toThrow(ValueError);
    expect(() => mapOf(Float32Array.of(0, Number.NaN), 1)).toThrow('embeddings[1]: expected a finite number, got NaN');
  });
});
