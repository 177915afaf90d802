import { ValueError } from '../errors.ts';
import { checkCount, checkRange } from './checks.ts';

/** A note to be sounded. */
export interface SoundingNote {
  /** As MIDI counts it, 69 for the A of 440 Hz; fractions lie between the semitones. */
  readonly pitch: number;
  /** When it begins, from the performance's begin. */
  readonly start: number;
  /** How long it is held; its sound fades out after that. */
  readonly seconds: number;
  /** How loud, in (0, 1], in proportion to amplitude. Default 1. */
  readonly loudness?: number;
}

/** What a melody is made of: notes and rests (`pitch` null) in order, and what makes no sound, as bar lines. */
export type MelodyElement =
  | { readonly kind: 'note'; readonly pitch: number | null; readonly ticks: number; readonly tied: boolean }
  | { readonly kind: 'bar' };

export interface PerformanceOptions {
  readonly beatsPerMinute: number;
  /** A beat as a fraction of a whole note: 1/4, the default, or 3/8 for a jig counted in two. */
  readonly beat?: number;
  /** What a whole note lasts in the elements' unit. Default 96. */
  readonly ticksPerWhole?: number;
  /** Semitones added to every pitch. Default 0. */
  readonly transpose?: number;
}

/**
 * The notes of a melody of one voice in time, tied ones joined. It is played as it is written, from the first element to
 * the last: repeats are the business of whoever reads it.
 *
 * @returns notes in order; rests are the gaps between them
 * @throws ValueError for a note outside MIDI's range after transposition, one of no length, and one that is tied to
 *   something else than the same pitch
 */
export function performTune(
  melody: { readonly elements: readonly MelodyElement[] },
  { beatsPerMinute, beat = 1 / 4, ticksPerWhole = 96, transpose = 0 }: PerformanceOptions,
): SoundingNote[] {
  checkRange('beatsPerMinute', beatsPerMinute, 1, 1000);
  checkRange('beat', beat, 1 / 64, 4);
  checkCount('ticksPerWhole', ticksPerWhole, 1);
  checkRange('transpose', transpose, -127, 127);
  const secondsPerTick = 60 / beatsPerMinute / (beat * ticksPerWhole);

  const notes: SoundingNote[] = [];
  let now = 0;
  let held: { pitch: number; begin: number } | null = null;
  for (const [index, element] of melody.elements.entries()) {
    if (element.kind !== 'note') continue;
    const { pitch, ticks, tied } = element;
    const name = `elements[${index}]`;
    checkCount(`${name}.ticks`, ticks, 1);
    if (held && held.pitch !== pitch) {
      throw new ValueError(
        `${name}.pitch: expected ${held.pitch}, to which the note before is tied, got ${pitch}`,
        name,
      );
    }
    // Ticks are added, not seconds, so that no error grows along the tune.
    const begin: number = held?.begin ?? now;
    now += ticks;
    held = pitch !== null && tied ? { pitch, begin } : null;
    if (pitch === null || held) continue;
    notes.push(sounding(name, pitch + transpose, begin, now, secondsPerTick));
  }
  // The last note may say that it goes on, as in a tune that was cut.
  if (held) notes.push(sounding('elements', held.pitch + transpose, held.begin, now, secondsPerTick));
  return notes;
}

function sounding(name: string, pitch: number, begin: number, end: number, secondsPerTick: number): SoundingNote {
  checkRange(`${name}.pitch`, pitch, 0, 127);
  return { pitch, start: begin * secondsPerTick, seconds: (end - begin) * secondsPerTick };
}
