import { ValueError } from '../../errors.ts';
import type { Voicing } from './dataset.ts';
import { type ChordPrompt, HIGHEST_FRET, MUTED, modulo12, pitchClass, tuningOf } from './music.ts';

/** The most frets between the lowest and the highest fretted string of a voicing that a hand can play. */
export const LARGEST_SPAN = 4;

interface Tones {
  readonly chord: readonly number[];
  readonly core: readonly number[];
}

/**
 * Which notes make a chord, learnt from a collection of voicings. For each suffix, over all its voicings on all
 * instruments: the chord tones are the intervals from the root (0 … 11 semitones) present in at least 30 % of them,
 * the core tones those present in at least 90 %.
 */
export class ChordRules {
  readonly #tones = new Map<string, Tones>();

  constructor(voicings: readonly Voicing[]) {
    const tallies = new Map<string, { voicings: number; present: number[] }>();
    for (const { prompt, frets } of voicings) {
      const tally = tallies.get(prompt.suffix) ?? { voicings: 0, present: new Array<number>(12).fill(0) };
      tallies.set(prompt.suffix, tally);
      tally.voicings++;
      for (const interval of intervals(prompt, frets)) tally.present[interval] = (tally.present[interval] ?? 0) + 1;
    }
    for (const [suffix, tally] of tallies) {
      // In whole numbers, so that a share of exactly 30 % or 90 % is not lost to rounding.
      const atLeast = (percent: number) =>
        tally.present.flatMap((count, interval) => (100 * count >= percent * tally.voicings ? [interval] : []));
      this.#tones.set(suffix, { chord: atLeast(30), core: atLeast(90) });
    }
  }

  /** Intervals from the root, 0 … 11 rising, that a voicing of this suffix may contain. */
  chordTones(suffix: string): readonly number[] {
    return this.#of(suffix).chord;
  }

  /** Intervals from the root, 0 … 11 rising, that a voicing of this suffix must contain. */
  coreTones(suffix: string): readonly number[] {
    return this.#of(suffix).core;
  }

  /**
   * Whether `frets` (absolute, tuning order) is a voicing of the prompt: one fret per string of the instrument, each
   * −1 (muted) … 15; only chord tones, and every core tone; at most 4 frets between the lowest and the highest
   * fretted (> 0) string. An unknown prompt, or a fret that is no integer, is a ValueError.
   */
  isValid(prompt: ChordPrompt, frets: readonly number[]): boolean {
    const { chord, core } = this.#of(prompt.suffix);
    const strings = tuningOf(prompt.instrument).length;
    pitchClass(prompt.key);
    const odd = frets.findIndex((fret) => !Number.isInteger(fret));
    if (odd >= 0) throw new ValueError(`frets[${odd}]: expected an integer, got ${frets[odd]}`, 'frets');

    if (frets.length !== strings || frets.some((fret) => fret < MUTED || fret > HIGHEST_FRET)) return false;
    const present = intervals(prompt, frets);
    if (![...present].every((interval) => chord.includes(interval))) return false;
    if (!core.every((interval) => present.has(interval))) return false;
    const fretted = frets.filter((fret) => fret > 0);
    return fretted.length === 0 || Math.max(...fretted) - Math.min(...fretted) <= LARGEST_SPAN;
  }

  #of(suffix: string): Tones {
    const tones = this.#tones.get(suffix);
    if (tones !== undefined) return tones;
    const known = [...this.#tones.keys()].join(' ');
    throw new ValueError(`suffix: expected one of ${known}, got ${JSON.stringify(suffix)}`, 'suffix');
  }
}

/** The distinct intervals over the root that the sounding strings give. */
function intervals(prompt: ChordPrompt, frets: readonly number[]): Set<number> {
  const tuning = tuningOf(prompt.instrument);
  const root = pitchClass(prompt.key);
  return new Set(
    frets.flatMap((fret, string) => (fret === MUTED ? [] : [modulo12((tuning[string] as number) + fret - root)])),
  );
}

/**
 * The share of strings on which two voicings differ, in [0, 1]. Strings that only the longer one has count as
 * differing, and the longer one's number of strings is the denominator; two voicings without strings differ by 0.
 */
export function stringDifference(a: readonly number[], b: readonly number[]): number {
  const strings = Math.max(a.length, b.length);
  if (strings === 0) return 0;
  let differing = 0;
  for (let string = 0; string < strings; string++) if (a[string] !== b[string]) differing++;
  return differing / strings;
}
