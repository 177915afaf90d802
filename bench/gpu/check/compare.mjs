// Whether a GPU's result is the CPU's.
import { numbers } from './inputs.mjs';

// Of random draws, the share that rounding may decide otherwise.
const DRAWS_THAT_MAY_DIFFER = 0.01;
export const TOLERANCE = { float32: 2e-6, bfloat16: 1 / 128 };

/** The largest |actual − expected| / (|expected| + root mean square); infinite where one of them is no number. */
export function largestError(actual, expected) {
  let squares = 0;
  let finite = 0;
  for (const value of expected) {
    if (!Number.isFinite(value)) continue;
    squares += value * value;
    finite++;
  }
  const size = Math.sqrt(squares / Math.max(1, finite));
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(actual[i], expected[i])) continue;
    const error = Math.abs(actual[i] - expected[i]) / (Math.abs(expected[i]) + size);
    if (!(error <= worst)) worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
  }
  return worst;
}

function countDifferences(actual, expected) {
  let differing = 0;
  for (let i = 0; i < expected.length; i++) if (actual[i] !== expected[i]) differing++;
  return differing;
}

/**
 * @typedef {{ shape: readonly number[], dtype: string, data: ArrayLike<number> }} Result
 *
 * @param {readonly Result[]} actual
 * @param {readonly Result[]} expected
 * @returns {{ error: number, faults: string[] }} the largest error of a float, and what is wrong
 */
export function compare(actual, expected, { tolerance = TOLERANCE.float32, bfloat16Tolerance, drawn = false }) {
  const faults = [];
  let worst = 0;
  if (actual.length !== expected.length) faults.push(`expected ${expected.length} results, got ${actual.length}`);
  // Rows whose token was drawn differently say nothing about their log-probability.
  const moved =
    drawn && expected.some(({ dtype, data }, i) => dtype === 'int32' && countDifferences(actual[i].data, data));
  expected.forEach((want, i) => {
    const got = actual[i];
    if (!got) return;
    if (got.dtype !== want.dtype || got.shape.join() !== want.shape.join()) {
      faults.push(`result ${i}: expected ${want.dtype} [${want.shape}], got ${got.dtype} [${got.shape}]`);
      return;
    }
    if (want.dtype === 'int32' || want.dtype === 'float16') {
      const differing = countDifferences(got.data, want.data);
      const allowed = drawn ? Math.ceil(DRAWS_THAT_MAY_DIFFER * want.data.length) : 0;
      if (differing > allowed) faults.push(`result ${i}: ${differing} of ${want.data.length} integers differ`);
      return;
    }
    const [a, e] = [got, want].map(({ data }) => numbers(want.dtype, data));
    if (moved) {
      const close = e.filter((value, k) => largestError([a[k]], [value]) <= tolerance).length;
      if (e.length - close > Math.ceil(DRAWS_THAT_MAY_DIFFER * e.length))
        faults.push(`result ${i}: ${e.length - close} of ${e.length} log-probabilities differ`);
      return;
    }
    const error = largestError(a, e);
    const limit = want.dtype === 'bfloat16' ? (bfloat16Tolerance ?? TOLERANCE.bfloat16) : tolerance;
    worst = Math.max(worst, error);
    if (!(error <= limit))
      faults.push(`result ${i} (${want.dtype}): error ${error.toExponential(1)} > ${limit.toExponential(1)}`);
  });
  return { error: worst, faults };
}
