import { join } from 'node:path';
import { TransformerLM } from '../../models/transformer-lm.ts';
import type { ComputeType } from '../../tensor/tensor.ts';
import { type StepMetrics, Trainer } from '../../trainer.ts';
import type { Experiment } from './experiment.ts';
import { trainInStage } from './training-stage.ts';

export interface DistillationStage {
  /** Of the stage and of the checkpoint. */
  name: string;
  title: string;
  steps: number;
  trainer(): Trainer;
  prompts: readonly Int32Array[];
  /** Of the checkpoint. */
  metadata: Readonly<Record<string, string>>;
}

/** Distills into `<name>.safetensors`. */
export async function distill(
  experiment: Experiment,
  { name, title, steps, trainer, prompts, metadata }: DistillationStage,
): Promise<TransformerLM<ComputeType>> {
  const path = join(experiment.folder, `${name}.safetensors`);
  const staged = (own: Trainer) => ({
    get step() {
      return own.step;
    },
    run: (options: { steps: number; signal: AbortSignal }) => own.run(prompts, options),
    save: (state: string) => own.save(state),
    dispose: () => own.dispose(),
    own,
  });
  await trainInStage<ReturnType<typeof staged>, StepMetrics, null>(experiment, {
    name,
    title,
    steps,
    fresh: () => staged(trainer()),
    resume: async (state) => staged(await Trainer.resume(state, trainer().options)),
    metrics: ({ kl, diversity, entropy, gradientNorm }) => ({ kl, diversity, entropy, gradientNorm }),
    detail: ({ kl, diversity }) => `KL ${kl.toFixed(3)}  diversity ${(diversity ?? 0).toFixed(3)}`,
    finish: async ({ own }) => {
      await (own.student as TransformerLM<ComputeType>).save(path, { metadata });
      return null;
    },
  });
  return TransformerLM.load(path, experiment.placement);
}
