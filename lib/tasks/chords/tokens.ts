import { ValueError } from '../../errors.ts';
import {
  type ChordPrompt,
  HIGHEST_FRET,
  INSTRUMENTS,
  KEYS,
  MUTED,
  pitchClass,
  TUNINGS,
  tuningOf,
  UNPLAYABLE,
} from './music.ts';

/** Ends an answer. It also serves as padding after an answer: nothing that follows a stop token is ever read. */
export const STOP_TOKEN = 0;
/** A string that is not played. */
export const MUTED_TOKEN = 1;

const FIRST_PITCH_TOKEN = 2;

// Answers count pitch from the root that lies in MIDI 36 … 47, so that one number stands for one interval in any key.
const ROOT_OF_C = 36;
const OPEN_STRINGS = Object.values(TUNINGS).flat();

/** The lowest and the highest pitch over the root that any fret 0 … 15 of either instrument gives in any key. */
export const LOWEST_RELATIVE_PITCH = Math.min(...OPEN_STRINGS) - (ROOT_OF_C + KEYS.length - 1);
export const HIGHEST_RELATIVE_PITCH = Math.max(...OPEN_STRINGS) + HIGHEST_FRET - ROOT_OF_C;

/** Number of answer tokens (stop, muted, pitches): they are 0 … ANSWER_TOKENS − 1; prompt tokens follow. */
export const ANSWER_TOKENS = FIRST_PITCH_TOKEN + HIGHEST_RELATIVE_PITCH - LOWEST_RELATIVE_PITCH + 1;

/** The token of a pitch in semitones over the root, or undefined if the vocabulary has none. */
export function pitchToken(relativePitch: number): number | undefined {
  if (relativePitch < LOWEST_RELATIVE_PITCH || relativePitch > HIGHEST_RELATIVE_PITCH) return undefined;
  return FIRST_PITCH_TOKEN + relativePitch - LOWEST_RELATIVE_PITCH;
}

/** The pitch in semitones over the root that a token stands for, or undefined if it stands for none. */
export function relativePitch(token: number): number | undefined {
  if (token < FIRST_PITCH_TOKEN || token >= ANSWER_TOKENS) return undefined;
  return token - FIRST_PITCH_TOKEN + LOWEST_RELATIVE_PITCH;
}

/**
 * The vocabulary of the chord task: answer tokens (stop, muted, one per relative pitch), then for each slot of the
 * prompt (instrument, key, suffix) a "none" token and its words. A token belongs to exactly one of these groups.
 */
export class ChordVocabulary {
  readonly size: number;
  /** The prompt that says nothing: the "none" token of each slot. */
  readonly noPrompt: Int32Array;
  readonly #suffixes: readonly string[];
  readonly #keyOffset: number;
  readonly #suffixOffset: number;

  constructor(suffixes: readonly string[]) {
    this.#suffixes = suffixes;
    this.#keyOffset = ANSWER_TOKENS + 1 + INSTRUMENTS.length;
    this.#suffixOffset = this.#keyOffset + 1 + KEYS.length;
    this.size = this.#suffixOffset + 1 + suffixes.length;
    this.noPrompt = Int32Array.of(ANSWER_TOKENS, this.#keyOffset, this.#suffixOffset);
  }

  /** The three tokens [instrument, key, suffix]. An unknown one is a ValueError. */
  encodePrompt(prompt: ChordPrompt): Int32Array {
    tuningOf(prompt.instrument);
    return Int32Array.of(
      ANSWER_TOKENS + 1 + INSTRUMENTS.indexOf(prompt.instrument),
      this.#keyOffset + 1 + pitchClass(prompt.key),
      this.#suffixOffset + 1 + this.#suffixIndex(prompt.suffix),
    );
  }

  /**
   * The answer for absolute frets in tuning order (−1 muted, 0 … 15): one token per string, then the stop token.
   * Another number of strings or another fret is a ValueError.
   */
  encodeFrets(prompt: ChordPrompt, frets: readonly number[]): Int32Array {
    const tuning = tuningOf(prompt.instrument);
    const root = ROOT_OF_C + pitchClass(prompt.key);
    if (frets.length !== tuning.length) {
      throw new ValueError(`frets: expected ${tuning.length} strings, got ${frets.length}`, 'frets');
    }
    const answer = new Int32Array(frets.length + 1);
    for (const [string, fret] of frets.entries()) {
      if (!Number.isInteger(fret) || fret < MUTED || fret > HIGHEST_FRET) {
        throw new ValueError(`frets[${string}]: expected an integer in [-1, ${HIGHEST_FRET}], got ${fret}`, 'frets');
      }
      const relative = (tuning[string] as number) + fret - root;
      answer[string] = fret === MUTED ? MUTED_TOKEN : (pitchToken(relative) as number);
    }
    answer[frets.length] = STOP_TOKEN;
    return answer;
  }

  /**
   * Absolute frets of a generation, up to its first stop token: −1 a muted string; −2 a string that would need a fret
   * below 0 or above 15, that the instrument lacks, or whose token is no answer token. There are as many numbers as
   * strings were generated, fewer or more than the instrument has. A token outside the vocabulary is a ValueError.
   */
  toFrets(prompt: ChordPrompt, generation: ArrayLike<number>): number[] {
    const tuning = tuningOf(prompt.instrument);
    const root = ROOT_OF_C + pitchClass(prompt.key);
    this.#suffixIndex(prompt.suffix);
    const frets: number[] = [];
    for (let string = 0; string < generation.length; string++) {
      const token = generation[string] as number;
      if (!Number.isInteger(token) || token < 0 || token >= this.size) {
        throw new ValueError(
          `generation[${string}]: expected a token in [0, ${this.size}), got ${token}`,
          'generation',
        );
      }
      if (token === STOP_TOKEN) break;
      frets.push(fretOf(token, tuning[string], root));
    }
    return frets;
  }

  #suffixIndex(suffix: string): number {
    const index = this.#suffixes.indexOf(suffix);
    if (index >= 0) return index;
    throw new ValueError(
      `suffix: expected one of ${this.#suffixes.join(' ')}, got ${JSON.stringify(suffix)}`,
      'suffix',
    );
  }
}

function fretOf(token: number, openString: number | undefined, root: number): number {
  if (openString === undefined) return UNPLAYABLE;
  if (token === MUTED_TOKEN) return MUTED;
  const relative = relativePitch(token);
  if (relative === undefined) return UNPLAYABLE;
  const fret = root + relative - openString;
  return fret >= 0 && fret <= HIGHEST_FRET ? fret : UNPLAYABLE;
}
