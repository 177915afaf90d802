import { ValueError } from '../../errors.ts';
import { MODES, type Mode } from './tune.ts';

/** Letters of the staff in semitones above C. */
export const LETTER_SEMITONES: Readonly<Record<string, number>> = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 };

/** The line of fifths from F (−1) to B (5); a sharp adds 7, a flat takes 7 away. */
const FIFTHS = 'FCGDAEB';

/** How many fifths a mode's signature lies from that of the major key on the same tonic. */
const MODE_FIFTHS: Readonly<Record<Mode, number>> = {
  major: 0,
  minor: -3,
  dorian: -2,
  phrygian: -4,
  lydian: 1,
  mixolydian: -1,
  locrian: -5,
};

/** F double flat and B double sharp. */
const LOWEST_SPELLING = -15;
const HIGHEST_SPELLING = 19;

/** A spelt pitch class: letter A to G, and how many semitones it is raised (negative: lowered). */
export interface Spelling {
  readonly letter: string;
  readonly alteration: number;
}

/** @param fifths 0 for C, 1 for G, −1 for F */
export function spellingAt(fifths: number): Spelling {
  const index = fifths + 1;
  return { letter: FIFTHS[((index % 7) + 7) % 7]!, alteration: Math.floor(index / 7) };
}

/** @throws ValueError when `key` is no letter A to G with at most one of # and b */
export function tonicFifths(key: string, argument = 'key'): number {
  const match = /^([A-G])([#b]?)$/.exec(key);
  if (!match) {
    throw new ValueError(`${argument}: expected a tonic as "D", "Bb" or "F#", got ${JSON.stringify(key)}`, argument);
  }
  const raised = match[2] === '#' ? 7 : match[2] === 'b' ? -7 : 0;
  return FIFTHS.indexOf(match[1]!) - 1 + raised;
}

/**
 * The sharps (negative: flats) of a key's signature: 2 for D major and for B minor.
 *
 * @throws ValueError when the key or the mode is unknown
 */
export function signatureOf(key: string, mode: Mode): number {
  if (!MODES.includes(mode)) {
    throw new ValueError(`mode: expected one of ${MODES.join(', ')}, got ${JSON.stringify(mode)}`, 'mode');
  }
  return tonicFifths(key) + MODE_FIFTHS[mode];
}

/** The alteration that a signature gives each letter. */
export function alterationsOf(signature: number): Map<string, number> {
  const alterations = new Map<string, number>();
  // The seven letters of a signature are seven neighbours on the line of fifths.
  for (let fifths = signature - 1; fifths <= signature + 5; fifths++) {
    const { letter, alteration } = spellingAt(fifths);
    alterations.set(letter, alteration);
  }
  return alterations;
}

/** The tonic of a mode under a signature. */
export function tonicUnder(signature: number, mode: Mode): string {
  const { letter, alteration } = spellingAt(signature - MODE_FIFTHS[mode]);
  return letter + (alteration > 0 ? '#' : 'b').repeat(Math.abs(alteration));
}

/**
 * The spelling of a pitch class (0 for C to 11) under a signature: the twelve neighbours on the line of fifths from the
 * lowered third to the raised fifth of the major key, so that C major has C♯ E♭ F♯ G♯ B♭. No letter is raised or lowered
 * by more than two: under signatures of eight and more the twelve are moved until that is so.
 */
export function spell(pitchClass: number, signature: number): Spelling {
  // Seven is its own inverse modulo 12: the fifths of a pitch class are seven times its semitones.
  const lowest = Math.min(Math.max(signature - 3, LOWEST_SPELLING), HIGHEST_SPELLING - 11);
  const fifths = lowest + ((((pitchClass * 7 - lowest) % 12) + 12) % 12);
  return spellingAt(fifths);
}

/**
 * The semitones that bring a key to the empty signature (major to C, minor to A minor, dorian to D …), to the nearer
 * octave: −6 to 5.
 */
export function commonKeyShift(key: string, mode: Mode): number {
  const up = (((-7 * signatureOf(key, mode)) % 12) + 12) % 12;
  return up > 5 ? up - 12 : up;
}

/**
 * A key moved by semitones: among the spellings the one with the fewest sharps or flats, six sharps before six flats.
 * Whole octaves leave the spelling as it is.
 */
export function transposeKey(key: string, mode: Mode, semitones: number): string {
  const signature = signatureOf(key, mode);
  if (semitones % 12 === 0) return key;
  const moved = (((signature + 7 * semitones) % 12) + 12) % 12;
  return tonicUnder(moved > 6 ? moved - 12 : moved, mode);
}
