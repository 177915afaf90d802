import { describe, expect, it } from 'vitest';
import { DTypeError, ShapeError, ValueError } from '../../lib/errors.ts';
import { lerp, slerp } from '../../lib/kernels/index.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { bfloat16Bits, bfloat16Values } from '../support/half.ts';
import { largestError, randomFloats, sameBits } from '../support/random-data.ts';
import { withThreads } from '../support/tensors.ts';

/** The published formula in float64, as it is written. */
function reference(a: ArrayLike<number>, b: ArrayLike<number>, weight: number): Float64Array {
  let [aa, ab, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    aa += a[i]! * a[i]!;
    ab += a[i]! * b[i]!;
    bb += b[i]! * b[i]!;
  }
  const angle = Math.acos(ab / Math.sqrt(aa) / Math.sqrt(bb));
  const [ofA, ofB] = [Math.sin((1 - weight) * angle) / Math.sin(angle), Math.sin(weight * angle) / Math.sin(angle)];
  return Float64Array.from({ length: a.length }, (_, i) => ofA * a[i]! + ofB * b[i]!);
}

const wild = () => Float32Array.of(Number.NaN, Infinity, -Infinity, -0, 1e-45, 3.4e38, 0, -1);

describe('slerp', () => {
  it.each([2, 7, 17, 33, 1031, 70_001])('is the formula, for %i elements, and the same as Tensors', async (n) => {
    const random = new Random(n);
    const [a, b] = [randomFloats(random, n, 3), randomFloats(random, n, 0.5)];
    for (const weight of [0.25, 0.5, 1 / 3, -0.5, 1.75]) {
      const now = slerp(a, b, weight);
      // Half a unit in the last place, and what cancels: the terms are of size 3.
      expect(largestError(now, reference(a, b, weight), 1e-6)).toBeLessThan(6.1e-8);
      const later = slerp(Tensor.from(a, [n, 1]), Tensor.from(b, [n, 1]), weight);
      expect(later.shape).toEqual([n, 1]);
      expect(sameBits(await later.read(), now)).toBe(true);
    }
  });

  it('goes along the arc evenly', () => {
    const [x, y] = [Float32Array.of(1, 0), Float32Array.of(0, 1)];
    for (const weight of [0.1, 0.5, 2 / 3, 1.25, -0.25]) {
      const angle = (weight * Math.PI) / 2;
      expect(largestError(slerp(x, y, weight), [Math.cos(angle), Math.sin(angle)])).toBeLessThan(4e-8);
    }
    // Lengths change along with it: the factors are those of the directions, whatever the lengths.
    expect(largestError(slerp(x, Float32Array.of(0, 8), 0.5), [Math.SQRT1_2, 8 * Math.SQRT1_2])).toBeLessThan(4e-8);
  });

  it('goes over into lerp as the angle vanishes, without a jump', () => {
    const weight = 0.3;
    for (let angle = 0.003; angle > 1e-9; angle *= 0.83) {
      const [ofA, ofB] = native.slerpFactors([1, 1 - 2 * Math.sin(angle / 2) ** 2, 1], weight);
      // sin(kΩ) / sin Ω = k (1 + (1 − k²) Ω²/6 + (7 − 10k² + 3k⁴) Ω⁴/360 + …)
      const factor = (k: number) =>
        k * (1 + ((1 - k * k) * angle ** 2) / 6 + ((7 - 10 * k ** 2 + 3 * k ** 4) * angle ** 4) / 360);
      expect(Math.abs(ofA - factor(1 - weight))).toBeLessThan(4e-16);
      expect(Math.abs(ofB - factor(weight))).toBeLessThan(4e-16);
    }
    expect(native.slerpFactors([4, 6, 9], weight)).toEqual([1 - weight, weight]);
  });

  it('gives what the inputs agree on', () => {
    const a = randomFloats(new Random(1), 4099, 3);
    for (const weight of [0.1, 1 / 3, 0.5, 0.9]) expect(sameBits(slerp(a, a.slice(), weight), a)).toBe(true);
  });

  it('is lerp where a vector is zero or empty', () => {
    const [a, zero] = [randomFloats(new Random(1), 37), new Float32Array(37)];
    expect(sameBits(slerp(a, zero, 0.3), lerp(a, zero, 0.3))).toBe(true);
    expect(sameBits(slerp(zero, a, 0.3), lerp(zero, a, 0.3))).toBe(true);
    expect(slerp(zero, zero.slice(), 0.3)).toEqual(zero);
    expect(slerp(new Float32Array(0), new Float32Array(0), 0.5)).toHaveLength(0);
  });

  it('is its ends bit for bit at 0 and 1, whatever the other holds', async () => {
    const nothing = new Float32Array(8).fill(Number.NaN);
    for (const [a, b, weight] of [
      [wild(), nothing, 0],
      [nothing, wild(), 1],
    ] as const) {
      expect(sameBits(slerp(a, b, weight), wild())).toBe(true);
      expect(sameBits(await slerp(Tensor.from(a, [8]), Tensor.from(b, [8]), weight).read(), wild())).toBe(true);
    }
    const a = randomFloats(new Random(2), 9);
    const opposite = a.map((x) => -x);
    expect(sameBits(slerp(a, opposite, 0), a)).toBe(true);
    expect(sameBits(slerp(a, opposite, 1), opposite)).toBe(true);
  });

  it('refuses opposite directions, also after rounding, and takes nearly opposite ones', async () => {
    const a = randomFloats(new Random(3), 1001);
    for (const factor of [-1, -2, -1 / 3, -1e-20]) {
      const b = a.map((x) => x * factor);
      expect(() => slerp(a, b, 0.5)).toThrow(/^b: expected a direction that is not the opposite of that of a/);
      await expect(slerp(Tensor.from(a, [1001]), Tensor.from(b, [1001]), 0.5).read()).rejects.toThrow(ValueError);
    }
    const bent = a.map((x, i) => -x + (i === 0 ? 0.1 : 0));
    expect(largestError(slerp(a, bent, 0.25), reference(a, bent, 0.25))).toBeLessThan(1e-6);
  });

  it('refuses what is not finite, by its name', async () => {
    const good = randomFloats(new Random(4), 70);
    for (const value of [Number.NaN, Infinity, -Infinity]) {
      const bad = good.slice();
      bad[66] = value;
      expect(() => slerp(bad, good, 0.5)).toThrow(/^a: expected finite numbers, got NaN or Infinity/);
      expect(() => slerp(good, bad, 0.5)).toThrow(/^b: expected finite numbers/);
      await expect(slerp(Tensor.from(good, [70]), Tensor.from(bad, [70]), 0.5).read()).rejects.toThrow('b: expected');
    }
  });

  it('neither overflows nor underflows in its sums', () => {
    for (const size of [3e38, 1e-38]) {
      const [a, b] = [Float32Array.of(size, 0), Float32Array.of(0, size)];
      const expected = [size * Math.SQRT1_2, size * Math.SQRT1_2];
      expect(largestError(slerp(a, b, 0.5), expected, 0)).toBeLessThan(1e-6);
    }
  });

  it('may write over either input', () => {
    const [a, b] = [randomFloats(new Random(5), 45), randomFloats(new Random(6), 45)];
    const expected = slerp(a, b, 0.4);
    const [a2, b2] = [a.slice(), b.slice()];
    expect(slerp(a2, b, 0.4, { out: a2 })).toBe(a2);
    expect(slerp(a, b2, 0.4, { out: b2 })).toBe(b2);
    expect(sameBits(a2, expected) && sameBits(b2, expected)).toBe(true);
  });

  it('takes bfloat16', () => {
    const random = new Random(7);
    const [a, b] = [bfloat16Bits(randomFloats(random, 999)), bfloat16Bits(randomFloats(random, 999))];
    const result = bfloat16Values(slerp(a, b, 0.3, { dtype: 'bf16' }));
    expect(largestError(result, reference(bfloat16Values(a), bfloat16Values(b), 0.3), 1e-4)).toBeLessThan(2 ** -8);
  });

  it('does not depend on the thread count', async () => {
    const random = new Random(8);
    const [a, b] = [randomFloats(random, 300_007), randomFloats(random, 300_007)];
    const { one, all } = await withThreads(async () => [
      slerp(a, b, 0.3),
      Float32Array.from(native.scalarProductsNow(a, b, 'float32')),
    ]);
    one.forEach((values, i) => {
      expect(sameBits(values, all[i]!)).toBe(true);
    });
  });

  it('refuses what does not fit', () => {
    const a = new Float32Array(4).fill(1);
    expect(() => slerp(a, new Float32Array(3), 0.5)).toThrow('b: expected [elements] = [4], got 3 elements');
    expect(() => slerp(a, a, 0.5, { out: new Float32Array(5) })).toThrow(ShapeError);
    expect(() => slerp(a, a, Number.NaN)).toThrow('weight: expected a finite number');
    expect(() => slerp(a, new Uint16Array(4) as unknown as Float32Array, 0.5)).toThrow(DTypeError);
    const memory = new Float32Array(8);
    expect(() => slerp(memory.subarray(0, 4), a, 0.5, { out: memory.subarray(1, 5) })).toThrow('partial overlap');
    expect(() => native.slerpNow(a, a, 0.5, new Float32Array(3), 'float32')).toThrow(ShapeError);
    const t = Tensor.from(a, [4]);
    expect(() => slerp(t, Tensor.from(a, [2, 2]), 0.5)).toThrow('b: expected the shape of a, [4], got [2, 2]');
  });
});

describe('what merging in pieces is made of', () => {
  it('scalar products, of every type', () => {
    const random = new Random(9);
    const [a, b] = [randomFloats(random, 100_003), randomFloats(random, 100_003)];
    // By halves, so that the reference's own error is as small.
    const product = (x: Float32Array, y: Float32Array): number =>
      x.length < 2
        ? (x[0] ?? 0) * (y[0] ?? 0)
        : product(x.subarray(0, x.length >> 1), y.subarray(0, x.length >> 1)) +
          product(x.subarray(x.length >> 1), y.subarray(x.length >> 1));
    const near = (got: readonly number[], x: Float32Array, y: Float32Array) =>
      [[x, x] as const, [x, y] as const, [y, y] as const].forEach(([u, v], k) => {
        const size = product(u.map(Math.abs), v.map(Math.abs));
        // Up to 8,192 additions, one after the other, err by 2⁻⁴⁰ of the terms' sizes at worst.
        expect(Math.abs(got[k]! - product(u, v))).toBeLessThan(2 ** -44 * size);
      });
    near(native.scalarProductsNow(a, b, 'float32'), a, b);
    const [x, y] = [bfloat16Bits(a), bfloat16Bits(b)];
    near(native.scalarProductsNow(x, y, 'bfloat16'), bfloat16Values(x), bfloat16Values(y));
    expect(native.scalarProductsNow(new Float32Array(0), new Float32Array(0), 'float32')).toEqual([0, 0, 0]);
    expect(() => native.scalarProductsNow(a, b.subarray(1), 'float32')).toThrow(ShapeError);
  });

  it('sums, which are not divided by their coefficients', () => {
    const [a, b] = [Float32Array.of(1, 2, 3), Float32Array.of(10, Number.NaN, -30)];
    const out = new Float32Array(3).fill(9);
    native.weightedSumNow([a, b], [0, 0], out, 'float32');
    expect([...out]).toEqual([0, 0, 0]);
    native.weightedSumNow([a, b], [2, 0], out, 'float32');
    expect([...out]).toEqual([2, 4, 6]);
    native.weightedSumNow([a, b, a], [2, 1, 1], out, 'float32');
    expect([...out]).toEqual([13, Number.NaN, -21]);
    expect(() => native.weightedSumNow([a, b], [1], out, 'float32')).toThrow('coefficients: expected 2, one per input');
    expect(() => native.weightedSumNow([a], [Infinity], out, 'float32')).toThrow('coefficients: expected a finite');
  });
});
