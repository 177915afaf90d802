import type { BootstrapOptions } from './bootstrap.ts';
import { Judgements, type PointJudgement } from './judgement.ts';
import type { Report } from './types.ts';
import { difference } from './wording.ts';

/** What comparing models that differ only in who wrote their rollouts has shown. */
export interface RolloutComparison {
  /** For each β that was distilled on both: the student's point, then the teacher's. */
  rollouts: NonNullable<Report['rollouts']>;
  /** A sentence for each of these β. */
  notes: string[];
}

/**
 * Compares models distilled on their own rollouts with those distilled on the teacher's, at equal β and without another
 * strategy on top: learning on its own generations is what the method assumes to matter (on-policy distillation,
 * arXiv 2306.13649). No claim of the method is about the latter.
 */
export function compareRollouts(judgements: readonly PointJudgement[], options: BootstrapOptions): RolloutComparison {
  return compareRolloutsOf(new Judgements(judgements, options));
}

/** As {@link compareRollouts}, on judgements that are resampled already. */
export function compareRolloutsOf(judged: Judgements): RolloutComparison {
  const comparison: RolloutComparison = { rollouts: [], notes: [] };
  const ofTeacher = judged.plain('off-policy');
  for (const student of judged.distilled()) {
    const { beta } = student.point.parameters;
    const teacher = ofTeacher.find(({ point }) => point.parameters.beta === beta);
    if (teacher === undefined) continue;
    comparison.rollouts.push(
      { source: 'student', point: student.point.name },
      { source: 'teacher', point: teacher.point.name },
    );
    comparison.notes.push(
      `Rollouts by the teacher in the student’s place, β = ${beta}: quality changes by ` +
        `${difference(judged.difference('quality', teacher, student))} and diversity by ` +
        `${difference(judged.difference('diversity', teacher, student))}.`,
    );
  }
  return comparison;
}
