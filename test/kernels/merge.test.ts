import { describe, expect, it } from 'vitest';
import { DTypeError, ShapeError, ValueError } from '../../lib/errors.ts';
import { lerp, weightedAverage } from '../../lib/kernels/index.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { randomFloats, sameBits } from '../support/random-data.ts';

const sizes = [0, 1, 3, 7, 16, 17, 33, 1031, 70_001];
const wild = () => Float32Array.of(Number.NaN, Infinity, -Infinity, -0, 1e-45, 3.4e38, 0, -1);

/** Neighbouring float32 numbers differ by 1. */
function steps(a: number, b: number): number {
  const bits = new Int32Array(Float32Array.of(a, b).buffer);
  const order = (x: number) => (x < 0 ? -(x & 0x7fffffff) : x);
  return Math.abs(order(bits[0]!) - order(bits[1]!));
}

describe('lerp', () => {
  it.each(sizes)('is rounded once from float64, for %i elements, and the same as Tensors', async (n) => {
    const random = new Random(n);
    const a = randomFloats(random, n, 3);
    const b = randomFloats(random, n, 3);
    for (const weight of [0.25, 0.5, 1 / 3, -0.5, 1.75]) {
      const now = lerp(a, b, weight);
      for (let i = 0; i < n; i++) {
        const exact = (1 - weight) * a[i]! + weight * b[i]!;
        if (steps(now[i]!, Math.fround(exact)) > 1) expect(now[i]).toBe(Math.fround(exact));
      }
      const later = lerp(Tensor.from(a, [n, 1]), Tensor.from(b, [n, 1]), weight);
      expect(later.shape).toEqual([n, 1]);
      expect(sameBits(await later.read(), now)).toBe(true);
    }
  });

  it('is its ends bit for bit at 0 and 1, whatever the other holds', async () => {
    const other = new Float32Array(8).fill(Number.NaN);
    for (const [a, b, weight, end] of [
      [wild(), other, 0, wild()],
      [other, wild(), 1, wild()],
      [wild(), other, -0, wild()],
    ] as const) {
      expect(sameBits(lerp(a, b, weight), end)).toBe(true);
      const later = lerp(Tensor.from(a, [8]), Tensor.from(b, [8]), weight);
      expect(sameBits(await later.read(), end)).toBe(true);
      expect(sameBits(lerp(a.slice(), b.slice(), weight, { out: new Float32Array(8) }), end)).toBe(true);
      const [a2, b2] = [a.slice(), b.slice()];
      expect(sameBits(lerp(a2, b2, weight, { out: a2 }), end)).toBe(true);
      const [a3, b3] = [a.slice(), b.slice()];
      expect(sameBits(lerp(a3, b3, weight, { out: b3 }), end)).toBe(true);
    }
  });

  it('agrees with its inputs where they agree, and does not overflow between them', () => {
    const same = Float32Array.of(0.1, -0, 1 / 3, 3.4e38, Infinity, 1e-45);
    for (const weight of [0.1, 0.3, 0.7]) expect(sameBits(lerp(same, same.slice(), weight), same)).toBe(true);
    expect(lerp(Float32Array.of(3e38), Float32Array.of(-3e38), 0.5)[0]).toBe(0);
  });

  it('takes views and writes nothing beside its output', () => {
    const memory = randomFloats(new Random(2), 100);
    const copy = memory.slice();
    const [a, b] = [memory.subarray(1, 38), memory.subarray(40, 77)];
    const expected = lerp(a.slice(), b.slice(), 0.3);
    expect(lerp(a, b, 0.3, { out: a })).toBe(a);
    expect(sameBits(a, expected)).toBe(true);
    expect(memory[0]).toBe(copy[0]);
    expect(sameBits(memory.subarray(38), copy.subarray(38))).toBe(true);
  });

  it('refuses what does not fit', () => {
    const a = new Float32Array(4);
    expect(() => lerp(a, new Float32Array(3), 0.5)).toThrow('b: expected [elements] = [4], got 3 elements');
    expect(() => lerp(a, a, 0.5, { out: new Float32Array(5) })).toThrow(ShapeError);
    expect(() => lerp(a, a, Number.NaN)).toThrow('weight: expected a finite number');
    expect(() => lerp(a, a, '1' as unknown as number)).toThrow(ValueError);
    expect(() => lerp(a, new Float64Array(4) as unknown as Float32Array, 0.5)).toThrow(DTypeError);
    expect(() => lerp(a, a, 0.5, { output: a } as { out?: Float32Array })).toThrow("unknown key 'output'");
    const memory = new Float32Array(8);
    expect(() => lerp(memory.subarray(0, 4), a, 0.5, { out: memory.subarray(1, 5) })).toThrow('partial overlap');
    expect(() => lerp(a, memory.subarray(2, 6), 0.5, { out: memory.subarray(1, 5) })).toThrow(ValueError);
    expect(() => native.lerpNow(a, a, 0.5, new Float32Array(3), 'float32')).toThrow(ShapeError);
    const t = Tensor.from(a, [4]);
    expect(() => lerp(t, Tensor.from(a, [2, 2]), 0.5)).toThrow('b: expected the shape of a, [4], got [2, 2]');
    expect(() => lerp(t, a as unknown as Tensor, 0.5)).toThrow(DTypeError);
    expect(() => lerp(t, t, Infinity)).toThrow(ValueError);
    const gone = Tensor.from(a, [4]);
    gone.dispose();
    expect(() => lerp(t, gone, 0.5)).toThrow(ValueError);
  });
});

describe('weightedAverage', () => {
  it.each(sizes)('is rounded once from float64, for %i elements, and the same as Tensors', async (n) => {
    const random = new Random(n + 7);
    const arrays = Array.from({ length: 4 }, () => randomFloats(random, n, 3));
    for (const weights of [
      [1, 1, 1, 1],
      [0.1, 0.2, 0.3, 0.4],
      [3, 0, -1, 2],
    ]) {
      const total = weights.reduce((x, y) => x + y, 0);
      const now = weightedAverage(arrays, weights);
      for (let i = 0; i < n; i++) {
        const exact = arrays.reduce((sum, array, k) => sum + (weights[k]! * array[i]!) / total, 0);
        if (steps(now[i]!, Math.fround(exact)) > 1) expect(now[i]).toBe(Math.fround(exact));
      }
      const later = weightedAverage(
        arrays.map((array) => Tensor.from(array, [1, n])),
        weights,
      );
      expect(later.shape).toEqual([1, n]);
      expect(sameBits(await later.read(), now)).toBe(true);
    }
  });

  it('gives the one array that the weights leave, bit for bit', async () => {
    const other = new Float32Array(8).fill(Number.NaN);
    for (const weights of [
      [0, 1, 0],
      [0, 2.5, -0],
      [0, -1, 0],
    ]) {
      const arrays = [other, wild(), other];
      expect(sameBits(weightedAverage(arrays, weights), wild())).toBe(true);
      const later = weightedAverage(
        arrays.map((array) => Tensor.from(array, [8])),
        weights,
      );
      expect(sameBits(await later.read(), wild())).toBe(true);
      expect(sameBits(weightedAverage(arrays, weights, { out: arrays[1]! }), wild())).toBe(true);
    }
    expect(sameBits(weightedAverage([wild()], [1]), wild())).toBe(true);
    // The same array twice may be the output too.
    const twice = randomFloats(new Random(1), 19);
    const before = twice.slice();
    expect(sameBits(weightedAverage([twice, twice], [1, 3], { out: twice }), before)).toBe(true);
  });

  it.each([0, 1, 2])('may write over input %i', (k) => {
    const arrays = Array.from({ length: 3 }, (_, i) => randomFloats(new Random(i), 45));
    const expected = weightedAverage(arrays, [1, 2, 4]);
    expect(weightedAverage(arrays, [1, 2, 4], { out: arrays[k]! })).toBe(arrays[k]);
    expect(sameBits(arrays[k]!, expected)).toBe(true);
  });

  it('equals lerp for two', () => {
    const [a, b] = [randomFloats(new Random(1), 500), randomFloats(new Random(2), 500)];
    expect(sameBits(weightedAverage([a, b], [0.75, 0.25]), lerp(a, b, 0.25))).toBe(true);
  });

  it('refuses what does not fit', () => {
    const a = new Float32Array(4);
    expect(() => weightedAverage([], [])).toThrow('arrays: expected at least one, got none');
    expect(() => weightedAverage([a, a], [1])).toThrow('weights: expected [arrays] = [2], got 1 elements');
    expect(() => weightedAverage([a, new Float32Array(5)], [1, 1])).toThrow(
      'arrays[1]: expected [elements] = [4], got 5 elements',
    );
    expect(() => weightedAverage([a, a], [1, -1])).toThrow('weights: expected a finite sum other than 0, got 0');
    expect(() => weightedAverage([a, a], [1, Number.NaN])).toThrow(ValueError);
    expect(() => weightedAverage([a, 3 as unknown as Float32Array], [1, 1])).toThrow(
      'arrays[1]: expected a Float32Array',
    );
    expect(() => weightedAverage(a as unknown as Float32Array[], [1])).toThrow('arrays: expected an array');
    expect(() => weightedAverage([a], 1 as unknown as number[])).toThrow('weights: expected an array');
    expect(() => weightedAverage([a], [1], { into: a } as { out?: Float32Array })).toThrow("unknown key 'into'");
    const memory = new Float32Array(8);
    expect(() => weightedAverage([a, memory.subarray(0, 4)], [1, 1], { out: memory.subarray(3, 7) })).toThrow(
      'exactly that of arrays[1]',
    );
    expect(() => native.weightedAverageNow([a, a], [1, 1], new Float32Array(3), 'float32')).toThrow(ShapeError);
    expect(() => weightedAverage([Tensor.from(a, [4]), Tensor.from(a, [2, 2])], [1, 1])).toThrow(
      'arrays[1]: expected the shape of arrays[0], [4], got [2, 2]',
    );
    expect(() => weightedAverage([Tensor.from(a, [4]), a as unknown as Tensor], [1, 1])).toThrow(DTypeError);
  });
});
