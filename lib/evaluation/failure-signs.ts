import { linearRegression } from 'simple-statistics';
import { ValueError } from '../errors.ts';
import type { BootstrapOptions } from './bootstrap.ts';
import { withoutReward } from './claims.ts';
import { Judgements, type PointJudgement } from './judgement.ts';
import { type AboveLowerEnd, aboveLowerEnd, wholeMergePaths } from './merge-path.ts';
import type { FailureSign } from './types.ts';

/** The divergence from the guided teacher while one model was distilled. */
export interface DistillationCurve {
  /** Diversity weight β. */
  beta: number;
  /** KL per sequence in nats, one value per recorded training step, in order. */
  kl: Float64Array;
}

export interface FailureOptions extends BootstrapOptions {
  /** Guidance scale γ of the teacher. */
  teacherScale: number;
}

/** A KL that falls by less than this share of its start over the last quarter of training is flat. */
const FLAT = 0.05;

/**
 * Looks for the three known ways in which the method fails without an error. Every sign is reported; its figure
 * `checked` is 0 when the points or curves that it needs are missing.
 *
 * - Distillation does not take: for β = 0, the KL of the last quarter of training falls by less than 5 % of the KL at
 *   the start, while quality is shown to be below guidance at the teacher's scale.
 * - The embedder is hacked: from the smallest to the largest β, the rewarded diversity is shown to rise and the
 *   independent one is not.
 * - A barrier on the merge path: some merge's quality is shown to be below both its ends.
 */
export function findFailureSigns(
  judgements: readonly PointJudgement[],
  curves: readonly DistillationCurve[],
  options: FailureOptions,
): FailureSign[] {
  return failureSignsOf(new Judgements(judgements, options), curves, options.teacherScale);
}

/** As {@link findFailureSigns}, on judgements that are resampled already. */
export function failureSignsOf(judged: Judgements, curves: readonly DistillationCurve[], scale: number): FailureSign[] {
  return [signOfNoTake(judged, curves, scale), signOfHacking(judged), signOfBarrier(judged)];
}

function signOfNoTake(judged: Judgements, curves: readonly DistillationCurve[], scale: number): FailureSign {
  const sign = 'Distillation does not take: the KL plateaus while quality stays below guidance';
  const student = withoutReward(judged);
  const guided = judged.guided(scale);
  const curve = curves.find(({ beta }) => beta === 0);
  if (student === null || guided === null || curve === undefined || curve.kl.length < 8) return unchecked(sign);
  const { start, end, fall } = lastQuarter(curve.kl);
  const gap = judged.difference('quality', student, guided);
  return {
    sign,
    seen: fall < FLAT && gap.interval[1] < 0,
    figures: {
      checked: 1,
      startKl: start,
      endKl: end,
      lastQuarterFall: fall,
      qualityDifference: gap.value,
      qualityInterval: gap.interval,
    },
  };
}

/**
 * How a curve ends: means over its first twentieth and its last quarter, and how far a straight line through that
 * quarter falls, as a share of the start.
 */
export function lastQuarter(kl: Float64Array): { start: number; end: number; fall: number } {
  const wrong = kl.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) throw new ValueError(`kl[${wrong}]: expected a finite number, got ${kl[wrong]}`, 'kl');
  const average = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const start = average(kl.subarray(0, Math.max(1, Math.round(kl.length / 20))));
  const tail = kl.subarray(kl.length - Math.max(2, Math.floor(kl.length / 4)));
  const { m: slope } = linearRegression(Array.from(tail, (value, step) => [step, value]));
  return { start, end: average(tail), fall: start > 0 ? (-slope * (tail.length - 1)) / start : 0 };
}

function signOfHacking(judged: Judgements): FailureSign {
  const sign = 'The embedder is hacked: the rewarded diversity rises with β while the independent one does not';
  const models = judged.distilled();
  const first = models[0];
  const last = models.at(-1);
  if (first === undefined || last === undefined || first === last) return unchecked(sign);
  const rewarded = judged.difference('diversity', last, first);
  const independent = judged.difference('independentDiversity', last, first);
  return {
    sign,
    seen: rewarded.interval[0] > 0 && !(independent.interval[0] > 0),
    figures: {
      checked: 1,
      beta: models.map(({ point }) => point.parameters.beta!),
      rewarded: models.map((model) => judged.mean(model, 'diversity')),
      independent: models.map((model) => judged.mean(model, 'independentDiversity')),
      rewardedDifference: rewarded.value,
      rewardedInterval: rewarded.interval,
      independentDifference: independent.value,
      independentInterval: independent.interval,
    },
  };
}

function signOfBarrier(judged: Judgements): FailureSign {
  const sign = 'A barrier on the merge path: quality at some λ lies below both ends';
  const merges: PointJudgement[] = [];
  const depths: AboveLowerEnd[] = [];
  for (const path of wholeMergePaths(judged)) {
    for (const merged of path.inner) {
      merges.push(merged);
      depths.push(aboveLowerEnd(judged, merged, path));
    }
  }
  if (merges.length === 0) return unchecked(sign);
  return {
    sign,
    seen: depths.some(({ high }) => high < 0),
    figures: {
      checked: 1,
      beta: merges.map(({ point }) => point.parameters.beta!),
      lambda: merges.map(({ point }) => point.parameters.lambda!),
      aboveLowerEnd: depths.map(({ value }) => value),
      aboveLowerEndHigh: depths.map(({ high }) => high),
    },
  };
}

function unchecked(sign: string): FailureSign {
  return { sign, seen: false, figures: { checked: 0 } };
}
