import { alterationsOf, signatureOf, transposeKey } from '../keys.ts';
import type { Mode } from '../tune.ts';

/** What a K: field (or the clef part of a V: field) says. */
export interface KeyField {
  /** The tonic and mode of the sounding key. */
  readonly key: string;
  readonly mode: Mode;
  /** The alteration of each letter, A to G, as written. */
  readonly alterations: ReadonlyMap<string, number>;
  /** Semitones from the written pitch to the sounding one; undefined where the field says nothing of it. */
  readonly shift: number | undefined;
}

const MODE_WORDS: Readonly<Record<string, Mode>> = {
  m: 'minor',
  maj: 'major',
  ion: 'major',
  min: 'minor',
  aeo: 'minor',
  dor: 'dorian',
  phr: 'phrygian',
  lyd: 'lydian',
  mix: 'mixolydian',
  loc: 'locrian',
};

const CLEF = /^(?:treble|alto|tenor|bass|perc|none|[GCF])[1-5]?(?:[+-]8)?$/;
const ACCIDENTALS: Readonly<Record<string, number>> = { '^^': 2, '^': 1, '=': 0, _: -1, __: -2 };

/** The semitones that clefs (`treble-8`), `octave=` and `transpose=` shift by; undefined where none is there. */
export function clefShift(words: readonly string[]): number | undefined {
  let shift: number | undefined;
  for (const word of words) {
    const octaves = /^octave=([+-]?\d)$/.exec(word);
    const semitones = /^transpose=([+-]?\d{1,2})$/.exec(word);
    const clef = /^(?:clef=)?["']?[a-zA-Z]+[1-5]?([+-])8["']?$/.exec(word);
    if (octaves) shift = (shift ?? 0) + 12 * Number(octaves[1]);
    if (semitones) shift = (shift ?? 0) + Number(semitones[1]);
    if (clef) shift = (shift ?? 0) + (clef[1] === '+' ? 12 : -12);
  }
  return shift;
}

/**
 * Reads the content of a K: field: a tonic, a mode (its first three letters count), explicit accidentals after it,
 * `exp` for only those, `HP` and `Hp` for the Highland pipes (A mixolydian; `HP` writes no signature), nothing or
 * `none` for C major without signature.
 *
 * @throws a message of what was expected when the content cannot be understood
 */
export function parseKeyField(content: string): KeyField | string {
  const text = content.trim();
  const pipes = /^H[Pp](?=\s|$)/.exec(text);
  const tonic = pipes ? null : /^([A-G])([#b♯♭]?)/.exec(text);
  let key = 'C';
  let mode: Mode = 'major';
  let rest = text;
  if (pipes) {
    [key, mode] = ['A', 'mixolydian'];
    rest = text.slice(2);
  } else if (tonic) {
    key = tonic[1] + (tonic[2] ?? '').replace('♯', '#').replace('♭', 'b');
    rest = text.slice(tonic[0].length);
  } else if (/^none(?=\s|$)/i.test(text)) {
    rest = text.slice(4);
  }
  const words = rest.split(/\s+/).filter((word) => word !== '');
  let only = text.startsWith('HP');
  const explicit: [string, number][] = [];
  for (const [index, word] of words.entries()) {
    const known = MODE_WORDS[word === 'm' ? 'm' : word.slice(0, 3).toLowerCase()];
    if (word.includes('=') && !/^[_^=]/.test(word)) continue;
    if (word === 'exp') only = true;
    else if (/^[_^=]/.test(word)) {
      const accidentals = [...word.matchAll(/(\^\^|\^|__|_|=)([A-Ga-g])/gy)];
      if (accidentals.map(([whole]) => whole).join('') !== word) return badKey(text);
      for (const [, sign, letter] of accidentals) explicit.push([letter!.toUpperCase(), ACCIDENTALS[sign!]!]);
    } else if (index === 0 && tonic && known && /^[a-z]+$/i.test(word)) mode = known;
    else if (!CLEF.test(word)) return badKey(text);
  }
  const alterations = alterationsOf(only ? 0 : signatureOf(key, mode));
  for (const [letter, alteration] of explicit) alterations.set(letter, alteration);
  const shift = clefShift(words);
  return { key: transposeKey(key, mode, shift ?? 0), mode, alterations, shift };
}

function badKey(text: string): string {
  return `expected a key as "D", "Ador", "Bb minor" or "G exp _b ^f", got ${JSON.stringify(text)}`;
}
