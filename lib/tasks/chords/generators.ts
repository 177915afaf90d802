import type { Generator } from '../../evaluation/evaluate.ts';
import { baseGenerators, trainedGenerators } from '../../evaluation/strategies.ts';
import type { ChordModels } from './recipe.ts';
import type { ChordTask } from './task.ts';

/** Every point of the front: the base under each inference-time strategy, and each trained model alone and with one. */
export function chordGenerators({ noPrompt }: ChordTask, { base, distilled, merged }: ChordModels): Generator[] {
  return [
    ...baseGenerators(base, noPrompt),
    ...distilled.flatMap(({ beta, model }) =>
      trainedGenerators({ name: `distilled β ${beta}`, family: 'distilled', parameters: { beta }, model }),
    ),
    ...merged.flatMap(({ beta, lambda, model }) =>
      trainedGenerators({
        name: `merged β 0 and ${beta}, λ ${lambda}`,
        family: 'merged',
        parameters: { beta, lambda },
        model,
      }),
    ),
  ];
}
