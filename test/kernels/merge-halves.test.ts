import { describe, expect, it } from 'vitest';
import { lerp, slerp, weightedAverage } from '../../lib/kernels/index.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { HALVES, numberOf, rounded } from '../support/rounding.ts';

/** Every number there is, in an order that puts it next to others than its neighbours. */
const EVERY = Uint16Array.from({ length: 65536 }, (_, i) => (i * 40503) & 0xffff);

const VALUES = {
  bf16: Float64Array.from({ length: 65536 }, (_, bits) => numberOf(bits, HALVES.bf16)),
  f16: Float64Array.from({ length: 65536 }, (_, bits) => numberOf(bits, HALVES.f16)),
};

/**
 * Expects Σ_i factors[i] · arrays[i] to within half a unit in the last place of an element and the error bound of
 * float32 arithmetic, (n + 2) · 2^−24 · Σ_i |factors[i] · arrays[i]|. What overflows float32 on the way is left out.
 */
function expectSum(
  result: Uint16Array,
  arrays: readonly Uint16Array[],
  factors: readonly number[],
  dtype: keyof typeof HALVES,
): void {
  const [half, values] = [HALVES[dtype], VALUES[dtype]];
  for (let i = 0; i < result.length; i++) {
    let [sum, size] = [0, 0];
    for (let k = 0; k < arrays.length; k++) {
      const term = values[arrays[k]![i]!]! * factors[k]!;
      sum += term;
      size += Math.abs(term);
    }
    const got = values[result[i]!]!;
    if (!Number.isFinite(sum)) {
      if (!Object.is(got, sum)) expect.fail(`element ${i}: expected ${sum}, got ${got}`);
      continue;
    }
    if (size >= 2 ** 128) continue;
    const slack = (arrays.length + 2) * (2 ** -24 * size + 2 ** -149);
    const [low, high] = [rounded(sum - slack, half), rounded(sum + slack, half)];
    if (!(got >= low && got <= high)) expect.fail(`element ${i}: expected ${low} to ${high} (${sum}), got ${got}`);
  }
}

describe.each(['bf16', 'f16'] as const)('merging arrays of %s', (dtype) => {
  const random = new Random(3);
  const others = [0, 1, 2].map(() => Uint16Array.from(EVERY, () => Math.floor(random.uniform() * 65536)));
  const [b, c, d] = others as [Uint16Array, Uint16Array, Uint16Array];

  it.each([0.25, 1 / 3, 0.7, -0.5, 1.75])('lerp is within its error bound for every number, weight %f', (weight) => {
    expectSum(lerp(EVERY, b, weight, { dtype }), [EVERY, b], [1 - weight, weight], dtype);
  });

  it('so are averages and sums', () => {
    for (const weights of [
      [1, 1],
      [1, 2, 3],
      [0.1, -0.2, 0.3, 0.4],
    ]) {
      const arrays = [EVERY, b, c, d].slice(0, weights.length);
      const total = weights.reduce((x, y) => x + y, 0);
      const shares = weights.map((w) => w / total);
      expectSum(weightedAverage(arrays, weights, { dtype }), arrays, shares, dtype);
      const out = new Uint16Array(EVERY.length);
      native.weightedSumNow(arrays, weights, out, dtype === 'bf16' ? 'bfloat16' : 'float16');
      expectSum(out, arrays, weights, dtype);
    }
  });

  it('gives every number where the inputs agree on it', () => {
    for (const weight of [0.1, 1 / 3, 0.7]) {
      const [same, mean] = [
        lerp(EVERY, EVERY.slice(), weight, { dtype }),
        weightedAverage([EVERY, EVERY, EVERY], [1, 2, 4], { dtype }),
      ];
      for (const result of [same, mean])
        for (let i = 0; i < EVERY.length; i++) {
          const [value, got] = [VALUES[dtype][EVERY[i]!], VALUES[dtype][result[i]!]];
          if (!Object.is(value, got)) expect.fail(`expected ${value}, got ${got}`);
        }
    }
  });

  it('copies every bit at the ends', () => {
    expect(lerp(EVERY, b, 0, { dtype })).toEqual(EVERY);
    expect(lerp(b, EVERY, 1, { dtype })).toEqual(EVERY);
    expect(slerp(b, EVERY, 1, { dtype })).toEqual(EVERY);
    expect(weightedAverage([b, EVERY, c], [0, 2, 0], { dtype })).toEqual(EVERY);
  });

  it.each([1, 7, 31, 33, 127])('does the same to %i elements, one by one', (n) => {
    // As numbers: which of two NaNs a sum hands on is the processor's affair.
    const numbers = (halves: Uint16Array) => Array.from(halves, (bits) => VALUES[dtype][bits]);
    const whole = lerp(EVERY, b, 0.3, { dtype });
    for (let i = 0; i < 65536 - n; i += 997) {
      const part = lerp(EVERY.subarray(i, i + n), b.subarray(i, i + n), 0.3, { dtype });
      expect(numbers(part)).toEqual(numbers(whole.subarray(i, i + n)));
    }
  });
});

/** Larger than what is streamed past the caches when it is written (native/cpu/stream.h). */
describe('results larger than the caches', () => {
  const pieces = 100_003;

  it.each([0, 1, 5])('float32, the output %i elements into its memory', (skew) => {
    const n = 3_000_017;
    const [a, b] = [5, 7].map((step) => Float32Array.from({ length: n }, (_, i) => ((i * step) % 1013) - 500.25));
    const memory = new Float32Array(n + 8).fill(123);
    const out = lerp(a!, b!, 0.3, { out: memory.subarray(skew, skew + n) });
    for (let at = 0; at < n; at += pieces) {
      const part = lerp(a!.subarray(at, at + pieces), b!.subarray(at, at + pieces), 0.3);
      expect(Buffer.from(part.buffer).equals(Buffer.from(out.buffer, out.byteOffset + 4 * at, part.byteLength))).toBe(
        true,
      );
    }
    expect([...memory.subarray(0, skew), ...memory.subarray(skew + n)]).toEqual(Array(8).fill(123));
  });

  it.each(['bf16', 'f16'] as const)('%s', (dtype) => {
    const n = 6_000_011;
    const [a, b] = [5, 7].map((step) => Uint16Array.from({ length: n }, (_, i) => (i * step) % 0x7000));
    const memory = new Uint16Array(n + 8).fill(123);
    const out = lerp(a!, b!, 0.3, { dtype, out: memory.subarray(3, 3 + n) });
    for (let at = 0; at < n; at += pieces) {
      const part = lerp(a!.subarray(at, at + pieces), b!.subarray(at, at + pieces), 0.3, { dtype });
      expect(Buffer.from(part.buffer).equals(Buffer.from(out.buffer, out.byteOffset + 2 * at, part.byteLength))).toBe(
        true,
      );
    }
    expect([...memory.subarray(0, 3), ...memory.subarray(3 + n)]).toEqual(Array(8).fill(123));
  });
});
