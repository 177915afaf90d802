import { join } from 'node:path';
import { mergeCheckpoints } from '../../merge.ts';
import { TransformerLM } from '../../models/transformer-lm.ts';
import type { ComputeType } from '../../tensor/tensor.ts';
import type { Experiment } from './experiment.ts';

export interface MergedModel {
  /** Of the diverse end. */
  beta: number;
  lambda: number;
  model: TransformerLM<ComputeType>;
}

/** Merges the model distilled with β = 0 and that of another β into `merged-<λ>.safetensors`. */
export async function merge(
  { folder, placement, stages, signal }: Experiment,
  { beta, lambdas, distilled }: { beta: number; lambdas: readonly number[]; distilled: (beta: number) => string },
): Promise<MergedModel[]> {
  const path = (lambda: number | string): string => join(folder, `merged-${lambda}.safetensors`);
  await stages.run({
    name: 'merged',
    title: 'Merging',
    total: lambdas.length,
    run: async (report) => {
      await mergeCheckpoints({
        quality: join(folder, `${distilled(0)}.safetensors`),
        diverse: join(folder, `${distilled(beta)}.safetensors`),
        weights: lambdas,
        output: path('{weight}'),
        metadata: { beta: String(beta) },
        signal,
      });
      report(lambdas.length);
      return { result: null };
    },
  });
  return Promise.all(
    lambdas.map(async (lambda) => ({ beta, lambda, model: await TransformerLM.load(path(lambda), placement) })),
  );
}
