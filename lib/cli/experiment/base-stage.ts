import { join } from 'node:path';
import { type BaseMetrics, BaseTrainer } from '../../base-trainer.ts';
import { TransformerLM } from '../../models/transformer-lm.ts';
import type { ComputeType } from '../../tensor/tensor.ts';
import type { Experiment } from './experiment.ts';
import { trainInStage } from './training-stage.ts';

export interface BaseStage {
  steps: number;
  trainer(): BaseTrainer;
  /** Of the checkpoint. */
  metadata: Readonly<Record<string, string>>;
}

/** Where an experiment's base model is. */
export function basePath(folder: string): string {
  return join(folder, 'base.safetensors');
}

/** Trains the base model, which is written to base.safetensors. */
export async function trainBase(
  experiment: Experiment,
  { steps, trainer, metadata }: BaseStage,
): Promise<TransformerLM<ComputeType>> {
  const path = basePath(experiment.folder);
  await trainInStage<BaseTrainer, BaseMetrics, null>(experiment, {
    name: 'base',
    title: 'Base model',
    steps,
    fresh: trainer,
    resume: (state) => BaseTrainer.resume(state, trainer().options),
    metrics: ({ loss, gradientNorm, learningRate }) => ({ loss, gradientNorm, learningRate }),
    detail: ({ loss }) => `loss ${loss.toFixed(3)}`,
    finish: async ({ options: { model } }) => {
      await (model as TransformerLM<ComputeType>).save(path, { metadata });
      return null;
    },
  });
  return TransformerLM.load(path, experiment.placement);
}
