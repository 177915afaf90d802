import { ValueError } from '../errors.ts';
import type { BootstrapOptions } from './bootstrap.ts';
import { Judgements, type PointJudgement } from './judgement.ts';
import { claimMergesOnLine } from './merge-line.ts';
import { claimAboveSweep } from './sweep.ts';
import type { Claim } from './types.ts';
import { difference, figure, list, untested } from './wording.ts';

export interface ClaimOptions extends BootstrapOptions {
  /** Guidance scale γ of the teacher that the models were distilled from. */
  teacherScale: number;
  /** Largest loss of quality, in quality's own unit, that still counts as equal. Default 0.03. */
  margin?: number;
}

/**
 * Tests the five claims of diversity-rewarded CFG distillation (arXiv 2410.06084) on judged points. None is taken for
 * granted: each is a comparison of means over the same held-out prompts, with a bootstrap interval that resamples
 * prompts in pairs, and a claim whose points are missing does not hold.
 *
 * - (a) β = 0 has the quality of guidance at the teacher's scale, in one pass. Holds when the difference is at least
 *   −margin and its interval reaches 0 or lies wholly above −margin.
 * - (b) guidance and β = 0 are less diverse than the base. Holds when both intervals lie below 0.
 * - (c) larger β is more diverse, at a cost in quality. Holds when from the smallest to the largest β diversity rises
 *   and quality falls, by intervals that exclude 0, and no step between neighbours is shown to go the other way.
 * - (d) merges lie on or above the line between their ends. Holds unless an interval of the quality above the line
 *   lies below 0.
 * - (e) the front of the trained models lies above the guidance sweep; see {@link claimAboveSweep}.
 *
 * @returns the claims in that order
 */
export function judgeClaims(judgements: readonly PointJudgement[], options: ClaimOptions): Claim[] {
  return claimsOf(new Judgements(judgements, options), options);
}

/** As {@link judgeClaims}, on judgements that are resampled already. */
export function claimsOf(judged: Judgements, options: Omit<ClaimOptions, keyof BootstrapOptions>): Claim[] {
  const margin = options.margin ?? 0.03;
  if (!(margin >= 0)) throw new ValueError(`margin: expected a number ≥ 0, got ${margin}`, 'margin');
  return [
    claimEqualQuality(judged, options.teacherScale, margin),
    claimLessDiverse(judged, options.teacherScale),
    claimTrade(judged),
    claimMergesOnLine(judged),
    claimAboveSweep(judged),
  ];
}

function claimEqualQuality(judged: Judgements, scale: number, margin: number): Claim {
  const claim = '(a) Distilled with β = 0, the model has the quality of guidance at its teacher’s scale, in one pass';
  const student = withoutReward(judged);
  const guided = judged.guided(scale);
  if (student === null) return untested(claim, 'no model distilled with β = 0 was judged');
  if (guided === null) return untested(claim, `guidance at the teacher’s scale γ = ${scale} was not judged`);
  const gap = judged.difference('quality', student, guided);
  const [low, high] = gap.interval;
  const equal = gap.value >= -margin && (high >= 0 || low > -margin);
  const onePass = student.point.passesPerToken === 1;
  const verdict = equal
    ? `That counts as equal: at most ${margin} lower, and ${high >= 0 ? 'not shown to be lower' : 'by its whole interval'}. ` +
      `The interval ${low > -margin ? 'rules out' : 'does not rule out'} a loss of more than ${margin}.`
    : gap.value < -margin
      ? `That is more than the ${margin} that would count as equal.`
      : `That is shown to be lower, and a loss of more than ${margin} is not ruled out.`;
  const passes = onePass ? '' : ` It takes ${student.point.passesPerToken} passes per token, not one.`;
  return {
    claim,
    holds: equal && onePass,
    figures: {
      scale,
      margin,
      distilledQuality: judged.mean(student, 'quality'),
      guidedQuality: judged.mean(guided, 'quality'),
      difference: gap.value,
      interval: gap.interval,
      distilledPasses: student.point.passesPerToken,
      guidedPasses: guided.point.passesPerToken,
    },
    why:
      `Quality ${figure(judged.mean(student, 'quality'))} against ${figure(judged.mean(guided, 'quality'))} under guidance ` +
      `with γ = ${scale}: a difference of ${difference(gap)}. ${verdict}${passes}`,
  };
}

function claimLessDiverse(judged: Judgements, scale: number): Claim {
  const claim = '(b) Guidance, and distillation with β = 0, are less diverse than the base';
  const base = judged.base();
  const student = withoutReward(judged);
  const guided = judged.guided(scale);
  if (base === null) return untested(claim, 'the base was not judged');
  if (student === null) return untested(claim, 'no model distilled with β = 0 was judged');
  if (guided === null) return untested(claim, `guidance at the teacher’s scale γ = ${scale} was not judged`);
  const ofGuided = judged.difference('diversity', guided, base);
  const ofStudent = judged.difference('diversity', student, base);
  const unshown = [...(ofGuided.interval[1] < 0 ? [] : ['guidance']), ...(ofStudent.interval[1] < 0 ? [] : ['β = 0'])];
  const verdict =
    unshown.length === 0 ? 'Both intervals lie below 0.' : `For ${list(unshown)} a loss of diversity is not shown.`;
  return {
    claim,
    holds: unshown.length === 0,
    figures: {
      scale,
      baseDiversity: judged.mean(base, 'diversity'),
      guidedDifference: ofGuided.value,
      guidedInterval: ofGuided.interval,
      distilledDifference: ofStudent.value,
      distilledInterval: ofStudent.interval,
      guidedIndependentDifference: judged.difference('independentDiversity', guided, base).value,
      distilledIndependentDifference: judged.difference('independentDiversity', student, base).value,
    },
    why:
      `Against the base’s diversity of ${figure(judged.mean(base, 'diversity'))}, guidance with γ = ${scale} differs by ` +
      `${difference(ofGuided)} and β = 0 by ${difference(ofStudent)}. ${verdict}`,
  };
}

function claimTrade(judged: Judgements): Claim {
  const claim = '(c) A larger β makes the model more diverse, at a cost in quality';
  const models = judged.distilled();
  const betas = models.map(({ point }) => point.parameters.beta!);
  if (new Set(betas).size < 2) return untested(claim, 'fewer than two values of β were judged');
  const first = models[0]!;
  const last = models.at(-1)!;
  const gain = judged.difference('diversity', last, first);
  const change = judged.difference('quality', last, first);
  const against: string[] = [];
  for (const [index, model] of models.slice(1).entries()) {
    const step = `from β = ${betas[index]} to ${betas[index + 1]}`;
    if (judged.difference('diversity', model, models[index]!).interval[1] < 0) against.push(`diversity falls ${step}`);
    if (judged.difference('quality', model, models[index]!).interval[0] > 0) against.push(`quality rises ${step}`);
  }
  const unshown = [
    ...(gain.interval[0] > 0 ? [] : ['a gain in diversity is not shown']),
    ...(change.interval[1] < 0 ? [] : ['a cost in quality is not shown']),
    ...against,
  ];
  const verdict =
    unshown.length === 0
      ? 'Both are shown, and no step between neighbouring β is shown to go the other way.'
      : `But ${list(unshown)}.`;
  return {
    claim,
    holds: unshown.length === 0,
    figures: {
      beta: betas,
      diversity: models.map((model) => judged.mean(model, 'diversity')),
      quality: models.map((model) => judged.mean(model, 'quality')),
      diversityDifference: gain.value,
      diversityInterval: gain.interval,
      qualityDifference: change.value,
      qualityInterval: change.interval,
    },
    why:
      `From β = ${betas[0]} to ${betas.at(-1)} diversity changes by ${difference(gain)} and quality by ` +
      `${difference(change)}. ${verdict}`,
  };
}

/** The plain model distilled with β = 0. */
export function withoutReward(judged: Judgements): PointJudgement | null {
  return judged.distilled().find(({ point }) => point.parameters.beta === 0) ?? null;
}
