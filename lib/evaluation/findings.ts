import { type ClaimOptions, claimsOf } from './claims.ts';
import { type DistillationCurve, failureSignsOf } from './failure-signs.ts';
import { hypervolumesOf } from './hypervolume.ts';
import { Judgements, type PointJudgement } from './judgement.ts';
import { mergePathCurvesOf } from './merge-path.ts';
import { compareRolloutsOf } from './rollouts.ts';
import type { Claim, FailureSign, Hypervolume, MergePathCurve, Report } from './types.ts';

/** What judged points show, as a report has it. */
export interface Findings {
  claims: Claim[];
  failureSigns: FailureSign[];
  hypervolumes: Hypervolume[];
  mergePaths: MergePathCurve[];
  rollouts: NonNullable<Report['rollouts']>;
  /** Sentences for the report's notes. */
  notes: string[];
}

/**
 * Everything that is found by comparing judged points, over one shared set of resamples: claims, failure signs,
 * hypervolumes, merge paths, and student's against teacher's rollouts.
 *
 * @param curves of the distilled models, not of those distilled on the teacher's rollouts
 */
export function findings(
  judgements: readonly PointJudgement[],
  curves: readonly DistillationCurve[],
  options: ClaimOptions,
): Findings {
  const judged = new Judgements(judgements, options);
  return {
    claims: claimsOf(judged, options),
    failureSigns: failureSignsOf(judged, curves, options.teacherScale),
    hypervolumes: hypervolumesOf(judged),
    mergePaths: mergePathCurvesOf(judged),
    ...compareRolloutsOf(judged),
  };
}
