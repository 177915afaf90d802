import type { Embedder } from '../../embedders/embedder.ts';
import { CheckpointError, ValueError } from '../../errors.ts';
import type { TransformerLM } from '../../models/transformer-lm.ts';
import { tuneDistillationTrainer } from '../../tasks/tunes/distillation.ts';
import { FullBars } from '../../tasks/tunes/full-bars.ts';
import { generatedTune } from '../../tasks/tunes/generated-tune.ts';
import { barTicks, parseMeter } from '../../tasks/tunes/meter.ts';
import { tuneFiles } from '../../tasks/tunes/play.ts';
import { askedFor } from '../../tasks/tunes/prompt.ts';
import { TUNE_RECIPE, tuneBaseTrainer } from '../../tasks/tunes/recipe.ts';
import { tuneRetrieval } from '../../tasks/tunes/retrieval.ts';
import { TuneTask, type TuneTaskOptions } from '../../tasks/tunes/task.ts';
import { STOP_TOKEN, TuneVocabulary } from '../../tasks/tunes/vocabulary.ts';
import type { ComputeType } from '../../tensor/tensor.ts';
import type { DiversityReward, RolloutSource, Trainer } from '../../trainer.ts';
import { UsageError } from '../failure.ts';
import type { ModelPlacement } from '../placement.ts';
import { distillDefaults } from './distill-defaults.ts';
import type {
  AnswerFile,
  BaseSettings,
  CliTask,
  DistillSettings,
  EmbedderKind,
  EmbedderSettings,
  EmbedderTraining,
  OpenOptions,
  TaskConstraint,
  TaskData,
  TaskEntry,
  TaskPrompt,
} from './task.ts';
import { tuneAnswer, tuneListing } from './tune-answers.ts';
import { readTuneData } from './tune-data.ts';
import {
  adherenceTraining,
  audioTraining,
  loadTuneAdherence,
  loadTuneEmbedder,
  symbolicTraining,
  TUNE_ENCODERS,
} from './tune-models.ts';

/** Longest tune that is learnt or generated, in tokens. */
const MAX_TOKENS = 256;

const { base, distill, maxTokens, samplesPerPrompt } = TUNE_RECIPE;

/** Melodies from labels. */
export const tunes: TaskEntry = {
  name: 'tunes',
  summary: 'melodies from a folder of tunes with labels (--data): ABC, MIDI or JSON lines',
  promptForm: '"a <type> in <metre>, <key> <mode>" or any other words, such as "a lively jig in 6/8, D major"',
  dataForm: 'a file or a folder of .abc, .mid, .jsonl or .jsonl.gz',
  defaults: {
    base: baseSettings(base),
    embedder: { symbolic: TUNE_ENCODERS.symbolic, audio: TUNE_ENCODERS.audio },
    adherence: TUNE_ENCODERS.adherence,
    distill: distillDefaults(distill),
    evaluationSamples: samplesPerPrompt,
  },
  async open({ seed, data: path, vocabulary: told, signal }: OpenOptions) {
    const vocabulary = told === undefined ? undefined : readVocabulary(told);
    if (path === undefined) {
      if (vocabulary) return new TuneCliTask({ seed, vocabulary, task: null, data: null });
      throw new UsageError(`--data: task 'tunes' expects ${tunes.dataForm}, got none`);
    }
    const { tunes: read, data } = await readTuneData(path, signal);
    const task = taskOf({ tunes: read, seed, maxTokens: MAX_TOKENS, ...(vocabulary && { vocabulary }) }, path);
    return new TuneCliTask({ seed, vocabulary: task.vocabulary, task, data });
  },
};

function baseSettings({ depth, width, heads, steps, batchSize, learningRate }: BaseSettings): BaseSettings {
  return { depth, width, heads, steps, batchSize, learningRate };
}

function taskOf(options: TuneTaskOptions, path: string): TuneTask {
  try {
    return new TuneTask(options);
  } catch (cause) {
    if (!(cause instanceof ValueError && options.vocabulary && cause.argument === 'elements')) throw cause;
    throw new ValueError(
      `--data: expected what the models were trained on, got other data in ${path}: ${cause.message}`,
      'data',
      { cause },
    );
  }
}

function readVocabulary(text: string): TuneVocabulary {
  try {
    return TuneVocabulary.fromJSON(JSON.parse(text));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError(`the vocabulary in the metadata is not one of tunes: ${why}`, 'vocabulary', { cause });
  }
}

interface Opened {
  seed: number;
  vocabulary: TuneVocabulary;
  task: TuneTask | null;
  data: TaskData | null;
}

class TuneCliTask implements CliTask {
  readonly name = 'tunes';
  readonly seed: number;
  readonly vocabulary: string;
  readonly data: TaskData | null;
  readonly maxTokens = MAX_TOKENS;
  readonly generationTokens = maxTokens;
  readonly stopToken = STOP_TOKEN;
  readonly heldOutPrompts: readonly TaskPrompt[];
  readonly #vocabulary: TuneVocabulary;
  readonly #opened: TuneTask | null;

  constructor({ seed, vocabulary, task, data }: Opened) {
    this.seed = seed;
    this.vocabulary = JSON.stringify(vocabulary);
    this.data = data;
    this.#vocabulary = vocabulary;
    this.#opened = task;
    this.heldOutPrompts = task?.heldOutPrompts.map((text) => this.#encoded(text)) ?? [];
  }

  /** With its data. */
  get #task(): TuneTask {
    if (this.#opened) return this.#opened;
    throw new UsageError(`--data: task 'tunes' expects ${tunes.dataForm}, got none`);
  }

  get vocabularySize(): number {
    return this.#vocabulary.size;
  }

  get noPrompt(): Int32Array {
    return this.#vocabulary.noPrompt;
  }

  baseTrainer(settings: BaseSettings, placement: ModelPlacement) {
    return tuneBaseTrainer(this.#task, { ...base, ...baseSettings(settings) }, placement);
  }

  embedderTraining(
    kind: EmbedderKind,
    settings: EmbedderSettings,
    placement: ModelPlacement,
    resumed: string | null,
  ): Promise<EmbedderTraining> {
    const training = kind === 'audio' ? audioTraining : symbolicTraining;
    return training(this.#task, settings, placement, resumed);
  }

  loadEmbedder(path: string, placement: ModelPlacement): Promise<Embedder> {
    return loadTuneEmbedder(path, this.#task, placement);
  }

  retrieval(own: Embedder) {
    return tuneRetrieval(this.#task, own);
  }

  adherenceTraining(settings: EmbedderSettings, placement: ModelPlacement, resumed: string | null) {
    return adherenceTraining(this.#task, settings, placement, resumed);
  }

  loadAdherence(path: string, placement: ModelPlacement) {
    return loadTuneAdherence(path, this.#task, placement);
  }

  distillationTrainer(
    settings: DistillSettings,
    models: { base: TransformerLM<ComputeType>; rewards: readonly DiversityReward[] },
  ): Trainer {
    const { divergence, jsdWeight, rollouts, scoreFunction, seed, maxTokens: most, ...own } = settings;
    const further = { divergence, jsdWeight, rollouts, scoreFunction, seed };
    return tuneDistillationTrainer(this, { distill: own, maxTokens: most }, models, further);
  }

  distillationData(rollouts: RolloutSource) {
    const prompts = this.#task.trainingPrompts;
    const tokens = prompts.map((text) => this.#task.encodePrompt(text));
    if (rollouts !== 'data') return { prompts: tokens };
    const answers = new Map<string, Int32Array[]>(prompts.map((text) => [text, []]));
    for (const row of this.#task.trainingRows) answers.get(row.text)?.push(row.tokens);
    return { prompts: tokens, answers: [...answers.values()] };
  }

  prompt(text: string): TaskPrompt {
    if (text.trim() === '') throw new ValueError(`expected ${tunes.promptForm}, got '${text}'`, 'prompt');
    const { meter } = askedFor(text);
    if (meter !== undefined) parseMeter(meter);
    return this.#encoded(text);
  }

  #encoded(text: string): TaskPrompt {
    const { words } = this.#vocabulary;
    return { text, tokens: words.encode(text), unknown: words.unknownWords(text) };
  }

  answer({ text }: TaskPrompt, tokens: Int32Array) {
    return tuneAnswer(this.#vocabulary, text, tokens);
  }

  listing = tuneListing;

  fullBars(prompts: readonly TaskPrompt[]): TaskConstraint {
    const meters = prompts.map(({ text }) => {
      const { meter } = askedFor(text);
      if (meter !== undefined && barTicks(meter) !== null) return meter;
      throw new ValueError(`expected a metre such as 6/8 in every prompt, got none in '${text}'`, 'prompt');
    });
    const bars = new FullBars(this.#vocabulary, [...new Set(meters)]);
    return { automaton: bars.automaton, startStates: Int32Array.from(meters, (meter) => bars.startOf(meter)) };
  }

  async files({ text }: TaskPrompt, tokens: Int32Array): Promise<AnswerFile[]> {
    const { abc, midi, wav } = await tuneFiles(generatedTune(this.#vocabulary, text, tokens));
    return [
      { extension: '.abc', content: abc },
      { extension: '.mid', content: midi },
      { extension: '.wav', content: wav },
    ];
  }
}
