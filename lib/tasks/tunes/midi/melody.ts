import { MOST_ELEMENTS, MOST_TICKS } from '../limits.ts';
import { type Bar, type Note, TICKS_PER_WHOLE } from '../tune.ts';
import type { Part, TimedNote, Timeline } from './timeline.ts';

/** The share of a part's notes that may begin while another sounds (not counting together), for a melody. */
const MOST_OVERLAP = 0.1;

/** A note on the grid, in ticks of a tune. */
interface GridNote {
  readonly pitch: number;
  readonly start: number;
  readonly end: number;
}

/** Whether at most a tenth of the notes begin before the one before them has sounded through half. */
function isMonophonic({ notes }: Part): boolean {
  let overlaps = 0;
  for (let index = 1; index < notes.length; index++) {
    const before = notes[index - 1]!;
    if (notes[index]!.start < (before.start + before.end) / 2) overlaps++;
  }
  return overlaps <= MOST_OVERLAP * notes.length;
}

/**
 * The part that is taken for the melody: of those of one voice (at most a tenth of the notes begin in the first half of
 * the note before) the one with the most notes, the first of equals; where none is of one voice, the one with the most
 * notes. Percussion (channel 10) is none.
 */
export function melodyPart(parts: readonly Part[]): Part | undefined {
  const monophonic = parts.filter(isMonophonic);
  let best: Part | undefined;
  for (const part of monophonic.length > 0 ? monophonic : parts) {
    if (!best || part.notes.length > best.notes.length) best = part;
  }
  return best;
}

/**
 * The notes on the grid, one at a time. Begins and ends are moved to the nearest multiple of a 32nd (3 ticks) or of a
 * triplet 16th (4 ticks), the 32nd where both are as near. Of notes that begin together the highest stays; a note ends
 * where the next begins. A gap shorter than a 32nd belongs to the note before it.
 */
export function quantise(notes: readonly TimedNote[], ticksPerQuarter: number): GridNote[] {
  const scale = TICKS_PER_WHOLE / 4 / ticksPerQuarter;
  const sorted = notes
    .map(({ pitch, start, end }) => ({ pitch, start: nearest(start * scale), end: nearest(end * scale) }))
    .sort((a, b) => a.start - b.start || b.pitch - a.pitch);
  const result: GridNote[] = [];
  for (const note of sorted) {
    const before = result.at(-1);
    if (before?.start === note.start) continue;
    if (before && (before.end > note.start || note.start - before.end < 3)) {
      result[result.length - 1] = { ...before, end: note.start };
    }
    // The shortest note that the grid has, for one that it would swallow.
    result.push({ ...note, end: Math.max(note.end, note.start + 3) });
  }
  return result;
}

function nearest(time: number): number {
  const straight = 3 * Math.round(time / 3);
  const triplet = 4 * Math.round(time / 4);
  return Math.abs(time - triplet) < Math.abs(time - straight) - 1e-9 ? triplet : straight;
}

/**
 * The elements of a melody: rests fill its gaps, and notes that cross a bar line are tied over it.
 *
 * @returns a message when there would be too many
 */
export function toElements(
  notes: readonly GridNote[],
  meters: Timeline['meters'],
  ticksPerQuarter: number,
): (Note | Bar)[] | string {
  const end = notes.at(-1)?.end ?? 0;
  const lines = barTimes(meters, ticksPerQuarter, end);
  if (lines === null) return `expected at most ${MOST_ELEMENTS} notes and bar lines`;
  const elements: (Note | Bar)[] = [];
  let line = 0;
  let now = 0;
  const fill = (pitch: number | null, until: number): boolean => {
    while (now < until) {
      if (elements.length > MOST_ELEMENTS) return false;
      while (line < lines.length && lines[line]! <= now) {
        elements.push({ kind: 'bar', line: '|' });
        line++;
      }
      const to = Math.min(until, lines[line] ?? until, now + MOST_TICKS);
      elements.push({ kind: 'note', pitch, ticks: to - now, tied: pitch !== null && to < until });
      now = to;
    }
    return true;
  };
  // Silence before the melody is no part of it: what is left of the first bar is an upbeat.
  now = notes[0]?.start ?? 0;
  while (line < lines.length && lines[line]! <= now) line++;
  for (const note of notes) {
    if (!fill(null, note.start) || !fill(note.pitch, note.end))
      return `expected at most ${MOST_ELEMENTS} notes and bar lines`;
  }
  if (lines.length > 0) elements.push({ kind: 'bar', line: '|' });
  return elements;
}

/** The times of bar lines up to and beyond `end`, by the metres in force; none without a metre; null for too many. */
function barTimes(meters: Timeline['meters'], ticksPerQuarter: number, end: number): number[] | null {
  const scale = TICKS_PER_WHOLE / 4 / ticksPerQuarter;
  const times: number[] = [];
  for (const [index, { at, numerator, denominator }] of meters.entries()) {
    const bar = Math.max(1, Math.round((TICKS_PER_WHOLE * numerator) / denominator));
    const next = meters[index + 1];
    const until = next ? nearest(next.at * scale) : end;
    for (let time = nearest(at * scale); time < until && time <= end; time += bar) {
      if (time > 0 && times.at(-1) !== time) times.push(time);
      if (times.length > MOST_ELEMENTS) return null;
    }
  }
  // Of the line that ends the tune the last element takes care.
  return times;
}
