import { ContrastiveTrainer } from '../../embedders/contrastive-trainer.ts';
import type { Embedder } from '../../embedders/embedder.ts';
import { ValueError } from '../../errors.ts';
import type { Judge } from '../../evaluation/evaluate.ts';
import type { TransformerLM } from '../../models/transformer-lm.ts';
import { type ChordPrompt, ChordTask, INSTRUMENTS, type Instrument, normaliseKey } from '../../tasks/chords/index.ts';
import {
  baseTrainer,
  CHORD_RECIPE,
  ChordEmbedder,
  chordJudge,
  chordRetrieval,
  distillationTrainer,
  embedderTrainer,
} from '../../tasks/chords/recipe.ts';
import type { ComputeType } from '../../tensor/tensor.ts';
import type { DiversityReward, RolloutSource, Trainer } from '../../trainer.ts';
import { UsageError } from '../failure.ts';
import type { ModelPlacement } from '../placement.ts';
import { distillDefaults } from './distill-defaults.ts';
import { loadSymbolicEncoder } from './encoder-file.ts';
import type {
  Answered,
  BaseSettings,
  CliTask,
  DistillSettings,
  EmbedderKind,
  EmbedderSettings,
  EmbedderTraining,
  OpenOptions,
  TaskEntry,
  TaskPrompt,
} from './task.ts';

interface ChordTaskPrompt extends TaskPrompt {
  chord: ChordPrompt;
}

const { base, embedder, distill, samplesPerPrompt } = CHORD_RECIPE;

/** Chord voicings for guitar and ukulele. */
export const chords: TaskEntry = {
  name: 'chords',
  summary: 'voicings of guitar and ukulele chords; 35 % of the training captions are wrong on purpose',
  promptForm: '"<instrument> <key> <suffix>", such as "guitar C major" or "ukulele F# m7"',
  defaults: {
    base,
    embedder: { symbolic: embedder },
    distill: distillDefaults(distill),
    evaluationSamples: samplesPerPrompt,
  },
  open: async ({ seed, data }: OpenOptions) => {
    if (data === undefined) return new ChordCliTask(new ChordTask({ seed }));
    throw new UsageError(`--data: task 'chords' has data of its own and takes none, got '${data}'`);
  },
};

class ChordCliTask implements CliTask {
  readonly #task: ChordTask;
  readonly vocabulary = undefined;
  readonly data = null;
  readonly heldOutPrompts: readonly ChordTaskPrompt[];

  constructor(task: ChordTask) {
    this.#task = task;
    this.heldOutPrompts = task.heldOutPrompts.map((chord) => this.#encoded(chord));
  }

  get name(): string {
    return this.#task.name;
  }

  get seed(): number {
    return this.#task.seed;
  }

  get vocabularySize(): number {
    return this.#task.vocabularySize;
  }

  get noPrompt(): Int32Array {
    return this.#task.noPrompt;
  }

  get maxTokens(): number {
    return this.#task.maxTokens;
  }

  get generationTokens(): number {
    return this.#task.maxTokens;
  }

  get stopToken(): number {
    return this.#task.stopToken;
  }

  baseTrainer(settings: BaseSettings, placement: ModelPlacement) {
    return baseTrainer(this.#task, { ...CHORD_RECIPE, base: settings }, placement);
  }

  async embedderTraining(
    _: EmbedderKind,
    settings: EmbedderSettings,
    placement: ModelPlacement,
    resumed: string | null,
  ): Promise<EmbedderTraining> {
    const fresh = embedderTrainer(this.#task, { ...CHORD_RECIPE, embedder: settings }, placement);
    const { encoder } = fresh.options;
    const own = new ChordEmbedder(this.#task, encoder);
    return {
      trainer: resumed === null ? fresh : await ContrastiveTrainer.resume(resumed, fresh.options),
      encoder,
      embedder: own,
      save: (path, metadata) => encoder.save(path, { metadata }),
      retrieval: () => this.retrieval(own),
    };
  }

  distillationTrainer(
    settings: DistillSettings,
    { base: model, rewards }: { base: TransformerLM<ComputeType>; rewards: readonly DiversityReward[] },
  ): Trainer {
    const { divergence, jsdWeight, rollouts, scoreFunction, seed, maxTokens } = settings;
    const recipe = { ...CHORD_RECIPE, distill: { ...settings, betas: [] } };
    const [reward] = rewards;
    const diversity = rewards.length > 1 ? rewards : reward;
    const own = { divergence, jsdWeight, rollouts, scoreFunction, seed, maxTokens };
    const further = { ...own, ...(diversity && { diversity }) };
    return distillationTrainer(this.#task, recipe, { base: model, embedder: null, beta: 0 }, further);
  }

  distillationData(rollouts: RolloutSource) {
    const prompts = this.#task.trainingPrompts.map((prompt) => this.#task.encodePrompt(prompt));
    if (rollouts !== 'data') return { prompts };
    // The captions as the base model saw them, the wrong ones included: that is the data there is.
    const answers = new Map<string, Int32Array[]>();
    for (const { prompt, answer } of this.#task.trainingRows) {
      const own = answers.get(prompt.join()) ?? [];
      answers.set(prompt.join(), own);
      own.push(answer);
    }
    const known = prompts.filter((prompt) => answers.has(prompt.join()));
    return { prompts: known, answers: known.map((prompt) => answers.get(prompt.join()) as Int32Array[]) };
  }

  async loadEmbedder(path: string, placement: ModelPlacement): Promise<Embedder> {
    const { name, answerTokens, maxTokens } = this.#task;
    const encoder = await loadSymbolicEncoder(path, { name, tokens: answerTokens, positions: maxTokens }, placement);
    return new ChordEmbedder(this.#task, encoder);
  }

  retrieval(own: Embedder) {
    return chordRetrieval(this.#task, own);
  }

  prompt(text: string): ChordTaskPrompt {
    const [instrument, key, suffix, ...rest] = text.trim().split(/\s+/);
    if (!instrument || !key || !suffix || rest.length > 0) {
      throw new ValueError(`expected ${chords.promptForm}, got '${text}'`, 'prompt');
    }
    if (!(INSTRUMENTS as readonly string[]).includes(instrument)) {
      throw new ValueError(`instrument: expected one of ${INSTRUMENTS.join(', ')}, got '${instrument}'`, 'prompt');
    }
    return this.#encoded({ instrument: instrument as Instrument, key: normaliseKey(key), suffix });
  }

  #encoded(chord: ChordPrompt): ChordTaskPrompt {
    const { instrument, key, suffix } = chord;
    return { text: `${instrument} ${key} ${suffix}`, tokens: this.#task.encodePrompt(chord), chord };
  }

  answer(prompt: TaskPrompt, tokens: Int32Array) {
    const { chord } = prompt as ChordTaskPrompt;
    const frets = this.#task.toFrets(chord, tokens);
    return { text: fretText(frets), valid: this.#task.isValid(chord, frets), json: { frets } };
  }

  judge(prompts: readonly TaskPrompt[]): Judge {
    return chordJudge(
      this.#task,
      (prompts as readonly ChordTaskPrompt[]).map(({ chord }) => chord),
    );
  }

  listing(answered: readonly Answered[]): string {
    return answered.map(chordLines).join('\n\n');
  }
}

function chordLines({ prompt, answers }: Answered): string {
  const width = Math.max(...answers.map(({ answer }) => answer.text.length));
  const rows = answers.map(({ answer: { text, valid }, logProbability }) => {
    return `  ${text.padEnd(width)}  ${valid ? 'valid  ' : 'invalid'}  log-probability ${logProbability.toFixed(2)}`;
  });
  return [prompt.text, ...rows].join('\n');
}

/** The usual short form, such as x32010: x for muted, ? for what cannot be played, dashes where a fret has two digits. */
export function fretText(frets: readonly number[]): string {
  const words = frets.map((fret) => (fret === -1 ? 'x' : fret < 0 ? '?' : String(fret)));
  return words.join(frets.some((fret) => fret > 9) ? '-' : '');
}
