import { describe, expect, it } from 'vitest';
import { chiSquareP, upperGamma } from './chi-square.ts';

describe('the chi-square test of the tests', () => {
  it('knows closed forms of the incomplete gamma function', () => {
    for (const x of [0.1, 1, 2.5, 10, 30]) expect(upperGamma(1, x)).toBeCloseTo(Math.exp(-x), 12);
    for (const x of [0.1, 1, 2.5, 10]) expect(upperGamma(3, x)).toBeCloseTo(Math.exp(-x) * (1 + x + (x * x) / 2), 12);
    // Published critical values of the chi-square distribution at 5 %.
    expect(upperGamma(0.5, 3.841459 / 2)).toBeCloseTo(0.05, 6);
    expect(upperGamma(5, 18.307038 / 2)).toBeCloseTo(0.05, 6);
  });

  it('refuses a wrong distribution and an impossible draw', () => {
    expect(chiSquareP([500, 500], [0.5, 0.5])).toBe(1);
    expect(chiSquareP([560, 440], [0.5, 0.5])).toBeLessThan(1e-3);
    expect(chiSquareP([999, 1], [1, 0])).toBe(0);
  });
});
