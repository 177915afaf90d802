import type { Random } from '../../lib/random.ts';

/** `count` numbers drawn uniformly from [−scale, scale), rounded to float32. */
export function randomFloats(random: Random, count: number, scale = 1): Float32Array {
  return Float32Array.from({ length: count }, () => (2 * random.uniform() - 1) * scale);
}

/** The largest |actual − expected| / (|expected| + floor); NaN anywhere gives Infinity. */
export function largestError(actual: ArrayLike<number>, expected: ArrayLike<number>, floor = 1): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i]!;
    const e = expected[i]!;
    if (a === e) continue;
    const error = Math.abs(a - e) / (Math.abs(e) + floor);
    if (!(error <= worst)) worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
  }
  return worst;
}

/** Whether two arrays hold the same bits (so −0 differs from 0, and NaN equals itself). */
export function sameBits(a: Float32Array, b: Float32Array): boolean {
  const bytes = (x: Float32Array) => Buffer.from(x.buffer, x.byteOffset, x.byteLength);
  return bytes(a).equals(bytes(b));
}
