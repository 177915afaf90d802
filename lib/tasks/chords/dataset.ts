import { createRequire } from 'node:module';
import { CfgDistillError, CheckpointError } from '../../errors.ts';
import { type ChordPrompt, HIGHEST_FRET, INSTRUMENTS, KEYS, MUTED, normaliseKey, promptId, TUNINGS } from './music.ts';

/** One way to play a chord: absolute frets in tuning order, −1 for a muted string. */
export interface Voicing {
  readonly prompt: ChordPrompt;
  readonly frets: readonly number[];
}

/** The voicings of the chord database that the task uses, and the prompts and suffixes that occur in them. */
export interface ChordDatabase {
  /** Ordered by prompt, and within a prompt as in the database. No two are equal. */
  readonly voicings: readonly Voicing[];
  /** The distinct prompts: by instrument, then key from C to B, then suffix in code-unit order. */
  readonly prompts: readonly ChordPrompt[];
  /** In code-unit order. */
  readonly suffixes: readonly string[];
}

type JsonObject = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isIntegers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((entry) => Number.isInteger(entry));
}

function refuse(file: string, where: string, expected: string, got: unknown): never {
  throw new CheckpointError(`${file}: ${where}: expected ${expected}, got ${JSON.stringify(got)}`, file);
}

/** Absolute frets of one entry, checked against the pitches that the database gives for it. */
function readPosition(file: string, where: string, tuning: readonly number[], position: unknown): number[] {
  if (!isObject(position)) return refuse(file, where, 'an object', position);
  const { frets, baseFret, midi } = position;
  if (!isIntegers(frets) || frets.length !== tuning.length || frets.some((fret) => fret < MUTED)) {
    return refuse(file, `${where}.frets`, `${tuning.length} integers >= -1`, frets);
  }
  if (typeof baseFret !== 'number' || !Number.isInteger(baseFret) || baseFret < 1) {
    return refuse(file, `${where}.baseFret`, 'an integer >= 1', baseFret);
  }
  // Muted (−1) and open (0) strings do not move with the base fret.
  const absolute = frets.map((fret) => (fret > 0 ? fret + baseFret - 1 : fret));
  const pitches = absolute.flatMap((fret, string) => (fret === MUTED ? [] : [(tuning[string] as number) + fret]));
  if (!isIntegers(midi) || midi.length !== pitches.length || midi.some((pitch, index) => pitch !== pitches[index])) {
    return refuse(file, `${where}.midi`, JSON.stringify(pitches), midi);
  }
  return absolute;
}

/**
 * Reads the voicings of one instrument from the parsed content of the database's file. Slash chords (a suffix with
 * `/`) and voicings above fret 15 are left out, and a voicing listed twice for one prompt is kept once.
 * Content of another form, or whose pitches contradict its frets, is a CheckpointError that names the place.
 *
 * @param file the name to use in errors.
 */
export function readVoicings(instrument: ChordPrompt['instrument'], content: unknown, file: string): Voicing[] {
  const tuning = TUNINGS[instrument];
  if (!isObject(content) || !isObject(content.chords)) return refuse(file, 'chords', 'an object by key', content);
  const voicings: Voicing[] = [];
  const seen = new Set<string>();
  for (const [folder, chords] of Object.entries(content.chords)) {
    if (!Array.isArray(chords)) return refuse(file, `chords.${folder}`, 'an array', chords);
    for (const [index, chord] of (chords as unknown[]).entries()) {
      const where = `chords.${folder}[${index}]`;
      if (!isObject(chord) || !Array.isArray(chord.positions)) {
        return refuse(file, where, '{ key, suffix, positions }', chord);
      }
      const { key, suffix, positions } = chord;
      if (typeof key !== 'string' || typeof suffix !== 'string' || suffix === '' || suffix.includes(' ')) {
        return refuse(file, where, 'a key and a suffix', { key, suffix });
      }
      if (suffix.includes('/')) continue;
      const prompt: ChordPrompt = { instrument, key: readKey(file, where, key), suffix };
      for (const [place, position] of (positions as unknown[]).entries()) {
        const frets = readPosition(file, `${where}.positions[${place}]`, tuning, position);
        const id = `${promptId(prompt)} ${frets.join()}`;
        if (frets.some((fret) => fret > HIGHEST_FRET) || seen.has(id)) continue;
        seen.add(id);
        voicings.push({ prompt, frets });
      }
    }
  }
  return voicings;
}

function readKey(file: string, where: string, key: string): string {
  try {
    return normaliseKey(key);
  } catch (error) {
    if (!(error instanceof CfgDistillError)) throw error;
    throw new CheckpointError(`${file}: ${where}.${error.message}`, file, { cause: error });
  }
}

function comparePrompts(a: ChordPrompt, b: ChordPrompt): number {
  const keys: readonly string[] = KEYS;
  return (
    INSTRUMENTS.indexOf(a.instrument) - INSTRUMENTS.indexOf(b.instrument) ||
    keys.indexOf(a.key) - keys.indexOf(b.key) ||
    (a.suffix < b.suffix ? -1 : Number(a.suffix > b.suffix))
  );
}

let database: ChordDatabase | undefined;

/**
 * The chord database of the package @tombatossals/chords-db (MIT), read once per process.
 * A missing or damaged file is a CheckpointError.
 */
export function loadChordDatabase(): ChordDatabase {
  if (database !== undefined) return database;
  const require = createRequire(import.meta.url);
  const voicings = INSTRUMENTS.flatMap((instrument) => {
    const file = `@tombatossals/chords-db/lib/${instrument}.json`;
    let content: unknown;
    try {
      content = require(file);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new CheckpointError(`${file}: expected a readable JSON file, got: ${reason}`, file, { cause: error });
    }
    return readVoicings(instrument, content, file);
  });
  // A fixed order, so that a seed's split does not hang on the order of the file; the sort is stable.
  voicings.sort((a, b) => comparePrompts(a.prompt, b.prompt));
  const prompts = [...new Map(voicings.map(({ prompt }) => [promptId(prompt), prompt])).values()];
  const suffixes = [...new Set(prompts.map(({ suffix }) => suffix))].sort();
  database = { voicings, prompts, suffixes };
  return database;
}
