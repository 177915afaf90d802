import { ValueError } from '../errors.ts';
import { type BootstrapOptions, bootstrapMeans, type Estimate, mean, percentileInterval } from './bootstrap.ts';
import type { Family, Interval, Point, PointParameters } from './types.ts';

/** A point with the values its means are made of: one per held-out prompt, the same prompts for every point. */
export interface PointJudgement {
  point: Point;
  perPrompt: { quality: Float64Array; diversity: Float64Array; independentDiversity: Float64Array };
}

export type Measure = keyof PointJudgement['perPrompt'];

/** Means over prompts of one judgement: those measured, or those of one resample. */
export type MeanOf = (judgement: PointJudgement, measure: Measure) => number;

const MEASURES: readonly Measure[] = ['quality', 'diversity', 'independentDiversity'];

/** A family's plain points have only these parameters: no other strategy on top. */
const PLAIN = {
  guidance: ['scale'],
  distilled: ['beta'],
  merged: ['beta', 'lambda'],
  'off-policy': ['beta'],
} satisfies Partial<Record<Family, readonly (keyof PointParameters)[]>>;

/**
 * All judgements over one shared set of resampled prompts, so that any comparison between points is paired.
 */
export class Judgements {
  readonly all: readonly PointJudgement[];
  /** Share of the resamples inside an interval. */
  readonly level: number;
  readonly #measured = new Map<PointJudgement, Record<Measure, number>>();
  readonly #resampled = new Map<PointJudgement, Record<Measure, Float64Array>>();
  readonly #resamples: number;

  /** @throws ValueError or ShapeError when the points were not all judged on the same number of prompts */
  constructor(judgements: readonly PointJudgement[], options: BootstrapOptions) {
    if (judgements.length === 0) throw new ValueError('judgements: expected 1 or more points, got none', 'judgements');
    this.all = judgements;
    this.#resamples = options.resamples ?? 2000;
    this.level = options.level ?? 0.95;
    const columns = judgements.flatMap(({ perPrompt }) => MEASURES.map((measure) => perPrompt[measure]));
    const draws = bootstrapMeans(columns, options);
    judgements.forEach((judgement, index) => {
      const at = index * MEASURES.length;
      this.#measured.set(
        judgement,
        byMeasure((m) => mean(columns[at + m]!)),
      );
      this.#resampled.set(
        judgement,
        byMeasure((m) => draws[at + m]!),
      );
    });
  }

  /** The base model's point; null where it was not judged. */
  base(): PointJudgement | null {
    return this.all.find(({ point }) => point.family === 'base') ?? null;
  }

  /** The points of a family without another strategy on top. */
  plain(family: keyof typeof PLAIN): PointJudgement[] {
    const needed: readonly (keyof PointParameters)[] = PLAIN[family];
    return this.all.filter(({ point: { family: own, parameters } }) => {
      const given = (Object.keys(parameters) as (keyof PointParameters)[]).filter((k) => parameters[k] !== undefined);
      return own === family && given.length === needed.length && needed.every((key) => given.includes(key));
    });
  }

  /** The plain distilled points by rising β. */
  distilled(): PointJudgement[] {
    return this.plain('distilled').sort((a, b) => a.point.parameters.beta! - b.point.parameters.beta!);
  }

  /** The plain guidance point at a scale; null where it was not judged. */
  guided(scale: number): PointJudgement | null {
    return this.plain('guidance').find(({ point }) => Math.abs(point.parameters.scale! - scale) < 1e-9) ?? null;
  }

  /** The plain merged points strictly between their ends, by the diverse end's β, each by rising λ. */
  mergePaths(): Map<number, PointJudgement[]> {
    const inner = this.plain('merged').filter(({ point: { parameters } }) => {
      return parameters.lambda! > 0 && parameters.lambda! < 1;
    });
    inner.sort((a, b) => {
      const [p, q] = [a.point.parameters, b.point.parameters];
      return p.beta! - q.beta! || p.lambda! - q.lambda!;
    });
    return groupByBeta(inner);
  }

  /** The measured mean of a point. */
  mean: MeanOf = (judgement, measure) => this.#measured.get(judgement)![measure];

  /** A function of the points' means, and its percentile interval over the resampled prompts. */
  estimate(statistic: (mean: MeanOf) => number): Estimate {
    const { value, interval } = this.estimateAt(statistic, [this.level]);
    return { value, interval: interval[0]! };
  }

  /** As {@link estimate}, with an interval for each of several levels. */
  estimateAt(statistic: (mean: MeanOf) => number, levels: readonly number[]): { value: number; interval: Interval[] } {
    const draws = new Float64Array(this.#resamples);
    for (let resample = 0; resample < draws.length; resample++) {
      draws[resample] = statistic((judgement, measure) => this.#resampled.get(judgement)![measure][resample]!);
    }
    return { value: statistic(this.mean), interval: levels.map((level) => percentileInterval(draws, level)) };
  }

  /** Mean of a minus mean of b, paired over prompts. */
  difference(measure: Measure, a: PointJudgement, b: PointJudgement): Estimate {
    return this.estimate((mean) => mean(a, measure) - mean(b, measure));
  }
}

function byMeasure<T>(value: (index: number) => T): Record<Measure, T> {
  return { quality: value(0), diversity: value(1), independentDiversity: value(2) };
}

function groupByBeta(merged: readonly PointJudgement[]): Map<number, PointJudgement[]> {
  const paths = new Map<number, PointJudgement[]>();
  for (const judgement of merged) {
    const beta = judgement.point.parameters.beta!;
    paths.set(beta, [...(paths.get(beta) ?? []), judgement]);
  }
  return paths;
}
