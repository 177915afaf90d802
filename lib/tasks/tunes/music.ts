import { separateChunks } from '../../embedders/audio-pair.ts';
import type { Random } from '../../random.ts';
import type { TuneRow, TuneTask } from './task.ts';
import { STOP_TOKEN } from './vocabulary.ts';

/**
 * What embedders read of a generation: its notes and bar lines up to the first stop token; words, which a model may draw
 * too, are left out. Where nothing is left, the stop token alone.
 */
export function musicOf(task: TuneTask, tokens: Int32Array): Int32Array {
  const stop = tokens.indexOf(STOP_TOKEN);
  const music = tokens.subarray(0, stop < 0 ? tokens.length : stop).filter((token) => token < task.answerTokens);
  return music.length > 0 ? music : Int32Array.of(STOP_TOKEN);
}

/** The tunes of some rows, each once: a tune has a row for every key it is learnt in. */
export function tunesOf(rows: readonly TuneRow[]): TuneRow[] {
  return [...new Map(rows.map((row) => [row.id, row])).values()];
}

/** The first and the second half of a tune; the first is the longer one where they are not equal. */
export function halvesOf(music: Int32Array): readonly [Int32Array, Int32Array] {
  const middle = Math.ceil(music.length / 2);
  return [music.subarray(0, middle), music.subarray(middle)];
}

/** Shortest and longest of random stretches, in tokens. */
export interface StretchLengths {
  readonly shortest: number;
  readonly longest: number;
}

/** A length, uniform from shortest to longest: embedders meet cut tunes, and length alone must say little. */
export function drawLength({ shortest, longest }: StretchLengths, random: Random): number {
  return shortest + random.integer(longest - shortest + 1);
}

/**
 * Two stretches of a tune that do not overlap, each of a random length and at a random place; in a tune too short for
 * both, they share it.
 *
 * @param music at least 2 tokens
 */
export function twoStretches(
  music: Int32Array,
  lengths: StretchLengths,
  random: Random,
): readonly [Int32Array, Int32Array] {
  const wanted = [drawLength(lengths, random), drawLength(lengths, random)] as const;
  const [a, b] = separateChunks(music.length, wanted, random);
  const cut = ({ begin, length }: typeof a): Int32Array => music.subarray(begin, begin + length);
  return [cut(a), cut(b)];
}

/** A stretch of random length of a tune: every other time its begin, as a generation is one, else from a random place. */
export function cutOf(music: Int32Array, lengths: StretchLengths, random: Random): Int32Array {
  const length = Math.min(music.length, drawLength(lengths, random));
  const atBegin = random.integer(2) === 0;
  const begin = random.integer(music.length - length + 1);
  return atBegin ? music.subarray(0, length) : music.subarray(begin, begin + length);
}
