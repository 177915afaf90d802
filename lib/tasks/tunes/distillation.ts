import type { Embedder } from '../../embedders/embedder.ts';
import type { TransformerLM } from '../../models/transformer-lm.ts';
import type { ComputeType } from '../../tensor/tensor.ts';
import { Trainer, type TrainerOptions } from '../../trainer.ts';
import type { TuneRecipe } from './recipe.ts';
import type { TuneTask } from './task.ts';

/**
 * Distillation of a base model under guidance, where and as it computes, rewarded for diversity by β; `further` options
 * replace the recipe's.
 */
export function tuneDistillationTrainer(
  task: TuneTask,
  { distill, maxTokens }: Pick<TuneRecipe, 'distill' | 'maxTokens'>,
  { base, embedder, beta }: { base: TransformerLM<ComputeType>; embedder: Embedder | null; beta: number },
  further: Partial<TrainerOptions> = {},
): Trainer {
  const { scale, temperature, steps, promptsPerStep, samplesPerPrompt, learningRate } = distill;
  return new Trainer({
    student: base.clone(),
    teacher: { model: base, guidance: { scale, negative: task.noPrompt } },
    ...(embedder && { diversity: { embedder, weight: beta } }),
    samplesPerPrompt,
    promptsPerStep,
    maxTokens: Math.min(maxTokens, task.maxTokens),
    stopToken: task.stopToken,
    temperature,
    optimizer: { learningRate, warmupSteps: Math.min(10, steps - 1), decay: 'cosine', totalSteps: steps },
    seed: task.seed,
    ...further,
  });
}
