import { countFullBars, measuresOf } from './bars.ts';
import { elementText } from './element-text.ts';
import type { Bar, Note } from './tune.ts';

/** What can be said of a tune without a model. All of an empty tune is 0. */
export interface TuneChecks {
  /** Share of measures that are exactly full; see countFullBars. */
  readonly fullBars: number;
  /** Share of the sounding notes whose pitch is in the key's scale. In the common key: the white keys. */
  readonly inScale: number;
  /** Semitones from the lowest note to the highest. */
  readonly range: number;
  /** Share of the measures that are the same as an earlier one. */
  readonly repetition: number;
}

const WHITE_KEYS = new Set([0, 2, 4, 5, 7, 9, 11]);

/** Checks a melody in the common key, which has an empty key signature. */
export function checkTune(elements: readonly (Note | Bar)[], meter: string): TuneChecks {
  const { measures, full } = countFullBars(elements, meter);
  const pitches = elements.flatMap((e) => (e.kind === 'note' && e.pitch !== null ? [e.pitch] : []));
  const inScale = pitches.filter((pitch) => WHITE_KEYS.has(pitch % 12)).length;
  const seen = new Set<string>();
  let repeated = 0;
  const all = measuresOf(elements);
  for (const { notes } of all) {
    const text = notes.map(elementText).join(' ');
    if (seen.has(text)) repeated++;
    seen.add(text);
  }
  return {
    fullBars: measures > 0 ? full / measures : 0,
    inScale: pitches.length > 0 ? inScale / pitches.length : 0,
    range: pitches.length > 0 ? pitches.reduce((a, b) => Math.max(a, b)) - pitches.reduce((a, b) => Math.min(a, b)) : 0,
    repetition: all.length > 0 ? repeated / all.length : 0,
  };
}
