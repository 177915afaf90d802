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
 * How many of a tune's measures last as long as its metre says. The first may be an upbeat, and shorter; a measure that is
 * short where a section ends is full together with the upbeat after it; the last may lack what the first upbeat has.
 *
 * @returns the number of measures and how many are full; none of either for a metre without bars
 */
export function countFullBars(elements: readonly (Note | Bar)[], meter: string): { measures: number; full: number } {
  const whole = barTicks(meter);
  const measures = measuresOf(elements);
  if (whole === null) return { measures: 0, full: 0 };
  const upbeat = (measures[0]?.ticks ?? 0) % whole;
  let full = 0;
  measures.forEach(({ ticks, line }, i) => {
    const before = measures[i - 1];
    const after = measures[i + 1];
    const isFirst = i === 0 && ticks < whole && line !== null;
    const isLast = i > 0 && after === undefined && ticks + upbeat === whole;
    const endsSection = line !== null && line !== '|' && after !== undefined && ticks + after.ticks === whole;
    const beginsSection = before !== undefined && before.line !== '|' && before.ticks + ticks === whole;
    if (ticks === whole || isFirst || isLast || endsSection || beginsSection) full++;
  });
  return { measures: measures.length, full };
}
