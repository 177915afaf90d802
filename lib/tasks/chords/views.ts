import { ValueError } from '../../errors.ts';
import type { Random } from '../../random.ts';
import type { Voicing } from './dataset.ts';
import type { ChordPrompt } from './music.ts';
import { type ChordVocabulary, MUTED_TOKEN, pitchToken, relativePitch } from './tokens.ts';

/** One item of contrastive training: a voicing by its pitches over the root, whatever the key. */
export interface ChordItem {
  /** The first prompt in the database with this voicing. */
  readonly prompt: ChordPrompt;
  /** One token per string, then the stop token: the item's first view. */
  readonly answer: Int32Array;
}

/**
 * A text that two answers share exactly when they are one shape with its root moved along. Moving past B starts the
 * root an octave lower, so answers that differ by whole octaves throughout are the same; the suffix plays no part,
 * since an embedder sees only the pitches.
 */
export function itemId(answer: ArrayLike<number>): string {
  const pitches = Array.from(answer, relativePitch);
  const lowest = Math.min(...pitches.filter((pitch) => pitch !== undefined));
  const octaves = Number.isFinite(lowest) ? 12 * Math.floor(lowest / 12) : 0;
  return pitches.map((pitch, at) => (pitch === undefined ? `#${answer[at]}` : String(pitch - octaves))).join(' ');
}

/** The distinct items among `voicings`, in their order, without those in `except`. */
export function distinctItems(
  voicings: readonly Voicing[],
  vocabulary: ChordVocabulary,
  except: readonly ChordItem[] = [],
): ChordItem[] {
  const seen = new Set(except.map(({ answer }) => itemId(answer)));
  const items: ChordItem[] = [];
  for (const { prompt, frets } of voicings) {
    const answer = vocabulary.encodeFrets(prompt, frets);
    const id = itemId(answer);
    if (seen.has(id)) continue;
    seen.add(id);
    items.push({ prompt, answer });
  }
  return items;
}

/**
 * A second view of an answer, as a new array of the same length. Half of the views are the voicing moved by one fret,
 * up or down, while the root stays (every pitch over the root changes by a semitone); the others have one sounding
 * string muted. Where a move would leave the vocabulary the other direction is taken, and where one string sounds it
 * is moved, never muted. An answer in which no string sounds is a ValueError.
 */
export function secondView(answer: Int32Array, random: Random): Int32Array {
  const sounding = [...answer.keys()].filter((at) => relativePitch(answer[at] as number) !== undefined);
  if (sounding.length === 0) throw new ValueError('item: expected a voicing in which a string sounds', 'item');
  const view = Int32Array.from(answer);
  const mute = random.uniform() < 0.5;
  if (mute && sounding.length > 1) {
    view[sounding[random.integer(sounding.length)] as number] = MUTED_TOKEN;
    return view;
  }
  const first = random.integer(2) === 0 ? 1 : -1;
  for (const step of [first, -first]) {
    const moved = sounding.map((at) => pitchToken((relativePitch(answer[at] as number) as number) + step));
    if (moved.includes(undefined)) continue;
    for (const [index, at] of sounding.entries()) view[at] = moved[index] as number;
    return view;
  }
  throw new ValueError('item: expected a voicing narrower than the whole range of pitches', 'item');
}
