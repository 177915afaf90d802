import { join } from 'node:path';
import { ContrastiveTrainer } from '../../embedders/contrastive-trainer.ts';
import type { Embedder } from '../../embedders/embedder.ts';
import type { Evaluation } from '../../evaluation/evaluate.ts';
import { SequenceEncoder } from '../../models/sequence-encoder.ts';
import type { TransformerLM } from '../../models/transformer-lm.ts';
import type { ChordTask } from '../../tasks/chords/index.ts';
import {
  baseTrainer,
  ChordEmbedder,
  type ChordRecipe,
  chordJudge,
  chordRetrieval,
  distillationTrainer,
  embedderTrainer,
} from '../../tasks/chords/recipe.ts';
import type { ComputeType } from '../../tensor/tensor.ts';
import { basePath, trainBase } from '../experiment/base-stage.ts';
import { distill } from '../experiment/distillation-stage.ts';
import { type Retrieval, trainEncoder } from '../experiment/encoder-stage.ts';
import { judgeAll } from '../experiment/evaluation-stage.ts';
import type { Experiment } from '../experiment/experiment.ts';
import { type ExperimentModels, experimentGenerators } from '../experiment/generators.ts';
import { merge } from '../experiment/merge-stage.ts';
import { digestOf, taskMetadata } from '../provenance.ts';

export interface ChordExperiment extends Experiment {
  task: ChordTask;
  recipe: ChordRecipe;
}

export function trainBaseModel(experiment: ChordExperiment): Promise<TransformerLM<ComputeType>> {
  const { task, recipe, placement } = experiment;
  const { steps } = recipe.base;
  const metadata = taskMetadata(task);
  return trainBase(experiment, { steps, trainer: () => baseTrainer(task, recipe, placement), metadata });
}

export async function trainEmbedder(
  experiment: ChordExperiment,
): Promise<{ embedder: Embedder; retrieval: Retrieval }> {
  const { task, recipe, folder, placement } = experiment;
  const retrieval = await trainEncoder<ContrastiveTrainer>(experiment, {
    name: 'embedder',
    title: 'Embedder',
    steps: recipe.embedder.steps,
    trainer: () => embedderTrainer(task, recipe, placement),
    resume: (state, { options }) => ContrastiveTrainer.resume(state, options),
    save: ({ options: { encoder } }, path) => encoder.save(path, { metadata: taskMetadata(task) }),
    retrieval: ({ options: { encoder } }) => chordRetrieval(task, new ChordEmbedder(task, encoder)),
  });
  const encoder = await SequenceEncoder.load(join(folder, 'embedder.safetensors'), placement);
  return { embedder: new ChordEmbedder(task, encoder), retrieval };
}

/** Distills with every β of the recipe. */
export async function distillAll(
  experiment: ChordExperiment,
  base: TransformerLM<ComputeType>,
  embedder: Embedder,
): Promise<ExperimentModels['distilled']> {
  const { task, recipe, folder } = experiment;
  const { steps, betas, scale } = recipe.distill;
  const origin = await digestOf(basePath(folder));
  const prompts = task.trainingPrompts.map((prompt) => task.encodePrompt(prompt));
  const distilled = [];
  for (const beta of betas) {
    const model = await distill(experiment, {
      name: distilledName(beta),
      title: `Distillation β ${beta}`,
      steps,
      trainer: () => distillationTrainer(task, recipe, { base, embedder, beta }),
      prompts,
      metadata: { ...taskMetadata(task), beta: String(beta), scale: String(scale), base: origin },
    });
    distilled.push({ beta, model });
  }
  return distilled;
}

/** Merges β = 0 with the largest β. */
export function mergeAll(experiment: ChordExperiment): Promise<ExperimentModels['merged']> {
  const { lambdas, distill } = experiment.recipe;
  return merge(experiment, { beta: Math.max(...distill.betas), lambdas, distilled: distilledName });
}

/** Judges every point on the held-out prompts. */
export function evaluateAll(
  experiment: ChordExperiment,
  models: ExperimentModels,
  embedder: Embedder,
): Promise<Evaluation[]> {
  const { task, recipe } = experiment;
  const prompts = task.heldOutPrompts;
  return judgeAll(experiment, experimentGenerators(task.noPrompt, models), {
    prompts: prompts.map((prompt) => task.encodePrompt(prompt)),
    samplesPerPrompt: recipe.samplesPerPrompt,
    maxTokens: task.maxTokens,
    stopToken: task.stopToken,
    embedder,
    judge: chordJudge(task, prompts),
    seed: task.seed,
    timingRounds: recipe.timingRounds,
  });
}

export function distilledName(beta: number): string {
  return `distilled-${beta}`;
}
