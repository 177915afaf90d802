import { describe, expect, it } from 'vitest';
import { ShapeError, ValueError } from '../../lib/errors.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { largestError, randomFloats, sameBits } from '../support/random-data.ts';
import { centralDifferences, dot, floats, readFloats, withThreads } from '../support/tensors.ts';

const epsilon = 1e-5;
const shapes: [number, number][] = [
  [1, 1],
  [3, 7],
  [2, 17],
  [5, 33],
  [3, 67],
];

type Numbers = ArrayLike<number>;

/** Applies `normalise` to each row of n. */
function byRow(x: Numbers, n: number, normalise: (row: number[]) => number[]): Float64Array {
  const out = new Float64Array(x.length);
  for (let r = 0; r < x.length / n; r++) out.set(normalise(Array.from({ length: n }, (_, i) => x[r * n + i]!)), r * n);
  return out;
}

function layerNorm(x: Numbers, gain: Numbers, bias: Numbers | null): Float64Array {
  const n = gain.length;
  return byRow(x, n, (row) => {
    const mean = row.reduce((a, b) => a + b, 0) / n;
    const variance = row.reduce((a, b) => a + (b - mean) ** 2, 0) / n;
    return row.map((v, i) => ((v - mean) / Math.sqrt(variance + epsilon)) * gain[i]! + (bias ? bias[i]! : 0));
  });
}

function rmsNorm(x: Numbers, gain: Numbers): Float64Array {
  const n = gain.length;
  return byRow(x, n, (row) => {
    const square = row.reduce((a, b) => a + b * b, 0) / n;
    return row.map((v, i) => (v / Math.sqrt(square + epsilon)) * gain[i]!);
  });
}

function l2Normalize(x: Numbers, n: number): Float64Array {
  return byRow(x, n, (row) => {
    const norm = Math.sqrt(row.reduce((a, b) => a + b * b, 0));
    return row.map((v) => (norm === 0 ? 0 : v / norm));
  });
}

function data(rows: number, n: number) {
  const random = new Random(rows * 1000 + n);
  return {
    x: randomFloats(random, rows * n, 2),
    gain: randomFloats(random, n).map((v) => v + 1.5),
    bias: randomFloats(random, n),
    grad: randomFloats(random, rows * n),
  };
}

describe('layer norm', () => {
  it.each(shapes)('forward matches float64 on %i × %i', async (rows, n) => {
    const { x, gain, bias } = data(rows, n);
    for (const b of [bias, null]) {
      const [y, mean, inverse] = native.layerNormForward(
        floats([rows, n], x),
        floats([n], gain),
        b && floats([n], b),
        epsilon,
      );
      expect(largestError(await readFloats(y), layerNorm(x, gain, b), 1)).toBeLessThan(1e-6);
      expect([mean.shape(), inverse.shape()]).toEqual([[rows], [rows]]);
    }
  });

  it.each(shapes)('backward matches central differences on %i × %i', async (rows, n) => {
    const { x, gain, bias, grad } = data(rows, n);
    const X = floats([rows, n], x);
    const G = floats([n], gain);
    const [, mean, inverse] = native.layerNormForward(X, G, floats([n], bias), epsilon);
    const [gradX, gradGain, gradBias] = native.layerNormBackward(floats([rows, n], grad), X, G, mean, inverse, true);
    const inX = centralDifferences((v) => dot(layerNorm(v, gain, bias), grad), x);
    // Its terms are as large as the inverse deviation (316 for n = 1, where they cancel), and are rounded at that size.
    const size = Math.max(1, ...(await readFloats(inverse)));
    expect(largestError(await readFloats(gradX), inX, 0.1 * size)).toBeLessThan(1e-5);
    const inGain = centralDifferences((v) => dot(layerNorm(x, v, bias), grad), gain);
    expect(largestError(await readFloats(gradGain), inGain, 0.1)).toBeLessThan(1e-5);
    const inBias = centralDifferences((v) => dot(layerNorm(x, gain, v), grad), bias);
    expect(largestError(await readFloats(gradBias!), inBias, 0.1)).toBeLessThan(1e-5);
    const [again, , none] = native.layerNormBackward(floats([rows, n], grad), X, G, mean, inverse, false);
    expect(none).toBeNull();
    expect(sameBits(await readFloats(again), await readFloats(gradX))).toBe(true);
  });

  it('holds for rows far from zero and keeps leading dimensions', async () => {
    const n = 40;
    const x = randomFloats(new Random(9), 6 * n).map((v) => v + 1000);
    const gain = new Float32Array(n).fill(1);
    const [y] = native.layerNormForward(floats([2, 3, n], x), floats([n], gain), null, epsilon);
    expect(y.shape()).toEqual([2, 3, n]);
    // The mean is rounded to float32: an absolute error of 3e-5 beside a deviation of 0.6.
    expect(largestError(await readFloats(y), layerNorm(x, gain, null), 1)).toBeLessThan(6e-5);
  });
});

describe('RMS norm', () => {
  it.each(shapes)('forward and backward match float64 on %i × %i', async (rows, n) => {
    const { x, gain, grad } = data(rows, n);
    const X = floats([rows, n], x);
    const G = floats([n], gain);
    const [y, inverse] = native.rmsNormForward(X, G, epsilon);
    expect(largestError(await readFloats(y), rmsNorm(x, gain), 1)).toBeLessThan(1e-6);
    const [gradX, gradGain] = native.rmsNormBackward(floats([rows, n], grad), X, G, inverse);
    const inX = centralDifferences((v) => dot(rmsNorm(v, gain), grad), x);
    expect(largestError(await readFloats(gradX), inX, 0.1)).toBeLessThan(1e-5);
    const inGain = centralDifferences((v) => dot(rmsNorm(x, v), grad), gain);
    expect(largestError(await readFloats(gradGain), inGain, 0.1)).toBeLessThan(1e-5);
  });
});

describe('L2 normalisation', () => {
  it.each(shapes)('forward and backward match float64 on %i × %i', async (rows, n) => {
    const { x, grad } = data(rows, n);
    const [y, inverse] = native.l2NormalizeForward(floats([rows, n], x));
    expect(largestError(await readFloats(y), l2Normalize(x, n), 0.01)).toBeLessThan(1e-6);
    const gradX = native.l2NormalizeBackward(floats([rows, n], grad), y, inverse);
    const inX = centralDifferences((v) => dot(l2Normalize(v, n), grad), x);
    expect(largestError(await readFloats(gradX), inX, 0.1)).toBeLessThan(1e-5);
  });

  it('keeps zero rows zero and survives extreme lengths', async () => {
    const [y, inverse] = native.l2NormalizeForward(floats([3, 2], [0, 0, 3e30, -4e30, 3e-30, 4e-30]));
    expect(largestError(await readFloats(y), [0, 0, 0.6, -0.8, 0.6, 0.8], 0)).toBeLessThan(1e-6);
    expect((await readFloats(inverse))[0]).toBe(0);
    const gradX = await readFloats(native.l2NormalizeBackward(floats([3, 2], Array(6).fill(1)), y, inverse));
    expect([...gradX.subarray(0, 2)]).toEqual([0, 0]);
    expect(gradX.every(Number.isFinite)).toBe(true);
  });
});

describe('norms', () => {
  it('sum gain and bias gradients over many rows, whatever the thread count', async () => {
    const [rows, n] = [1500, 37];
    const { x, gain, bias, grad } = data(rows, n);
    const X = floats([rows, n], x);
    const G = floats([n], gain);
    const { one, all } = await withThreads(async () => {
      const [y, mean, inverse] = native.layerNormForward(X, G, floats([n], bias), epsilon);
      const layer = native.layerNormBackward(floats([rows, n], grad), X, G, mean, inverse, true);
      const [z, inverseRms] = native.rmsNormForward(X, G, epsilon);
      const rms = native.rmsNormBackward(floats([rows, n], grad), X, G, inverseRms);
      const [unit, inverseNorm] = native.l2NormalizeForward(X);
      const l2 = native.l2NormalizeBackward(floats([rows, n], grad), unit, inverseNorm);
      return Promise.all([y, ...layer, z, ...rms, unit, l2].map((t) => readFloats(t!)));
    });
    expect(one.length).toBe(9);
    one.forEach((values, i) => {
      expect(sameBits(values, all[i]!)).toBe(true);
    });
    const unit = layerNorm(x, new Float32Array(n).fill(1), null);
    // The terms cancel, so the error is measured by the sum of their magnitudes.
    for (let j = 0; j < n; j++) {
      const terms = Array.from({ length: rows }, (_, r) => unit[r * n + j]! * grad[r * n + j]!);
      const magnitude = terms.reduce((a, b) => a + Math.abs(b), 0);
      expect(Math.abs(one[2]![j]! - terms.reduce((a, b) => a + b, 0))).toBeLessThan(2e-7 * magnitude);
    }
  });

  it('of no rows give zero gradients of the gain', async () => {
    const [gradX, gradGain] = native.rmsNormBackward(
      floats([0, 3], []),
      floats([0, 3], []),
      floats([3], [1, 1, 1]),
      floats([0], []),
    );
    expect(gradX.shape()).toEqual([0, 3]);
    expect([...(await readFloats(gradGain))]).toEqual([0, 0, 0]);
  });

  it('refuse what does not fit', () => {
    const x = floats([2, 3], Array(6).fill(1));
    const gain = floats([3], [1, 1, 1]);
    const rows = floats([2], [0, 0]);
    expect(() => native.layerNormForward(x, floats([2], [1, 1]), null, epsilon)).toThrow('gain: expected [3], got [2]');
    expect(() => native.layerNormForward(x, gain, floats([4], [1, 1, 1, 1]), epsilon)).toThrow('bias: expected [3]');
    expect(() => native.rmsNormForward(x, gain, 0)).toThrow(ValueError);
    expect(() => native.rmsNormForward(x, gain, Number.NaN)).toThrow(ValueError);
    expect(() => native.l2NormalizeForward(floats([2, 0], []))).toThrow(ShapeError);
    expect(() => native.l2NormalizeForward(floats([], [1]))).toThrow(ShapeError);
    expect(() => native.layerNormBackward(rows, x, gain, rows, rows, true)).toThrow('gradY: expected [2, 3], got [2]');
    expect(() => native.layerNormBackward(x, x, gain, gain, rows, true)).toThrow('mean: expected [2], got [3]');
    expect(() => native.rmsNormBackward(x, x, gain, gain)).toThrow('inverseRms: expected [2], got [3]');
    expect(() => native.l2NormalizeBackward(x, x, gain)).toThrow('inverseNorm: expected [2], got [3]');
  });
});
