import type { Generator } from '../../evaluation/evaluate.ts';
import {
  BASE_SWEEP,
  baseGenerators,
  type Sweep,
  TRAINED_SWEEP,
  type TrainedSweep,
  trainedGenerators,
} from '../../evaluation/strategies.ts';
import type { LanguageModel } from '../../models/language-model.ts';

/** Models of one experiment. */
export interface ExperimentModels {
  base: LanguageModel;
  distilled: readonly { beta: number; model: LanguageModel }[];
  /** Distilled with β = 0, on what the guided teacher wrote. */
  offPolicy?: LanguageModel | undefined;
  merged: readonly { beta: number; lambda: number; model: LanguageModel }[];
}

/** The strategies that are judged: those of the base, and those put on top of trained models. */
export interface ExperimentSweeps {
  base: Sweep;
  trained: TrainedSweep;
}

/** The name of the point that differs from `distilled β 0` in who wrote the rollouts alone. */
export const OFF_POLICY = 'distilled β 0 on teacher’s rollouts';

export function distilledPoint(beta: number): string {
  return `distilled β ${beta}`;
}

/** Every point of the front: the base under each inference-time strategy, and each trained model alone and with one. */
export function experimentGenerators(
  noPrompt: Int32Array,
  { base, distilled, offPolicy, merged }: ExperimentModels,
  sweeps: ExperimentSweeps = { base: BASE_SWEEP, trained: TRAINED_SWEEP },
): Generator[] {
  return [
    ...baseGenerators(base, noPrompt, sweeps.base),
    ...distilled.flatMap(({ beta, model }) =>
      trainedGenerators(
        { name: distilledPoint(beta), family: 'distilled', parameters: { beta }, model },
        sweeps.trained,
      ),
    ),
    ...(offPolicy
      ? [
          {
            name: OFF_POLICY,
            family: 'off-policy' as const,
            parameters: { beta: 0 },
            model: offPolicy,
            sampling: {},
          },
        ]
      : []),
    ...merged.flatMap(({ beta, lambda, model }) =>
      trainedGenerators(
        {
          name: `merged β 0 and ${beta}, λ ${lambda}`,
          family: 'merged',
          parameters: { beta, lambda },
          model,
        },
        sweeps.trained,
      ),
    ),
  ];
}
