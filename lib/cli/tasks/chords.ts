import type { Embedder } from '../../embedders/embedder.ts';
import { ValueError } from '../../errors.ts';
import type { Judge } from '../../evaluation/evaluate.ts';
import type { SequenceEncoder } from '../../models/sequence-encoder.ts';
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
import type { RolloutSource, Trainer } from '../../trainer.ts';
import type { ModelPlacement } from '../placement.ts';
import type { BaseSettings, CliTask, DistillSettings, EmbedderSettings, TaskEntry, TaskPrompt } from './task.ts';

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
    embedder,
    distill: {
      scale: distill.scale,
      temperature: distill.temperature,
      divergence: 'reverse',
      jsdWeight: 0.5,
      rollouts: 'student',
      scoreFunction: false,
      beta: 0,
      steps: distill.steps,
      promptsPerStep: distill.promptsPerStep,
      samplesPerPrompt: distill.samplesPerPrompt,
      learningRate: distill.learningRate,
    },
    evaluationSamples: samplesPerPrompt,
  },
  open: (seed) => new ChordCliTask(new ChordTask({ seed })),
};

class ChordCliTask implements CliTask {
  readonly #task: ChordTask;
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

  get embedderVocabularySize(): number {
    return this.#task.answerTokens;
  }

  get noPrompt(): Int32Array {
    return this.#task.noPrompt;
  }

  get maxTokens(): number {
    return this.#task.maxTokens;
  }

  get stopToken(): number {
    return this.#task.stopToken;
  }

  baseTrainer(settings: BaseSettings, placement: ModelPlacement) {
    return baseTrainer(this.#task, { ...CHORD_RECIPE, base: settings }, placement);
  }

  embedderTrainer(settings: EmbedderSettings, placement: ModelPlacement) {
    return embedderTrainer(this.#task, { ...CHORD_RECIPE, embedder: settings }, placement);
  }

  distillationTrainer(
    settings: DistillSettings,
    { base: model, embedder: own }: { base: TransformerLM<ComputeType>; embedder: Embedder | null },
  ): Trainer {
    const { beta, divergence, jsdWeight, rollouts, scoreFunction, seed } = settings;
    const recipe = { ...CHORD_RECIPE, distill: { ...settings, betas: [beta] } };
    const further = { divergence, jsdWeight, rollouts, scoreFunction, seed };
    return distillationTrainer(this.#task, recipe, { base: model, embedder: own, beta }, further);
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

  embedder(encoder: SequenceEncoder): Embedder {
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
}

/** The usual short form, such as x32010: x for muted, ? for what cannot be played, dashes where a fret has two digits. */
export function fretText(frets: readonly number[]): string {
  const words = frets.map((fret) => (fret === -1 ? 'x' : fret < 0 ? '?' : String(fret)));
  return words.join(frets.some((fret) => fret > 9) ? '-' : '');
}
