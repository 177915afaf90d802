import { join } from 'node:path';
import type { Embedder } from '../../embedders/embedder.ts';
import { evaluate } from '../../evaluation/evaluate.ts';
import type { PointJudgement } from '../../evaluation/judgement.ts';
import type { TrainingCurve } from '../../evaluation/types.ts';
import { mergeCheckpoints } from '../../merge.ts';
import { SequenceEncoder } from '../../models/sequence-encoder.ts';
import { TransformerLM } from '../../models/transformer-lm.ts';
import { chordGenerators } from '../../tasks/chords/generators.ts';
import type { ChordTask } from '../../tasks/chords/index.ts';
import {
  baseTrainer,
  ChordEmbedder,
  type ChordModels,
  type ChordRecipe,
  chordJudge,
  chordRetrieval,
  distillationTrainer,
  embedderTrainer,
} from '../../tasks/chords/recipe.ts';
import type { ComputeType } from '../../tensor/tensor.ts';
import type { ModelPlacement } from '../placement.ts';
import { digestOf, taskMetadata } from '../provenance.ts';
import { CurveRecorder, type Stages } from './stages.ts';

/** One experiment: where it writes, where and how its models compute, and what stops it. */
export interface Experiment {
  task: ChordTask;
  recipe: ChordRecipe;
  folder: string;
  placement: ModelPlacement;
  stages: Stages;
  signal: AbortSignal;
}

/** What the embedder stage learns about itself. */
export interface Retrieval {
  retrievalAt1: number;
  candidates: number;
}

/** A judgement as plain data. */
export interface StoredJudgement {
  point: PointJudgement['point'];
  perPrompt: Record<keyof PointJudgement['perPrompt'], number[]>;
  /** [prompt][sample]: absolute frets. */
  frets: number[][][];
}

export async function trainBase(experiment: Experiment): Promise<TransformerLM<ComputeType>> {
  const { task, recipe, folder, placement, stages, signal } = experiment;
  const path = join(folder, 'base.safetensors');
  const { steps } = recipe.base;
  await stages.run({
    name: 'base',
    title: 'Base model',
    total: steps,
    run: async (report) => {
      const trainer = baseTrainer(task, recipe, placement);
      const recorder = new CurveRecorder(steps);
      for await (const { step, loss, gradientNorm, learningRate } of trainer.run({ steps, signal })) {
        recorder.add(step, { loss, gradientNorm, learningRate });
        report(step, `loss ${loss.toFixed(3)}`);
      }
      await (trainer.options.model as TransformerLM<ComputeType>).save(path, { metadata: taskMetadata(task) });
      trainer.dispose();
      return { result: null, curve: recorder.curve };
    },
  });
  return TransformerLM.load(path, placement);
}

export async function trainEmbedder(experiment: Experiment): Promise<{ embedder: Embedder; retrieval: Retrieval }> {
  const { task, recipe, folder, placement, stages, signal } = experiment;
  const path = join(folder, 'embedder.safetensors');
  const { steps } = recipe.embedder;
  const retrieval = await stages.run({
    name: 'embedder',
    title: 'Embedder',
    total: steps,
    run: async (report) => {
      const trainer = embedderTrainer(task, recipe, placement);
      const recorder = new CurveRecorder(steps);
      for await (const { step, loss, gradientNorm } of trainer.run({ steps, signal })) {
        recorder.add(step, { loss, gradientNorm });
        report(step, `loss ${loss.toFixed(3)}`);
      }
      const { encoder } = trainer.options;
      await encoder.save(path, { metadata: taskMetadata(task) });
      trainer.dispose();
      return { result: await chordRetrieval(task, new ChordEmbedder(task, encoder)), curve: recorder.curve };
    },
  });
  return { embedder: new ChordEmbedder(task, await SequenceEncoder.load(path, placement)), retrieval };
}

/** Distills with every β of the recipe. */
export async function distillAll(
  { task, recipe, folder, placement, stages, signal }: Experiment,
  base: TransformerLM<ComputeType>,
  embedder: Embedder,
): Promise<ChordModels['distilled']> {
  const { steps, betas } = recipe.distill;
  const origin = await digestOf(join(folder, 'base.safetensors'));
  const distilled = [];
  for (const beta of betas) {
    const path = distilledPath(folder, beta);
    await stages.run({
      name: `distilled-${beta}`,
      title: `Distillation β ${beta}`,
      total: steps,
      run: async (report) => {
        const trainer = distillationTrainer(task, recipe, { base, embedder, beta });
        const recorder = new CurveRecorder(steps);
        const prompts = task.trainingPrompts.map((prompt) => task.encodePrompt(prompt));
        for await (const { step, kl, diversity, entropy, gradientNorm } of trainer.run(prompts, { steps, signal })) {
          recorder.add(step, { kl, diversity, entropy, gradientNorm });
          report(step, `KL ${kl.toFixed(3)}  diversity ${(diversity ?? 0).toFixed(3)}`);
        }
        const { scale } = recipe.distill;
        await (trainer.student as TransformerLM<ComputeType>).save(path, {
          metadata: { ...taskMetadata(task), beta: String(beta), scale: String(scale), base: origin },
        });
        trainer.dispose();
        return { result: null, curve: recorder.curve };
      },
    });
    distilled.push({ beta, model: await TransformerLM.load(path, placement) });
  }
  return distilled;
}

/** Merges β = 0 with the largest β. */
export async function mergeAll(experiment: Experiment): Promise<ChordModels['merged']> {
  const { recipe, folder, placement, stages, signal } = experiment;
  const beta = Math.max(...recipe.distill.betas);
  const { lambdas } = recipe;
  const path = (lambda: number | string): string => join(folder, `merged-${lambda}.safetensors`);
  await stages.run({
    name: 'merged',
    title: 'Merging',
    total: lambdas.length,
    run: async (report) => {
      await mergeCheckpoints({
        quality: distilledPath(folder, 0),
        diverse: distilledPath(folder, beta),
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

/** Judges every point on the held-out prompts. */
export async function evaluateAll(
  { task, recipe, stages, signal }: Experiment,
  models: ChordModels,
  embedder: Embedder,
): Promise<StoredJudgement[]> {
  const prompts = task.heldOutPrompts;
  const generators = chordGenerators(task, models);
  return stages.run({
    name: 'evaluation',
    title: 'Evaluation',
    total: generators.length * (1 + recipe.timingRounds),
    run: async (report) => {
      const evaluations = await evaluate(generators, {
        prompts: prompts.map((prompt) => task.encodePrompt(prompt)),
        samplesPerPrompt: recipe.samplesPerPrompt,
        maxTokens: task.maxTokens,
        stopToken: task.stopToken,
        embedder,
        judge: chordJudge(task, prompts),
        seed: task.seed,
        timingRounds: recipe.timingRounds,
        signal,
        onProgress: (done, _, what) => report(done, what),
      });
      const result = evaluations.map(
        ({ point, perPrompt, generations }): StoredJudgement => ({
          point,
          perPrompt: {
            quality: [...perPrompt.quality],
            diversity: [...perPrompt.diversity],
            independentDiversity: [...perPrompt.independentDiversity],
          },
          frets: generations.map((own, p) =>
            own.map((tokens) => task.toFrets(prompts[p] as (typeof prompts)[number], tokens)),
          ),
        }),
      );
      return { result };
    },
  });
}

/** KL per sequence at every recorded step, by β. */
export function klCurves(
  curves: Readonly<Record<string, TrainingCurve>>,
  betas: readonly number[],
): { beta: number; kl: Float64Array }[] {
  return betas.map((beta) => ({ beta, kl: Float64Array.from(curves[`distilled-${beta}`]?.metrics.kl ?? []) }));
}

function distilledPath(folder: string, beta: number): string {
  return join(folder, `distilled-${beta}.safetensors`);
}
