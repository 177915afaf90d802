import { describe, expect, it } from 'vitest';
import { native } from '../../lib/native.ts';

// Every float32 number is tried by `npm run check:math`; here every 1021st, 4 million for each function.
const STEP = 1021;
const SAMPLE = Math.floor(2 ** 32 / STEP);

describe.each(['exp', 'exp_scaled', 'exp_negative', 'log'] as const)('the vector function %s', (name) => {
  it('is within 2 units in the last place, and exact where it must be', () => {
    const { ulps, wrong, wrongAt } = native.mathAccuracy(name, 7, STEP, SAMPLE);
    expect({ wrong, wrongAt }).toEqual({ wrong: 0, wrongAt: 0 });
    expect(ulps).toBeLessThanOrEqual(2);
    // It is measured, and float32 arithmetic is no better than this.
    expect(ulps).toBeGreaterThan(0.5);
  });
});
