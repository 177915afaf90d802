import type { AugmentationRanges } from '../../audio/augment.ts';
import { BaseTrainer } from '../../base-trainer.ts';
import { type Placement, TransformerLM } from '../../models/transformer-lm.ts';
import type { OptimizerOptions } from '../../training/optimizer.ts';
import type { TuneTask } from './task.ts';

/** What the base model of the tunes is, and how it learns. */
export interface TuneBaseRecipe {
  depth: number;
  width: number;
  heads: number;
  steps: number;
  batchSize: number;
  learningRate: number;
  /** Of the weights. */
  weightDecay: number;
  /** Probability that an activation is dropped: there are few tunes, and the model could learn them by heart. */
  dropout: number;
}

export const TUNE_BASE: TuneBaseRecipe = {
  depth: 4,
  width: 128,
  heads: 4,
  steps: 1500,
  batchSize: 32,
  learningRate: 2e-3,
  weightDecay: 0.1,
  dropout: 0.1,
};

/** How an encoder is trained by contrast. */
interface ContrastiveRecipe {
  /** Of the embedding. */
  dimensions: number;
  steps: number;
  /** Tunes, each the others' negative. */
  batchSize: number;
  learningRate: number;
  weightDecay: number;
  dropout: number;
  /** Divides the cosines. */
  temperature: number;
}

/** A transformer over tokens, and how it is trained by contrast. */
export interface EncoderRecipe extends ContrastiveRecipe {
  depth: number;
  width: number;
  heads: number;
  feedForwardWidth: number;
  /** Of the random stretches of tunes that it meets, in tokens. */
  shortest: number;
  longest: number;
}

/** The symbolic embedder of the tunes. */
export interface TuneEmbedderRecipe extends EncoderRecipe {}

/** The two towers that measure adherence; what is not said of `text` is of both, or of the music tower. */
export interface TuneAdherenceRecipe extends EncoderRecipe {
  text: Pick<EncoderRecipe, 'depth' | 'width' | 'heads' | 'feedForwardWidth'>;
}

/** The audio embedder of the tunes; its encoder is `AUDIO_ENCODER_SMALL` but for what is said here. */
export interface TuneAudioRecipe extends ContrastiveRecipe {
  shape?: { depth: number; width: number; heads: number; headWidth: number; feedForwardWidth: number };
  /** What the changes of each chunk's pitch, tempo and noise are drawn from. */
  augmentation: AugmentationRanges;
}

/** Distillation of the tunes' base model. */
export interface TuneDistillRecipe {
  /** Guidance scale γ of the teacher. */
  scale: number;
  temperature: number;
  steps: number;
  promptsPerStep: number;
  samplesPerPrompt: number;
  learningRate: number;
}

/** Every number of the experiment on tunes that is not the data's. */
export interface TuneRecipe {
  base: TuneBaseRecipe;
  embedder: TuneEmbedderRecipe;
  audio: TuneAudioRecipe;
  adherence: TuneAdherenceRecipe;
  distill: TuneDistillRecipe;
  /** Diversity weights β; 0 first. */
  betas: readonly number[];
  /** Interpolation weights λ between β = 0 and the largest β. */
  lambdas: readonly number[];
  /** Longest generation, in tokens, in distillation and in the evaluation. */
  maxTokens: number;
  /** Prompts that the evaluation asks at most. */
  evaluationPrompts: number;
  samplesPerPrompt: number;
  timingRounds: number;
}

/** The full experiment. */
export const TUNE_RECIPE: TuneRecipe = {
  base: TUNE_BASE,
  embedder: {
    depth: 1,
    width: 128,
    heads: 4,
    feedForwardWidth: 256,
    dimensions: 128,
    steps: 250,
    batchSize: 128,
    learningRate: 4e-3,
    weightDecay: 0.05,
    dropout: 0.1,
    temperature: 0.07,
    shortest: 32,
    longest: 96,
  },
  audio: {
    dimensions: 128,
    steps: 120,
    batchSize: 64,
    learningRate: 2e-3,
    weightDecay: 0.05,
    dropout: 0,
    temperature: 0.1,
    augmentation: { semitones: [-1, 1], speed: [0.9, 1.1], decibels: [15, 40] },
  },
  adherence: {
    depth: 2,
    width: 64,
    heads: 4,
    feedForwardWidth: 128,
    dimensions: 64,
    text: { depth: 1, width: 64, heads: 4, feedForwardWidth: 128 },
    steps: 300,
    batchSize: 128,
    learningRate: 2e-3,
    weightDecay: 0.05,
    dropout: 0.1,
    temperature: 0.1,
    shortest: 32,
    longest: 96,
  },
  distill: {
    scale: 3,
    temperature: 0.99,
    steps: 80,
    promptsPerStep: 16,
    samplesPerPrompt: 4,
    learningRate: 5e-4,
  },
  betas: [0, 5, 15],
  lambdas: [0.25, 0.5, 0.75],
  maxTokens: 128,
  evaluationPrompts: 64,
  samplesPerPrompt: 4,
  timingRounds: 3,
};

/** The same path in seconds, with figures that mean nothing: for a first look, and for tests. */
export const QUICK_TUNE_RECIPE: TuneRecipe = {
  ...TUNE_RECIPE,
  base: { ...TUNE_BASE, depth: 2, width: 64, steps: 40, batchSize: 16 },
  embedder: { ...TUNE_RECIPE.embedder, width: 32, feedForwardWidth: 64, dimensions: 32, steps: 15, batchSize: 32 },
  audio: { ...TUNE_RECIPE.audio, dimensions: 32, steps: 4, batchSize: 8 },
  adherence: { ...TUNE_RECIPE.adherence, width: 32, feedForwardWidth: 64, dimensions: 32, steps: 15, batchSize: 32 },
  distill: { ...TUNE_RECIPE.distill, steps: 6, promptsPerStep: 4 },
  betas: [0, 5],
  lambdas: [0.5],
  maxTokens: 48,
  evaluationPrompts: 6,
  timingRounds: 1,
};

/** How encoders learn by contrast: a short rise of the learning rate, then a cosine to 0. */
export function contrastiveOptimizer({
  learningRate,
  weightDecay,
  steps,
}: Pick<ContrastiveRecipe, 'learningRate' | 'weightDecay' | 'steps'>): OptimizerOptions {
  return { learningRate, weightDecay, warmupSteps: Math.min(20, steps - 1), decay: 'cosine', totalSteps: steps };
}

/** A trainer of the base model, with random weights. */
export function tuneBaseTrainer(
  task: TuneTask,
  recipe: TuneBaseRecipe = TUNE_BASE,
  placement: Placement = {},
): BaseTrainer {
  const { depth, width, heads, steps, batchSize, learningRate, weightDecay, dropout } = recipe;
  const model = new TransformerLM(
    {
      vocabularySize: task.vocabularySize,
      depth,
      width,
      heads,
      dropout,
      positions: 'rotary',
      maxPositions: task.maxPromptTokens + task.maxTokens,
    },
    { ...placement, seed: task.seed },
  );
  return new BaseTrainer({
    model,
    rows: task.trainingRows,
    noPrompt: task.noPrompt,
    promptDropout: 0.1,
    batchSize,
    groupByLength: true,
    seed: task.seed,
    optimizer: {
      learningRate,
      weightDecay,
      warmupSteps: Math.min(100, steps - 1),
      decay: 'cosine',
      totalSteps: steps,
    },
  });
}
