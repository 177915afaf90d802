import type { BaseTrainer } from '../../base-trainer.ts';
import type { ContrastiveTrainer } from '../../embedders/contrastive-trainer.ts';
import type { Embedder } from '../../embedders/embedder.ts';
import type { Judge } from '../../evaluation/evaluate.ts';
import type { SequenceEncoder } from '../../models/sequence-encoder.ts';
import type { TransformerLM } from '../../models/transformer-lm.ts';
import type { Divergence } from '../../native.ts';
import type { ComputeType } from '../../tensor/tensor.ts';
import type { RolloutSource, RunOptions, Trainer } from '../../trainer.ts';
import type { ModelPlacement } from '../placement.ts';

/** What `train-base` is told. */
export interface BaseSettings {
  depth: number;
  width: number;
  heads: number;
  steps: number;
  batchSize: number;
  learningRate: number;
}

/** What `train-embedder` is told. */
export interface EmbedderSettings {
  depth: number;
  width: number;
  heads: number;
  dimensions: number;
  steps: number;
  batchSize: number;
}

/** What `distill` is told. */
export interface DistillSettings {
  scale: number;
  temperature: number;
  divergence: Divergence;
  /** The teacher's share in the generalised Jensen-Shannon divergence. */
  jsdWeight: number;
  rollouts: RolloutSource;
  scoreFunction: boolean;
  beta: number;
  steps: number;
  promptsPerStep: number;
  samplesPerPrompt: number;
  learningRate: number;
  /** Of the rollouts; the split has its own. */
  seed: number;
}

export interface TaskDefaults {
  base: BaseSettings;
  embedder: EmbedderSettings;
  distill: Omit<DistillSettings, 'seed'>;
  /** Generations per prompt in an evaluation. */
  evaluationSamples: number;
}

/** A prompt as a task understands it. */
export interface TaskPrompt {
  text: string;
  tokens: Int32Array;
}

/** A generation as a task understands it. */
export interface TaskAnswer {
  /** For people, on one line. */
  text: string;
  valid: boolean;
  /** For scripts. */
  json: Readonly<Record<string, unknown>>;
}

/** A task with its data, split by a seed into training and held-out prompts. */
export interface CliTask {
  readonly name: string;
  /** Of the split. */
  readonly seed: number;
  readonly vocabularySize: number;
  /** Tokens that an embedder of this task knows. */
  readonly embedderVocabularySize: number;
  readonly noPrompt: Int32Array;
  readonly maxTokens: number;
  readonly stopToken: number;
  readonly heldOutPrompts: readonly TaskPrompt[];
  baseTrainer(settings: BaseSettings, placement: ModelPlacement): BaseTrainer;
  embedderTrainer(settings: EmbedderSettings, placement: ModelPlacement): ContrastiveTrainer;
  /** The student is placed as the base model is. */
  distillationTrainer(
    settings: DistillSettings,
    models: { base: TransformerLM<ComputeType>; embedder: Embedder | null },
  ): Trainer;
  /** The prompts to distill on, with their known answers for rollouts 'data'. */
  distillationData(rollouts: RolloutSource): { prompts: Int32Array[] } & Pick<RunOptions, 'answers'>;
  embedder(encoder: SequenceEncoder): Embedder;
  retrieval(embedder: Embedder): Promise<{ retrievalAt1: number; candidates: number }>;
  /** The prompt that a text says. A text that says none is a ValueError. */
  prompt(text: string): TaskPrompt;
  answer(prompt: TaskPrompt, tokens: Int32Array): TaskAnswer;
  judge(prompts: readonly TaskPrompt[]): Judge;
}

/** A task by its name, before its data is read. */
export interface TaskEntry {
  readonly name: string;
  readonly summary: string;
  /** How a prompt is written, with an example. */
  readonly promptForm: string;
  readonly defaults: TaskDefaults;
  open(seed: number): CliTask;
}
