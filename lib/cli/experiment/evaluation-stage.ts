import { join } from 'node:path';
import { type EvaluateOptions, type Evaluation, evaluate, type Generator } from '../../evaluation/evaluate.ts';
import { EvaluationFolder } from '../../evaluation/evaluation-folder.ts';
import type { TrainingCurve } from '../../evaluation/types.ts';
import type { Experiment } from './experiment.ts';

type StageOptions = Omit<EvaluateOptions, 'signal' | 'onProgress' | 'store'>;

/** Judges generators; those that an earlier run has judged are not judged again. */
export async function judgeAll(
  { folder, stages, signal }: Experiment,
  generators: readonly Generator[],
  options: StageOptions,
): Promise<Evaluation[]> {
  const { samplesPerPrompt, maxTokens, seed, timingRounds = 3 } = options;
  const store = await EvaluationFolder.open(join(folder, 'stages', 'evaluation'), {
    settings: { prompts: options.prompts.length, samplesPerPrompt, maxTokens, seed },
  });
  const judged = (onProgress?: EvaluateOptions['onProgress']) =>
    evaluate(generators, { ...options, timingRounds, store, signal, ...(onProgress && { onProgress }) });
  await stages.run({
    name: 'evaluation',
    title: 'Evaluation',
    total: generators.length * (1 + timingRounds),
    run: async (report) => {
      await judged((done, _, what) => report(done, what));
      return { result: null };
    },
  });
  return judged();
}

/** KL per sequence at every recorded step, by β. */
export function klCurves(
  curves: Readonly<Record<string, TrainingCurve>>,
  stages: readonly { beta: number; name: string }[],
): { beta: number; kl: Float64Array }[] {
  return stages.map(({ beta, name }) => ({ beta, kl: Float64Array.from(curves[name]?.metrics.kl ?? []) }));
}
