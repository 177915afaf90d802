import { Random } from '../../random.ts';
import { loadChordDatabase } from './dataset.ts';
import { type ChordPrompt, promptId, TUNINGS } from './music.ts';
import { splitPrompts } from './split.ts';
import { ANSWER_TOKENS, ChordVocabulary, STOP_TOKEN } from './tokens.ts';
import { extendAlongNeck, makeTrainingRows, type TrainingRow } from './training.ts';
import { ChordRules, stringDifference } from './validity.ts';
import { type ChordItem, distinctItems, secondView } from './views.ts';

export interface ChordTaskOptions {
  /** Chooses the held-out prompts and the corrupted captions. An integer in [0, 2^53 − 1]. */
  readonly seed: number;
  /** Share of the prompts held out, in [0, 1). Default 1/8. */
  readonly heldOutShare?: number;
  /**
   * Probability that a training row's caption is replaced by another row's, in [0, 1]. Default 0.35: with clean
   * captions a small model is already right about what is asked and guidance only hurts; captions as noisy as those
   * found on the web are what guidance is for.
   */
  readonly captionNoise?: number;
}

/**
 * Chord voicings: given [instrument, key, suffix], answer with one token per string (muted, or the pitch over the
 * root), then stop. Real data: the fretted chords of the package @tombatossals/chords-db (MIT), without slash chords,
 * up to fret 15. Everything follows from the seed.
 *
 * What makes a voicing valid is learnt from the whole database, held-out prompts included: it defines the judge, and
 * no model is trained on it.
 */
export class ChordTask {
  readonly name = 'chords';
  /** Of the split and of the caption noise. */
  readonly seed: number;
  /** Number of tokens, shared by prompts and answers; the two use different ones. */
  readonly vocabularySize: number;
  /** Number of answer tokens: they are 0 … answerTokens − 1, so an embedder of answers needs no more. */
  readonly answerTokens = ANSWER_TOKENS;
  /** Ends an answer, and pads what follows. */
  readonly stopToken = STOP_TOKEN;
  /** Length of the longest answer with its stop token. */
  readonly maxTokens = 1 + Math.max(...Object.values(TUNINGS).map((tuning) => tuning.length));
  /** The prompt that says nothing, as long as every other: for guidance and for prompt dropout. */
  readonly noPrompt: Int32Array;
  readonly trainingRows: readonly TrainingRow[];
  /** Share of the training rows whose caption is replaced, as asked for. */
  readonly captionNoise: number;
  /** How many training rows carry another row's caption. */
  readonly corruptedRows: number;
  readonly trainingPrompts: readonly ChordPrompt[];
  /** Never occur in training, as a row's own prompt, by a move along the neck, or as a replaced caption. */
  readonly heldOutPrompts: readonly ChordPrompt[];
  /** The training prompts' distinct voicings; a shape moved together with its root is one item. */
  readonly embedderItems: readonly ChordItem[];
  /** The held-out prompts' distinct voicings that equal no training item. */
  readonly heldOutItems: readonly ChordItem[];
  readonly #vocabulary: ChordVocabulary;
  readonly #rules: ChordRules;

  constructor({ seed, heldOutShare = 1 / 8, captionNoise = 0.35 }: ChordTaskOptions) {
    const random = new Random(seed);
    this.seed = seed;
    this.captionNoise = captionNoise;
    const { voicings, prompts, suffixes } = loadChordDatabase();
    this.#vocabulary = new ChordVocabulary(suffixes);
    this.#rules = new ChordRules(voicings);
    this.vocabularySize = this.#vocabulary.size;
    this.noPrompt = this.#vocabulary.noPrompt;

    const { training, heldOut } = splitPrompts(prompts, heldOutShare, random.fork('split'));
    this.trainingPrompts = training;
    this.heldOutPrompts = heldOut;
    const held = new Set(heldOut.map(promptId));
    const extended = extendAlongNeck(voicings, training);
    this.trainingRows = makeTrainingRows(extended, this.#vocabulary, captionNoise, random.fork('captions'));
    this.corruptedRows = this.trainingRows.filter((row) => row.corrupted).length;

    const inTraining = voicings.filter(({ prompt }) => !held.has(promptId(prompt)));
    const inHeldOut = voicings.filter(({ prompt }) => held.has(promptId(prompt)));
    this.embedderItems = distinctItems(inTraining, this.#vocabulary);
    this.heldOutItems = distinctItems(inHeldOut, this.#vocabulary, this.embedderItems);
  }

  /** The three tokens [instrument, key, suffix]. An unknown instrument, key or suffix is a ValueError. */
  encodePrompt(prompt: ChordPrompt): Int32Array {
    return this.#vocabulary.encodePrompt(prompt);
  }

  /** The answer tokens, stop included, of absolute frets in tuning order. See {@link ChordVocabulary.encodeFrets}. */
  encodeFrets(prompt: ChordPrompt, frets: readonly number[]): Int32Array {
    return this.#vocabulary.encodeFrets(prompt, frets);
  }

  /** Absolute frets of a generation; −1 muted, −2 not playable. See {@link ChordVocabulary.toFrets}. */
  toFrets(prompt: ChordPrompt, generation: ArrayLike<number>): number[] {
    return this.#vocabulary.toFrets(prompt, generation);
  }

  /** Whether absolute frets are a playable voicing of the prompt. See {@link ChordRules.isValid}. */
  isValid(prompt: ChordPrompt, frets: readonly number[]): boolean {
    return this.#rules.isValid(prompt, frets);
  }

  /** Intervals from the root (0 … 11) in at least 30 % of the suffix's voicings. */
  chordTones(suffix: string): readonly number[] {
    return this.#rules.chordTones(suffix);
  }

  /** Intervals from the root (0 … 11) in at least 90 % of the suffix's voicings. */
  coreTones(suffix: string): readonly number[] {
    return this.#rules.coreTones(suffix);
  }

  /** The share of strings on which two voicings differ. See {@link stringDifference}. */
  stringDifference(a: readonly number[], b: readonly number[]): number {
    return stringDifference(a, b);
  }

  /** A second view of an item, as answer tokens with the stop token. See {@link secondView}. */
  view(item: ChordItem, random: Random): Int32Array {
    return secondView(item.answer, random);
  }
}
