import { LETTER_SEMITONES } from '../keys.ts';
import { HIGHEST_PITCH, MOST_TICKS } from '../limits.ts';
import { TICKS_PER_WHOLE } from '../tune.ts';
import { AbcFault, type Place } from './fault.ts';
import { type Fraction, fraction, ONE, times } from './fraction.ts';

/** A note while its tune is read: its length may still change by broken rhythm. */
export interface DraftNote {
  /** Sounding; null for a rest. */
  readonly pitch: number | null;
  /** Of a whole note. */
  length: Fraction;
  tied: boolean;
  readonly place: Place;
}

/** A pitch as written: where it stands on the staff, and the accidental before it, if any. */
export interface WrittenPitch {
  readonly letter: string;
  /** 4 for the octave from middle C. */
  readonly octave: number;
  readonly accidental: number | undefined;
  readonly end: number;
}

const PITCH = /([_^=]{0,3})([A-Ga-g])([',]{0,12})/y;
const LENGTH = /(\d*)(\/*)(\d*)/y;
const ACCIDENTALS: Readonly<Record<string, number>> = { '^^': 2, '^': 1, '=': 0, _: -1, __: -2 };

/** The pitch at `from`, or null when no note begins there. */
export function parsePitch(text: string, from: number, place: Place): WrittenPitch | null {
  PITCH.lastIndex = from;
  const match = PITCH.exec(text);
  if (!match) {
    if (/[_^=]/.test(text[from] ?? '')) {
      throw new AbcFault(
        place,
        `expected ^^, ^, =, _ or __ and a note, got ${JSON.stringify(text.slice(from, from + 4))}`,
      );
    }
    return null;
  }
  const [whole, sign, letter, marks] = match as unknown as [string, string, string, string];
  const accidental = sign === '' ? undefined : ACCIDENTALS[sign];
  if (sign !== '' && accidental === undefined) {
    throw new AbcFault(place, `expected one of ^^, ^, =, _ and __, got ${JSON.stringify(sign)}`);
  }
  let octave = letter >= 'a' ? 5 : 4;
  for (const mark of marks) octave += mark === "'" ? 1 : -1;
  return { letter: letter.toUpperCase(), octave, accidental, end: from + whole.length };
}

/** The length multiplier at `from` (`3/2`, `2`, `/4`, `/`, `//` or nothing), and where it ends. */
export function parseLength(text: string, from: number, place: Place): { factor: Fraction; end: number } {
  LENGTH.lastIndex = from;
  const [whole, above, slashes, below] = LENGTH.exec(text) as unknown as [string, string, string, string];
  const numerator = above === '' ? 1 : Number(above);
  const denominator = below === '' ? 2 ** slashes.length : Number(below);
  const wrong =
    above.length > 4 ||
    below.length > 4 ||
    slashes.length > 9 ||
    numerator < 1 ||
    denominator < 1 ||
    (below !== '' && slashes.length !== 1);
  if (wrong) {
    throw new AbcFault(
      place,
      `expected a note length of numbers from 1 to 9999, as "3/2", "2" or "//", got ${JSON.stringify(whole.slice(0, 24))}`,
    );
  }
  return { factor: whole === '' ? ONE : fraction(numerator, denominator), end: from + whole.length };
}

/** @throws AbcFault when the pitch is none that MIDI has */
export function soundingPitch(written: WrittenPitch, alteration: number, shift: number, place: Place): number {
  const pitch = 12 * (written.octave + 1) + LETTER_SEMITONES[written.letter]! + alteration + shift;
  if (pitch < 0 || pitch > HIGHEST_PITCH) {
    throw new AbcFault(place, `expected a pitch from 0 to ${HIGHEST_PITCH}, got ${pitch}`);
  }
  return pitch;
}

/** @throws AbcFault when the length is no whole number of ticks, or too long */
export function ticksOf({ length, place }: DraftNote): number {
  const ticks = times(length, { n: TICKS_PER_WHOLE, d: 1 });
  if (ticks.d !== 1) {
    throw new AbcFault(
      place,
      `expected a duration that is a whole number of 1/${TICKS_PER_WHOLE} of a whole note, got ${length.n}/${length.d} of a whole note`,
    );
  }
  if (ticks.n > MOST_TICKS) {
    throw new AbcFault(
      place,
      `expected a duration of at most ${MOST_TICKS / TICKS_PER_WHOLE} whole notes, got ${length.n}/${length.d}`,
    );
  }
  return ticks.n;
}
