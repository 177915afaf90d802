import { ValueError } from '../../../errors.ts';
import type { Bar, BarLine, Note } from '../../../tasks/tunes/tune.ts';

/** What one character of a packed melody stands for: a bar line, or a note or rest, the third figure 1 when tied. */
export type MelodyToken = BarLine | [pitch: number | null, ticks: number, tied: 0 | 1];

/**
 * Melodies as texts of one character per element, the most frequent elements as the characters that UTF-8 writes in one
 * byte: a note takes hardly more than that.
 *
 * @returns the texts, and what each character stands for
 */
export function packMelodies(melodies: readonly (readonly (Note | Bar)[])[]): {
  melodies: string[];
  tokens: [character: string, token: MelodyToken][];
} {
  const times = new Map<string, number>();
  const keys = melodies.map((elements) => elements.map((element) => JSON.stringify(tokenOf(element))));
  for (const key of keys.flat()) times.set(key, (times.get(key) ?? 0) + 1);
  // Map and sort keep the order of what came first, so that the same melodies are always packed alike.
  const byFrequency = [...times].sort(([, a], [, b]) => b - a).map(([key]) => key);
  const characters = new Map(byFrequency.map((key, index) => [key, characterAt(index)]));
  return {
    melodies: keys.map((melody) => melody.map((key) => characters.get(key)!).join('')),
    tokens: [...characters].map(([key, character]) => [character, JSON.parse(key) as MelodyToken]),
  };
}

function tokenOf(element: Note | Bar): MelodyToken {
  if (element.kind === 'bar') return element.line;
  return [element.pitch, element.ticks, element.tied ? 1 : 0];
}

/** Ranges of code points that stand for themselves in JSON and HTML: no quote, backslash, `<` or control character. */
const RANGES: readonly (readonly [first: number, last: number])[] = [
  [0x23, 0x3b],
  [0x3d, 0x5b],
  [0x5d, 0x7e],
  [0xc0, 0x2ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0x9fff],
  [0x20000, 0x2a6df],
];

function characterAt(index: number): string {
  let left = index;
  for (const [first, last] of RANGES) {
    const size = last - first + 1;
    if (left < size) return String.fromCodePoint(first + left);
    left -= size;
  }
  throw new ValueError(`samples: expected at most ${index - left} different notes, got more`, 'samples');
}
