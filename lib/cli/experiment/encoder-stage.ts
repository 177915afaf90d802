import { join } from 'node:path';
import type { ContrastiveMetrics } from '../../embedders/contrastive-trainer.ts';
import type { Experiment } from './experiment.ts';
import { type StagedTrainer, trainInStage } from './training-stage.ts';

/** How well an encoder tells held-out items apart. */
export interface Retrieval {
  retrievalAt1: number;
  candidates: number;
}

export interface EncoderStage<T extends StagedTrainer<ContrastiveMetrics>> {
  /** Of the stage and of the checkpoint. */
  name: string;
  title: string;
  steps: number;
  trainer(): T;
  resume(state: string, fresh: T): Promise<T>;
  /** Writes the checkpoint. */
  save(trainer: T, path: string): Promise<void>;
  retrieval(trainer: T): Promise<Retrieval>;
}

/** Trains an encoder by contrast into `<name>.safetensors`. */
export function trainEncoder<T extends StagedTrainer<ContrastiveMetrics>>(
  experiment: Experiment,
  { name, title, steps, trainer, resume, save, retrieval }: EncoderStage<T>,
): Promise<Retrieval> {
  return trainInStage<T, ContrastiveMetrics, Retrieval>(experiment, {
    name,
    title,
    steps,
    fresh: trainer,
    resume: (state) => resume(state, trainer()),
    metrics: ({ loss, gradientNorm }) => ({ loss, gradientNorm }),
    detail: ({ loss }) => `loss ${loss.toFixed(3)}`,
    finish: async (trained) => {
      await save(trained, join(experiment.folder, `${name}.safetensors`));
      return retrieval(trained);
    },
  });
}
