import type { BaseTrainer } from '../../base-trainer.ts';
import type { ContrastiveMetrics } from '../../embedders/contrastive-trainer.ts';
import type { Embedder } from '../../embedders/embedder.ts';
import type { Judge } from '../../evaluation/evaluate.ts';
import type { RetrievalFigures } from '../../evaluation/types.ts';
import type { PatchEncoder } from '../../models/patch-encoder.ts';
import type { SequenceEncoder } from '../../models/sequence-encoder.ts';
import type { TransformerLM } from '../../models/transformer-lm.ts';
import type { Divergence } from '../../native.ts';
import type { ComputeType } from '../../tensor/tensor.ts';
import type { TokenAutomaton } from '../../token-automaton.ts';
import type { DiversityReward, RolloutSource, RunOptions, Trainer } from '../../trainer.ts';
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

/** What an embedder reads of a generation: its tokens, or its sound. */
export type EmbedderKind = 'symbolic' | 'audio';

/** What `train-embedder` and `train-adherence` are told. */
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
  /** Weight of the diversity reward; of several rewards a list. */
  beta: number | readonly number[];
  steps: number;
  promptsPerStep: number;
  samplesPerPrompt: number;
  /** Of a generation, the stop token included. */
  maxTokens: number;
  learningRate: number;
  /** Of the rollouts; the split has its own. */
  seed: number;
}

export interface TaskDefaults {
  base: BaseSettings;
  /** By kind; the task has embedders of these kinds, the first one by default. */
  embedder: { readonly symbolic: EmbedderSettings; readonly audio?: EmbedderSettings };
  /** Of the towers that score how well a generation does what its prompt asks for; absent for a task whose rules say it. */
  adherence?: EmbedderSettings;
  distill: Omit<DistillSettings, 'seed' | 'maxTokens'>;
  /** Generations per prompt in an evaluation. */
  evaluationSamples: number;
}

/** A prompt as a task understands it. */
export interface TaskPrompt {
  text: string;
  tokens: Int32Array;
  /** Words of it that the model does not know. */
  unknown?: readonly string[];
}

/** A generation as a task understands it. */
export interface TaskAnswer {
  /** For people. */
  text: string;
  valid: boolean;
  /** For scripts. */
  json: Readonly<Record<string, unknown>>;
}

/** A prompt with what a model drew for it. */
export interface Answered {
  prompt: TaskPrompt;
  answers: readonly { answer: TaskAnswer; logProbability: number }[];
}

/** What a task read from where `--data` points. */
export interface TaskData {
  /** As it was given. */
  path: string;
  /** SHA-256 of what models learn from it. */
  digest: string;
  /** How many items, and how many of them are held out. */
  items: number;
  heldOut: number;
  /** What could not be read, or not whole: one line each. */
  problems: readonly string[];
  /** How many of the problems cost an item, or the rest of a file. */
  lost: number;
}

/** Encoders in training by contrast, whatever they read. */
export interface EncoderTraining {
  trainer: {
    readonly step: number;
    run(options: { steps: number; signal?: AbortSignal }): AsyncIterable<ContrastiveMetrics>;
    save(path: string): Promise<void>;
  };
  /** Writes the encoders as they are trained so far. */
  save(path: string, metadata: Record<string, string>): Promise<void>;
  /** Rejects with ValueError where nothing is held out. */
  retrieval(): Promise<RetrievalFigures>;
}

/** An embedder in training. */
export interface EmbedderTraining extends EncoderTraining {
  encoder: SequenceEncoder | PatchEncoder;
  /** By the encoder as it is trained so far. */
  embedder: Embedder;
}

/** A model that scores how well a generation does what its prompt asks for. */
export interface Adherence {
  judge(prompts: readonly TaskPrompt[]): Judge;
  retrieval(): Promise<RetrievalFigures>;
  /** What the judge's quality is called and means, and its further measures. */
  quality: { name: string; meaning: string };
  measures: Readonly<Record<string, string>>;
  /** The largest loss of quality that still counts as none. */
  margin: number;
}

/** What may be drawn after what, and the state in which each prompt's generations begin. */
export interface TaskConstraint {
  automaton: TokenAutomaton;
  startStates: Int32Array;
}

/** A file of a generation: `.abc` and its content. */
export interface AnswerFile {
  extension: string;
  content: string | Uint8Array;
}

/** A task with its data, split by a seed into training and held-out prompts. */
export interface CliTask {
  readonly name: string;
  /** Of the split. */
  readonly seed: number;
  readonly vocabularySize: number;
  /** What checkpoints tell of the vocabulary, so that they are used with no other; undefined where every one is the same. */
  readonly vocabulary: string | undefined;
  /** Null for a task that has its own data, and where it was opened without. */
  readonly data: TaskData | null;
  readonly noPrompt: Int32Array;
  /** Of what a model is trained on, the stop token included. */
  readonly maxTokens: number;
  /** Of the generations that it is distilled on and judged by, unless another number is asked for. */
  readonly generationTokens: number;
  readonly stopToken: number;
  readonly heldOutPrompts: readonly TaskPrompt[];
  baseTrainer(settings: BaseSettings, placement: ModelPlacement): BaseTrainer;
  /** @param resumed the file of a state to go on from, or null */
  embedderTraining(
    kind: EmbedderKind,
    settings: EmbedderSettings,
    placement: ModelPlacement,
    resumed: string | null,
  ): Promise<EmbedderTraining>;
  /** The student is placed as the base model is. */
  distillationTrainer(
    settings: DistillSettings,
    models: { base: TransformerLM<ComputeType>; rewards: readonly DiversityReward[] },
  ): Trainer;
  /** The prompts to distill on, with their known answers for rollouts 'data'. */
  distillationData(rollouts: RolloutSource): { prompts: Int32Array[] } & Pick<RunOptions, 'answers'>;
  /** Rejects with CheckpointError when the file is damaged, of another kind, or does not fit the task. */
  loadEmbedder(path: string, placement: ModelPlacement): Promise<Embedder>;
  retrieval(embedder: Embedder): Promise<RetrievalFigures>;
  /** Absent, with `loadAdherence`, for a task whose rules say what is good. */
  adherenceTraining?(
    settings: EmbedderSettings,
    placement: ModelPlacement,
    resumed: string | null,
  ): Promise<EncoderTraining>;
  loadAdherence?(path: string, placement: ModelPlacement): Promise<Adherence>;
  /** The prompt that a text says. A text that says none is a ValueError. */
  prompt(text: string): TaskPrompt;
  answer(prompt: TaskPrompt, tokens: Int32Array): TaskAnswer;
  /** Answers as a text for people. */
  listing(answered: readonly Answered[]): string;
  /** Absent for a task that can be judged by its adherence alone. */
  judge?(prompts: readonly TaskPrompt[]): Judge;
  /** Absent for a task without. Throws ValueError naming the prompt that says nothing of bars. */
  fullBars?(prompts: readonly TaskPrompt[]): TaskConstraint;
  /** The files of a generation; absent for a task without. */
  files?(prompt: TaskPrompt, tokens: Int32Array): Promise<AnswerFile[]>;
}

export interface OpenOptions {
  seed: number;
  /** A file or a folder; a task that has its own data takes none. */
  data?: string | undefined;
  /** As a checkpoint tells it, with or without the data. Default: that of the data. */
  vocabulary?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** A task by its name, before its data is read. */
export interface TaskEntry {
  readonly name: string;
  readonly summary: string;
  /** How a prompt is written, with an example. */
  readonly promptForm: string;
  /** What `--data` is for this task; undefined for one that has its own. */
  readonly dataForm?: string;
  readonly defaults: TaskDefaults;
  /**
   * Opened without data that it needs, a task can be asked for what a vocabulary is enough for: prompts and answers.
   *
   * Rejects with UsageError for data that it does not take, ValueError or CheckpointError for data or a vocabulary that
   * cannot be used.
   */
  open(options: OpenOptions): Promise<CliTask>;
}
