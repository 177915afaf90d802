import { BaseTrainer } from '../../base-trainer.ts';
import { ContrastiveTrainer } from '../../embedders/contrastive-trainer.ts';
import { type Embedder, EncoderEmbedder, embedOnHost } from '../../embedders/embedder.ts';
import { retrievalAt1 } from '../../embedders/retrieval.ts';
import type { Judge } from '../../evaluation/evaluate.ts';
import { SequenceEncoder } from '../../models/sequence-encoder.ts';
import { type Placement, TransformerLM } from '../../models/transformer-lm.ts';
import { Random } from '../../random.ts';
import type { ComputeType } from '../../tensor/tensor.ts';
import { Trainer, type TrainerOptions } from '../../trainer.ts';
import type { ChordPrompt } from './music.ts';
import type { ChordTask } from './task.ts';

/** Every number of the chord experiment that is not the data's. */
export interface ChordRecipe {
  base: { depth: number; width: number; heads: number; steps: number; batchSize: number; learningRate: number };
  embedder: { depth: number; width: number; heads: number; dimensions: number; steps: number; batchSize: number };
  distill: {
    /** Guidance scale γ of the teacher. */
    scale: number;
    temperature: number;
    steps: number;
    promptsPerStep: number;
    samplesPerPrompt: number;
    learningRate: number;
    /** Diversity weights β; 0 first. */
    betas: readonly number[];
  };
  /** Interpolation weights λ between β = 0 and the largest β. */
  lambdas: readonly number[];
  samplesPerPrompt: number;
  timingRounds: number;
}

/** The full experiment. */
export const CHORD_RECIPE: ChordRecipe = {
  base: { depth: 2, width: 64, heads: 4, steps: 1200, batchSize: 128, learningRate: 2e-3 },
  embedder: { depth: 2, width: 64, heads: 4, dimensions: 64, steps: 400, batchSize: 128 },
  distill: {
    scale: 2,
    temperature: 0.99,
    steps: 250,
    promptsPerStep: 32,
    samplesPerPrompt: 4,
    learningRate: 1e-3,
    betas: [0, 1, 2],
  },
  lambdas: [0.25, 0.5, 0.75],
  samplesPerPrompt: 16,
  timingRounds: 3,
};

/** The same path in some 20 seconds, with figures that mean little: for a first look, and for tests. */
export const QUICK_CHORD_RECIPE: ChordRecipe = {
  ...CHORD_RECIPE,
  base: { ...CHORD_RECIPE.base, steps: 250 },
  embedder: { ...CHORD_RECIPE.embedder, steps: 60 },
  distill: { ...CHORD_RECIPE.distill, steps: 40, promptsPerStep: 16 },
  timingRounds: 1,
};

/** A trainer of the base model, with random weights, which are the same on every device. */
export function baseTrainer(task: ChordTask, { base }: ChordRecipe, placement: Placement = {}): BaseTrainer {
  const { depth, width, heads, steps, batchSize, learningRate } = base;
  const model = new TransformerLM(
    { vocabularySize: task.vocabularySize, depth, width, heads, maxPositions: task.noPrompt.length + task.maxTokens },
    { ...placement, seed: task.seed },
  );
  return new BaseTrainer({
    model,
    rows: task.trainingRows.map(({ prompt, answer }) => ({ prompt, tokens: answer })),
    noPrompt: task.noPrompt,
    promptDropout: 0.15,
    batchSize,
    seed: task.seed,
    optimizer: {
      learningRate,
      weightDecay: 0.1,
      warmupSteps: Math.min(50, steps - 1),
      decay: 'cosine',
      totalSteps: steps,
    },
  });
}

/** A trainer of the embedder on pairs of a voicing and a view of it. */
export function embedderTrainer(
  task: ChordTask,
  { embedder }: ChordRecipe,
  placement: Placement = {},
): ContrastiveTrainer {
  const { depth, width, heads, dimensions, steps, batchSize } = embedder;
  const encoder = new SequenceEncoder(
    { vocabularySize: task.answerTokens, depth, width, heads, dimensions, maxPositions: task.maxTokens },
    { ...placement, seed: task.seed },
  );
  return new ContrastiveTrainer({
    encoder,
    items: task.embedderItems.length,
    pair: (item, random) => {
      const chord = task.embedderItems[item] as (typeof task.embedderItems)[number];
      return [chord.answer, task.view(chord, random)];
    },
    batchSize: Math.min(batchSize, task.embedderItems.length),
    seed: task.seed,
    optimizer: {
      learningRate: 1e-3,
      weightDecay: 0.01,
      warmupSteps: Math.min(20, steps - 1),
      decay: 'cosine',
      totalSteps: steps,
    },
  });
}

/** An embedder of generations: whatever a model drew that is no answer token counts as muted. */
export class ChordEmbedder implements Embedder {
  readonly #embedder: EncoderEmbedder;
  readonly #task: ChordTask;

  constructor(task: ChordTask, encoder: SequenceEncoder) {
    this.#task = task;
    this.#embedder = new EncoderEmbedder(encoder);
  }

  get dimensions(): number {
    return this.#embedder.dimensions;
  }

  embed(generations: readonly Int32Array[], signal?: AbortSignal): Promise<Float32Array> {
    const { answerTokens, stopToken } = this.#task;
    const answers = generations.map((tokens) => tokens.map((token) => (token < answerTokens ? token : stopToken)));
    return this.#embedder.embed(answers, signal);
  }
}

/**
 * Distillation of a base model under guidance, where and as it computes, rewarded for diversity by β; `further` options
 * replace the recipe's.
 */
export function distillationTrainer(
  task: ChordTask,
  { distill }: ChordRecipe,
  { base, embedder, beta }: { base: TransformerLM<ComputeType>; embedder: Embedder | null; beta: number },
  further: Partial<TrainerOptions> = {},
): Trainer {
  const { scale, temperature, steps, promptsPerStep, samplesPerPrompt, learningRate } = distill;
  return new Trainer({
    student: base.clone(),
    teacher: { model: base, guidance: { scale, negative: task.noPrompt } },
    ...(embedder && { diversity: { embedder, weight: beta } }),
    samplesPerPrompt,
    promptsPerStep,
    maxTokens: task.maxTokens,
    stopToken: task.stopToken,
    temperature,
    // The fall of the learning rate at the end takes out most of the policy gradient's noise.
    optimizer: { learningRate, warmupSteps: Math.min(10, steps - 1), decay: 'cosine', totalSteps: steps },
    seed: task.seed,
    ...further,
  });
}

/** What the evaluation asks of the chord task. */
export function chordJudge(task: ChordTask, prompts: readonly ChordPrompt[]): Judge {
  const frets = (p: number, tokens: Int32Array): number[] => task.toFrets(prompts[p] as ChordPrompt, tokens);
  const valid = (p: number, tokens: Int32Array) => task.isValid(prompts[p] as ChordPrompt, frets(p, tokens));
  return {
    quality: (p, generations) => generations.map((tokens) => (valid(p, tokens) ? 1 : 0)),
    valid,
    distance: (p, a, b) => task.stringDifference(frets(p, a), frets(p, b)),
    identity: (p, tokens) => frets(p, tokens).join(' '),
  };
}

/** Retrieval@1 of a view's own voicing among all held-out voicings. */
export async function chordRetrieval(
  task: ChordTask,
  embedder: Embedder,
): Promise<{ retrievalAt1: number; candidates: number }> {
  const random = new Random(task.seed).fork('retrieval');
  const views = task.heldOutItems.map((item) => task.view(item, random));
  // The training voicings join as distractors: the held-out ones alone are few.
  const candidates = [...task.heldOutItems, ...task.embedderItems].map(({ answer }) => answer);
  const [queries, targets] = [await embedOnHost(embedder, views), await embedOnHost(embedder, candidates)];
  const share = retrievalAt1(queries, targets, embedder.dimensions);
  return { retrievalAt1: share, candidates: candidates.length };
}
