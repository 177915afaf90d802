import { barTicks } from './meter.ts';
import type { Bar, BarLine, Note } from './tune.ts';

/** The notes between two bar lines. */
export interface Measure {
  readonly notes: readonly Note[];
  readonly ticks: number;
  /** The line that ends it; null at the end of a tune that ends without one. */
  readonly line: BarLine | null;
}

/** The measures of a tune; lines without notes between them count once. */
export function measuresOf(elements: readonly (Note | Bar)[]): Measure[] {
  const measures: Measure[] = [];
  let notes: Note[] = [];
  const close = (line: BarLine | null): void => {
    if (notes.length > 0) measures.push({ notes, ticks: notes.reduce((sum, { ticks }) => sum + ticks, 0), line });
    notes = [];
  };
  for (const element of elements) {
    if (element.kind === 'bar') close(element.line);
    else notes.push(element);
  }
  close(null);
  return measures;
}

/**
 * Which measures last as long as the metre says. The first may be an upbeat, and shorter; a measure that is short where a
 * section ends is full together with the upbeat after it; the last may lack what the first upbeat has.
 *
 * @returns one answer per measure; null for a metre without bars
 */
export function fullMeasures(measures: readonly Measure[], meter: string): boolean[] | null {
  const whole = barTicks(meter);
  if (whole === null) return null;
  const upbeat = (measures[0]?.ticks ?? 0) % whole;
  return measures.map(({ ticks, line }, i) => {
    const before = measures[i - 1];
    const after = measures[i + 1];
    const isFirst = i === 0 && ticks < whole && line !== null;
    const isLast = i > 0 && after === undefined && ticks + upbeat === whole;
    const endsSection = line !== null && line !== '|' && after !== undefined && ticks + after.ticks === whole;
    const beginsSection = before !== undefined && before.line !== '|' && before.ticks + ticks === whole;
    return ticks === whole || isFirst || isLast || endsSection || beginsSection;
  });
}

/**
 * How many of a tune's measures are full, as {@link fullMeasures} says.
 *
 * @returns the number of measures and how many are full; none of either for a metre without bars
 */
export function countFullBars(elements: readonly (Note | Bar)[], meter: string): { measures: number; full: number } {
  const full = fullMeasures(measuresOf(elements), meter) ?? [];
  return { measures: full.length, full: full.filter(Boolean).length };
}
