import { ValueError } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { checkSchedule, learningRateAt, type ScheduleOptions } from '../lib/training/schedule.ts';

const rates = (options: ScheduleOptions, steps: readonly number[]): number[] =>
  steps.map((step) => learningRateAt(step, options));

function expectRates(options: ScheduleOptions, expected: Readonly<Record<number, number>>): void {
  const steps = Object.keys(expected).map(Number);
  rates(options, steps).forEach((rate, i) => {
    expect(rate).toBeCloseTo(expected[steps[i]!]!, 12);
  });
}

describe('learningRateAt', () => {
  it('is constant by default', () => {
    expect(rates({ learningRate: 3e-4 }, [1, 2, 1000])).toEqual([3e-4, 3e-4, 3e-4]);
  });

  it('rises linearly, reaching the highest rate at the last step of the warm-up', () => {
    expectRates({ learningRate: 0.4, warmupSteps: 4 }, { 1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4, 5: 0.4, 99: 0.4 });
  });

  it('falls linearly to its final share, and stays there', () => {
    const options = { learningRate: 1, warmupSteps: 2, decay: 'linear', totalSteps: 12, finalShare: 0.2 } as const;
    // Ten steps of fall by 0.08 each, from step 2 on.
    expectRates(options, { 1: 0.5, 2: 1, 3: 0.92, 7: 0.6, 11: 0.28, 12: 0.2, 13: 0.2, 500: 0.2 });
  });

  it('falls along half a cosine to its final share, and stays there', () => {
    const half = Math.SQRT1_2;
    const options = { learningRate: 2, decay: 'cosine', totalSteps: 8 } as const;
    expectRates(options, { 2: 1 + half, 4: 1, 6: 1 - half, 8: 0, 9: 0 });
    expectRates({ ...options, finalShare: 0.5 }, { 4: 1.5, 8: 1, 100: 1 });
    expectRates({ ...options, warmupSteps: 4 }, { 2: 1, 4: 2, 5: 1 + half, 6: 1, 7: 1 - half, 8: 0 });
  });
});

describe('checkSchedule', () => {
  it('accepts what makes sense', () => {
    expect(() => checkSchedule({ learningRate: 1e-3 })).not.toThrow();
    expect(() =>
      checkSchedule({ learningRate: 1, warmupSteps: 3, decay: 'cosine', totalSteps: 4, finalShare: 1 }),
    ).not.toThrow();
  });

  const bad: [Partial<Record<keyof ScheduleOptions, unknown>>, string, RegExp][] = [
    [{ learningRate: 0 }, 'learningRate', /expected a positive number, got 0/],
    [{ learningRate: -1 }, 'learningRate', /got -1/],
    [{ learningRate: Number.NaN }, 'learningRate', /got NaN/],
    [{ learningRate: Number.POSITIVE_INFINITY }, 'learningRate', /got Infinity/],
    [{ learningRate: undefined }, 'learningRate', /got undefined/],
    [{ warmupSteps: -1 }, 'warmupSteps', /expected an integer of at least 0, got -1/],
    [{ warmupSteps: 1.5 }, 'warmupSteps', /got 1\.5/],
    [{ decay: 'exponential' }, 'decay', /expected 'constant', 'linear' or 'cosine', got exponential/],
    [{ finalShare: -0.1 }, 'finalShare', /expected a number in \[0, 1\], got -0\.1/],
    [{ finalShare: 1.1 }, 'finalShare', /got 1\.1/],
    [{ finalShare: Number.NaN }, 'finalShare', /got NaN/],
    [{ decay: 'linear' }, 'totalSteps', /expected an integer above warmupSteps for decay 'linear', got undefined/],
    [{ decay: 'cosine', totalSteps: 2.5 }, 'totalSteps', /got 2\.5/],
    [{ decay: 'cosine', warmupSteps: 9, totalSteps: 9 }, 'totalSteps', /got 9/],
  ];
  it.each(bad)('refuses %o', (options, name, message) => {
    const check = () => checkSchedule({ learningRate: 1e-3, ...options } as ScheduleOptions);
    expect(check).toThrow(ValueError);
    expect(check).toThrow(message);
    expect(check).toThrow(expect.objectContaining({ argument: `optimizer.${name}` }));
  });
});
