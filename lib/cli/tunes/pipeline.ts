import { join } from 'node:path';
import { ContrastiveTrainer } from '../../embedders/contrastive-trainer.ts';
import type { Embedder } from '../../embedders/embedder.ts';
import { TwoTower } from '../../embedders/two-tower.ts';
import { TwoTowerTrainer } from '../../embedders/two-tower-trainer.ts';
import type { Evaluation } from '../../evaluation/evaluate.ts';
import type { PatchEncoder } from '../../models/patch-encoder.ts';
import type { TransformerLM } from '../../models/transformer-lm.ts';
import { tuneAdherenceRetrieval, tuneAdherenceTrainer } from '../../tasks/tunes/adherence.ts';
import { tuneAudioEmbedder, tuneAudioTrainer } from '../../tasks/tunes/audio.ts';
import { tuneDistillationTrainer } from '../../tasks/tunes/distillation.ts';
import { tuneJudge } from '../../tasks/tunes/judge.ts';
import { type TuneRecipe, tuneBaseTrainer } from '../../tasks/tunes/recipe.ts';
import { tuneRetrieval } from '../../tasks/tunes/retrieval.ts';
import type { TuneTask } from '../../tasks/tunes/task.ts';
import { TuneEmbedder, tuneEmbedderTrainer } from '../../tasks/tunes/tune-embedder.ts';
import type { ComputeType } from '../../tensor/tensor.ts';
import type { RolloutSource } from '../../trainer.ts';
import { basePath, trainBase } from '../experiment/base-stage.ts';
import { distill } from '../experiment/distillation-stage.ts';
import { type Retrieval, trainEncoder } from '../experiment/encoder-stage.ts';
import { judgeAll } from '../experiment/evaluation-stage.ts';
import type { Experiment } from '../experiment/experiment.ts';
import { type ExperimentModels, experimentGenerators } from '../experiment/generators.ts';
import { merge } from '../experiment/merge-stage.ts';
import { digestOf } from '../provenance.ts';
import { loadTuneEmbedder } from '../tasks/tune-models.ts';
import { TUNE_SWEEPS } from './sweeps.ts';

export interface TuneExperiment extends Experiment {
  task: TuneTask;
  recipe: TuneRecipe;
  /** Of every checkpoint. */
  metadata: Readonly<Record<string, string>>;
}

/** What was trained to judge, and how well it tells held-out tunes apart. */
export interface TrainedJudge<T> {
  model: T;
  retrieval: Retrieval;
}

/** By whom generations are judged. */
export interface Judges {
  embedder: TrainedJudge<Embedder>;
  audio: TrainedJudge<Embedder>;
  adherence: TrainedJudge<TwoTower>;
}

export function trainBaseModel(experiment: TuneExperiment): Promise<TransformerLM<ComputeType>> {
  const { task, recipe, placement, metadata } = experiment;
  return trainBase(experiment, {
    steps: recipe.base.steps,
    trainer: () => tuneBaseTrainer(task, recipe.base, placement),
    metadata,
  });
}

/** The embedder that reads tokens: the reward. */
export async function trainEmbedder(experiment: TuneExperiment): Promise<TrainedJudge<Embedder>> {
  const { task, recipe, folder, placement, metadata, signal } = experiment;
  const retrieval = await trainEncoder<ContrastiveTrainer>(experiment, {
    name: 'embedder',
    title: 'Embedder',
    steps: recipe.embedder.steps,
    trainer: () => tuneEmbedderTrainer(task, recipe.embedder, placement),
    resume: (state, { options }) => ContrastiveTrainer.resume(state, options),
    save: ({ options: { encoder } }, path) => encoder.save(path, { metadata }),
    retrieval: ({ options: { encoder } }) => tuneRetrieval(task, new TuneEmbedder(task, encoder), signal),
  });
  return { model: await loadTuneEmbedder(join(folder, 'embedder.safetensors'), task, placement), retrieval };
}

/** The embedder that listens: the independent measure. */
export async function trainAudioEmbedder(experiment: TuneExperiment): Promise<TrainedJudge<Embedder>> {
  const { task, recipe, folder, placement, metadata, signal } = experiment;
  const name = 'audio-embedder';
  const retrieval = await trainEncoder<ContrastiveTrainer<PatchEncoder>>(experiment, {
    name,
    title: 'Audio embedder',
    steps: recipe.audio.steps,
    trainer: () => tuneAudioTrainer(task, recipe.audio, placement),
    resume: (state, { options }) => ContrastiveTrainer.resume(state, options),
    save: ({ options: { encoder } }, path) => tuneAudioEmbedder(task, encoder).save(path, { metadata }),
    retrieval: ({ options: { encoder } }) => tuneRetrieval(task, tuneAudioEmbedder(task, encoder), signal),
  });
  return { model: await loadTuneEmbedder(join(folder, `${name}.safetensors`), task, placement), retrieval };
}

/** The towers of prompt and music: adherence. */
export async function trainAdherence(experiment: TuneExperiment): Promise<TrainedJudge<TwoTower>> {
  const { task, recipe, folder, placement, metadata } = experiment;
  const retrieval = await trainEncoder<TwoTowerTrainer>(experiment, {
    name: 'adherence',
    title: 'Adherence',
    steps: recipe.adherence.steps,
    trainer: () => tuneAdherenceTrainer(task, recipe.adherence, placement),
    resume: (state, { options }) => TwoTowerTrainer.resume(state, options),
    save: ({ options: { towers } }, path) => towers.save(path, { metadata }),
    retrieval: ({ options: { towers } }) => tuneAdherenceRetrieval(task, towers),
  });
  return { model: await TwoTower.load(join(folder, 'adherence.safetensors'), placement), retrieval };
}

/** Distills with every β of the recipe, and once on what the teacher writes. */
export async function distillAll(
  experiment: TuneExperiment,
  base: TransformerLM<ComputeType>,
  embedder: Embedder,
): Promise<Pick<ExperimentModels, 'distilled' | 'offPolicy'>> {
  const { task, recipe, folder, metadata } = experiment;
  const {
    betas,
    distill: { steps, scale },
  } = recipe;
  const origin = await digestOf(basePath(folder));
  const prompts = task.trainingPrompts.map((text) => task.encodePrompt(text));
  const one = (name: string, title: string, beta: number, rollouts: RolloutSource) =>
    distill(experiment, {
      name,
      title,
      steps,
      trainer: () =>
        tuneDistillationTrainer(task, recipe, { base, rewards: [{ embedder, weight: beta }] }, { rollouts }),
      prompts,
      metadata: { ...metadata, beta: String(beta), scale: String(scale), rollouts, base: origin },
    });
  const distilled = [];
  for (const beta of betas) {
    distilled.push({ beta, model: await one(distilledName(beta), `Distillation β ${beta}`, beta, 'student') });
  }
  const offPolicy = await one(OFF_POLICY_NAME, 'Distillation on the teacher’s rollouts', 0, 'teacher');
  return { distilled, offPolicy };
}

/** Merges β = 0 with the largest β. */
export function mergeAll(experiment: TuneExperiment): Promise<ExperimentModels['merged']> {
  const { lambdas, betas } = experiment.recipe;
  return merge(experiment, { beta: Math.max(...betas), lambdas, distilled: distilledName });
}

/** Judges every point on held-out prompts. */
export function evaluateAll(
  experiment: TuneExperiment,
  models: ExperimentModels,
  { prompts, embedder, audio, adherence }: Judges & { prompts: readonly string[] },
): Promise<Evaluation[]> {
  const { task, recipe } = experiment;
  const { samplesPerPrompt, timingRounds, maxTokens } = recipe;
  return judgeAll(experiment, experimentGenerators(task.noPrompt, models, TUNE_SWEEPS), {
    prompts: prompts.map((text) => task.encodePrompt(text)),
    samplesPerPrompt,
    maxTokens,
    stopToken: task.stopToken,
    embedder: embedder.model,
    independentEmbedder: audio.model,
    judge: tuneJudge(task, prompts, adherence.model),
    seed: task.seed,
    timingRounds,
    timingPrompts: 16,
  });
}

export function distilledName(beta: number): string {
  return `distilled-${beta}`;
}

export const OFF_POLICY_NAME = 'distilled-0-off-policy';
