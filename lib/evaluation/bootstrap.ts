import { quantileSorted } from 'simple-statistics';
import { ShapeError, ValueError } from '../errors.ts';
import type { Random } from '../random.ts';
import type { Interval } from './types.ts';

export interface BootstrapOptions {
  /** Where the resamples come from; its state decides the interval, so seed it for a result that repeats. */
  random: Pick<Random, 'integer'>;
  /** Number of resamples. Default 2000. */
  resamples?: number;
  /** Share of the resamples inside the interval, in (0, 1). Default 0.95. */
  level?: number;
}

/** A figure with its interval. */
export interface Estimate {
  value: number;
  interval: Interval;
}

/**
 * Means of several measures over resampled prompts (Efron's bootstrap: n prompts drawn with replacement). All columns
 * share each resample, so that a function of the means keeps the pairing between models judged on the same prompts.
 *
 * @param columns one array per measure, all with one value per prompt
 * @returns per column, its mean in each resample
 */
export function bootstrapMeans(columns: readonly Float64Array[], options: BootstrapOptions): Float64Array[] {
  const prompts = checkColumns(columns);
  const resamples = checkResamples(options.resamples ?? 2000);
  const width = columns.length;
  // By prompt, so that one draw adds one contiguous row.
  const rows = new Float64Array(prompts * width);
  columns.forEach((column, c) => {
    column.forEach((value, p) => {
      rows[p * width + c] = value;
    });
  });
  const means = columns.map(() => new Float64Array(resamples));
  const sums = new Float64Array(width);
  for (let resample = 0; resample < resamples; resample++) {
    sums.fill(0);
    for (let draw = 0; draw < prompts; draw++) {
      const row = options.random.integer(prompts) * width;
      for (let c = 0; c < width; c++) sums[c]! += rows[row + c]!;
    }
    for (let c = 0; c < width; c++) means[c]![resample] = sums[c]! / prompts;
  }
  return means;
}

/**
 * The middle of the draws of a statistic: from its (1 − level)/2 to its (1 + level)/2 quantile,
 * interpolated linearly between neighbouring draws.
 *
 * @param level in (0, 1); default 0.95
 */
export function percentileInterval(draws: ArrayLike<number>, level = 0.95): Interval {
  if (!(level > 0 && level < 1)) throw new ValueError(`level: expected a number in (0, 1), got ${level}`, 'level');
  if (draws.length === 0) throw new ValueError('draws: expected 1 or more, got 0', 'draws');
  const sorted = Array.from(Float64Array.from(draws).sort());
  return [quantileSorted(sorted, (1 - level) / 2), quantileSorted(sorted, (1 + level) / 2)];
}

/** The mean of one value per prompt, with its percentile bootstrap interval over prompts. */
export function bootstrapMean(values: Float64Array, options: BootstrapOptions): Estimate {
  const [draws] = bootstrapMeans([values], options);
  return { value: mean(values), interval: percentileInterval(draws!, options.level) };
}

/**
 * The mean of a − b over prompts, with its interval. The prompts are resampled in pairs, so that what makes a prompt
 * hard for both models cancels.
 */
export function bootstrapDifference(a: Float64Array, b: Float64Array, options: BootstrapOptions): Estimate {
  checkColumns([a, b]);
  return bootstrapMean(
    a.map((value, prompt) => value - b[prompt]!),
    options,
  );
}

/** The mean of an array that is not empty. */
export function mean(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

function checkColumns(columns: readonly Float64Array[]): number {
  const prompts = columns[0]?.length ?? 0;
  if (prompts === 0)
    throw new ValueError('values: expected one value for each of 1 or more prompts, got none', 'values');
  for (const [index, column] of columns.entries()) {
    if (column.length !== prompts) {
      throw new ShapeError(
        `values[${index}]: expected ${prompts} prompts as in values[0], got ${column.length}`,
        'values',
      );
    }
    const wrong = column.findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0) {
      throw new ValueError(`values[${index}][${wrong}]: expected a finite number, got ${column[wrong]}`, 'values');
    }
  }
  return prompts;
}

function checkResamples(resamples: number): number {
  if (!Number.isSafeInteger(resamples) || resamples < 1) {
    throw new ValueError(`resamples: expected an integer ≥ 1, got ${resamples}`, 'resamples');
  }
  return resamples;
}
