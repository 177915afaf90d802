import type { BootstrapOptions, Estimate } from './bootstrap.ts';
import { Judgements, type PointJudgement } from './judgement.ts';
import type { MergePathCurve } from './types.ts';

/** A path of merges and the models it lies between. */
export interface MergePath {
  /** Diversity weight β of the diverse end. */
  beta: number;
  /** Distilled with β = 0: λ = 0. */
  quality: PointJudgement;
  /** λ = 1. */
  diverse: PointJudgement;
  /** The merges strictly between, by rising λ; one or more. */
  inner: readonly PointJudgement[];
}

/** The ends of a merge path: the models distilled with β = 0 and with the path's own β; null if one is missing. */
export function mergeEnds(
  judged: Judgements,
  beta: number,
): { quality: PointJudgement; diverse: PointJudgement } | null {
  const distilled = judged.distilled();
  const quality = distilled.find(({ point }) => point.parameters.beta === 0);
  const diverse = distilled.find(({ point }) => point.parameters.beta === beta);
  return quality === undefined || diverse === undefined ? null : { quality, diverse };
}

/** The merge paths whose ends were judged. */
export function wholeMergePaths(judged: Judgements): MergePath[] {
  return [...judged.mergePaths()].flatMap(([beta, inner]) => {
    const ends = mergeEnds(judged, beta);
    return ends === null ? [] : [{ beta, ...ends, inner }];
  });
}

/** How far a merge's quality lies above the lower end of its path: the difference, and what its interval reaches up to. */
export interface AboveLowerEnd {
  value: number;
  high: number;
}

/** Below both ends is below the lower one, and shown only where the intervals of both differences say so. */
export function aboveLowerEnd(judged: Judgements, merged: PointJudgement, path: MergePath): AboveLowerEnd {
  const gaps = [path.quality, path.diverse].map((end) => judged.difference('quality', merged, end));
  return {
    value: Math.max(...gaps.map(({ value }) => value)),
    high: Math.max(...gaps.map(({ interval }) => interval[1])),
  };
}

/**
 * Quality and diversity along every merge path whose ends were judged, from β = 0 (λ = 0) to the path's β (λ = 1), and
 * the barrier between, as in linear mode connectivity (arXiv 1912.05671), but measured from the lower end where that
 * measures from the mean of the two, since a merge may trade quality for diversity.
 *
 * The barrier is taken at the λ of the lowest quality strictly between the ends. Its depth is the lower end's quality
 * minus that merge's, resampled as a whole with λ held; as the lowest of several noisy values it is, if anything, too
 * deep. It is seen when some merge's quality is shown to be below that of both ends.
 *
 * @returns one curve for each β of a diverse end, by rising β
 */
export function mergePathCurves(judgements: readonly PointJudgement[], options: BootstrapOptions): MergePathCurve[] {
  return mergePathCurvesOf(new Judgements(judgements, options));
}

/** As {@link mergePathCurves}, on judgements that are resampled already. */
export function mergePathCurvesOf(judged: Judgements): MergePathCurve[] {
  return wholeMergePaths(judged).map((path) => {
    const { beta, quality, diverse, inner } = path;
    const stops = [quality, ...inner, diverse];
    const qualities = inner.map((merged) => judged.mean(merged, 'quality'));
    const lowest = inner[qualities.indexOf(Math.min(...qualities))]!;
    const depth: Estimate = judged.estimate((mean) => {
      return Math.min(mean(quality, 'quality'), mean(diverse, 'quality')) - mean(lowest, 'quality');
    });
    return {
      beta,
      lambda: [0, ...inner.map(({ point }) => point.parameters.lambda!), 1],
      quality: stops.map((stop) => judged.mean(stop, 'quality')),
      diversity: stops.map((stop) => judged.mean(stop, 'diversity')),
      interval: {
        quality: stops.map(({ point }) => point.interval.quality),
        diversity: stops.map(({ point }) => point.interval.diversity),
      },
      barrier: {
        seen: inner.some((merged) => aboveLowerEnd(judged, merged, path).high < 0),
        lambda: lowest.point.parameters.lambda!,
        depth: depth.value,
        interval: depth.interval,
      },
    };
  });
}
