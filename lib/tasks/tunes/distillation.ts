import type { TransformerLM } from '../../models/transformer-lm.ts';
import type { ComputeType } from '../../tensor/tensor.ts';
import { type DiversityReward, Trainer, type TrainerOptions } from '../../trainer.ts';
import type { TuneRecipe } from './recipe.ts';
import type { TuneTask } from './task.ts';

/**
 * Distillation of a base model under guidance, where and as it computes, rewarded for diversity by embedders with a β each;
 * `further` options replace the recipe's.
 */
export function tuneDistillationTrainer(
  task: Pick<TuneTask, 'noPrompt' | 'stopToken' | 'maxTokens' | 'seed'>,
  { distill, maxTokens }: Pick<TuneRecipe, 'distill' | 'maxTokens'>,
  { base, rewards }: { base: TransformerLM<ComputeType>; rewards: readonly DiversityReward[] },
  further: Partial<TrainerOptions> = {},
): Trainer {
  const [reward] = rewards;
  const { scale, temperature, steps, promptsPerStep, samplesPerPrompt, learningRate } = distill;
  return new Trainer({
    student: base.clone(),
    teacher: { model: base, guidance: { scale, negative: task.noPrompt } },
    ...(reward && { diversity: rewards.length > 1 ? rewards : reward }),
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
