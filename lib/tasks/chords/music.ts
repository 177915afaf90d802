import { ValueError } from '../../errors.ts';

export const INSTRUMENTS = ['guitar', 'ukulele'] as const;
export type Instrument = (typeof INSTRUMENTS)[number];

/** The twelve keys by pitch class: `KEYS[0]` is C, `KEYS[11]` is B. */
export const KEYS = ['C', 'C#', 'D', 'Eb', 'E', 'F', 'F#', 'G', 'Ab', 'A', 'Bb', 'B'] as const;

/** MIDI pitches of the open strings, in tuning order: guitar E2 A2 D3 G3 B3 E4, ukulele G4 C4 E4 A4. */
export const TUNINGS: Readonly<Record<Instrument, readonly number[]>> = {
  guitar: [40, 45, 50, 55, 59, 64],
  ukulele: [67, 60, 64, 69],
};

/** The highest fret of a voicing. */
export const HIGHEST_FRET = 15;

/** A fret number that says: this string is not played. */
export const MUTED = -1;

/** A fret number that says: this string cannot be played as asked. */
export const UNPLAYABLE = -2;

/** What a voicing is asked for: `key` is one of {@link KEYS}, `suffix` the kind of chord, such as `major` or `m7b5`. */
export interface ChordPrompt {
  readonly instrument: Instrument;
  readonly key: string;
  readonly suffix: string;
}

const SPELLINGS: ReadonlyMap<string, string> = new Map([
  ['Csharp', 'C#'],
  ['Db', 'C#'],
  ['D#', 'Eb'],
  ['Fsharp', 'F#'],
  ['Gb', 'F#'],
  ['G#', 'Ab'],
  ['A#', 'Bb'],
]);

/** The name in {@link KEYS} of a key that may be spelt otherwise (`Csharp`, `Db`, …). Unknown names are a ValueError. */
export function normaliseKey(name: string): string {
  const key = SPELLINGS.get(name) ?? name;
  pitchClass(key);
  return key;
}

/** The pitch class 0 … 11 of one of {@link KEYS}; C is 0. Any other name is a ValueError. */
export function pitchClass(key: string): number {
  const index = (KEYS as readonly string[]).indexOf(key);
  if (index < 0) throw new ValueError(`key: expected one of ${KEYS.join(' ')}, got ${JSON.stringify(key)}`, 'key');
  return index;
}

/** The open strings of an instrument. An unknown instrument is a ValueError. */
export function tuningOf(instrument: Instrument): readonly number[] {
  if (!INSTRUMENTS.includes(instrument)) {
    const got = JSON.stringify(instrument);
    throw new ValueError(`instrument: expected one of ${INSTRUMENTS.join(' ')}, got ${got}`, 'instrument');
  }
  return TUNINGS[instrument];
}

/** `value` modulo 12, in 0 … 11 also for negative values. */
export function modulo12(value: number): number {
  return ((value % 12) + 12) % 12;
}

/** A text that two prompts share exactly when they are equal. */
export function promptId(prompt: ChordPrompt): string {
  // The separators matter: key A with suffix b13b9 is not key Ab with suffix 13b9.
  return `${prompt.instrument} ${prompt.key} ${prompt.suffix}`;
}
