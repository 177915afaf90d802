/**
 * A melody of one voice, as every reader gives it and every writer takes it.
 *
 * Durations are in ticks, of which a whole note has {@link TICKS_PER_WHOLE}: 96 holds every note down to a 32nd and every
 * triplet down to a 16th's exactly.
 */

export const TICKS_PER_WHOLE = 96;

export interface Note {
  readonly kind: 'note';
  /** The sounding pitch as MIDI counts it, 60 for middle C, 0 to 127; null for a rest. */
  readonly pitch: number | null;
  /** ≥ 1 */
  readonly ticks: number;
  /** Whether it goes on in the next note, which is then of the same pitch. */
  readonly tied: boolean;
}

/** A bar line, a repeat, or the begin of an ending. */
export type BarLine = '|' | '||' | '|:' | ':|' | '::' | '|1' | ':|2' | '||1';
export const BAR_LINES: readonly BarLine[] = ['|', '||', '|:', ':|', '::', '|1', ':|2', '||1'];

export interface Bar {
  readonly kind: 'bar';
  readonly line: BarLine;
}

export const MODES = ['major', 'minor', 'dorian', 'phrygian', 'lydian', 'mixolydian', 'locrian'] as const;
export type Mode = (typeof MODES)[number];

/** What is known of a tune besides its notes. */
export interface TuneLabels {
  /** As 'jig'; '' where unknown. */
  readonly type: string;
  /** As '6/8': the duration of a full bar as a fraction of a whole note. '' where there are no bars. */
  readonly meter: string;
  /** The tonic, as 'D', 'Bb' or 'F#'. */
  readonly key: string;
  readonly mode: Mode;
  /** Words as 'slow', or beats as '1/4=120', where the source says. */
  readonly tempo?: string;
}

export interface Tune extends TuneLabels {
  /** Unique within what was read together. */
  readonly id: string;
  readonly title: string;
  readonly elements: readonly (Note | Bar)[];
  /** The part that a file of labelled tunes puts it in. */
  readonly split?: 'train' | 'validation';
  readonly composer?: string;
}
