import { BaseTrainer } from '../../base-trainer.ts';
import { type Placement, TransformerLM } from '../../models/transformer-lm.ts';
import type { TuneTask } from './task.ts';

/** What the base model of the tunes is, and how it learns. */
export interface TuneBaseRecipe {
  depth: number;
  width: number;
  heads: number;
  steps: number;
  batchSize: number;
  learningRate: number;
  /** Of the weights. */
  weightDecay: number;
  /** Probability that an activation is dropped: there are few tunes, and the model could learn them by heart. */
  dropout: number;
}

export const TUNE_BASE: TuneBaseRecipe = {
  depth: 4,
  width: 128,
  heads: 4,
  steps: 1500,
  batchSize: 32,
  learningRate: 2e-3,
  weightDecay: 0.1,
  dropout: 0.1,
};

/** A trainer of the base model, with random weights. */
export function tuneBaseTrainer(
  task: TuneTask,
  recipe: TuneBaseRecipe = TUNE_BASE,
  placement: Placement = {},
): BaseTrainer {
  const { depth, width, heads, steps, batchSize, learningRate, weightDecay, dropout } = recipe;
  const model = new TransformerLM(
    {
      vocabularySize: task.vocabularySize,
      depth,
      width,
      heads,
      dropout,
      positions: 'rotary',
      maxPositions: task.maxPromptTokens + task.maxTokens,
    },
    { ...placement, seed: task.seed },
  );
  return new BaseTrainer({
    model,
    rows: task.trainingRows,
    noPrompt: task.noPrompt,
    promptDropout: 0.1,
    batchSize,
    groupByLength: true,
    seed: task.seed,
    optimizer: {
      learningRate,
      weightDecay,
      warmupSteps: Math.min(100, steps - 1),
      decay: 'cosine',
      totalSteps: steps,
    },
  });
}
