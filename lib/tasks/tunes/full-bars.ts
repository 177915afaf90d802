import { ValueError } from '../../errors.ts';
import { TokenAutomaton } from '../../token-automaton.ts';
import { barTicks } from './meter.ts';
import type { BarLine, Note } from './tune.ts';
import { STOP_TOKEN, type TuneVocabulary } from './vocabulary.ts';

/**
 * Where a tune is, as its bars go:
 *
 * - `begin`: in what may be an upbeat, before the first bar line.
 * - `upbeat`: after the upbeat and its bar line.
 * - `bar`: within a bar, `filled` ticks of it gone.
 * - `closed`: a section has ended, and with it a bar that the upbeat after it will fill up.
 * - `end`: nothing but the stop token may follow.
 */
type Place = 'begin' | 'upbeat' | 'bar' | 'closed' | 'end';

interface State {
  readonly place: Place;
  /** The ticks of the tune's upbeat; what a section's last bar may lack. */
  readonly upbeat: number;
  readonly filled: number;
}

/** Upbeats are multiples of a 32nd note: others would only make the tables larger. */
const UPBEAT_GRID = 3;

/** Ends a section: an upbeat may follow. Only '|' does not. */
const endsSection = (line: BarLine): boolean => line !== '|';

/** The state after a bar line; null where none may stand. */
function afterLine(line: BarLine, { place, upbeat, filled }: State, full: number): State | null {
  if (place === 'begin') {
    // A repeat may come first.
    if (filled === 0) return line === '|:' ? { place, upbeat, filled } : null;
    if (filled === full) return { place: 'bar', upbeat: 0, filled: 0 };
    if (filled % UPBEAT_GRID !== 0) return null;
    return line === '|' || line === '|:' || line === '||' ? { place: 'upbeat', upbeat: filled, filled: 0 } : null;
  }
  if (place !== 'bar' || filled === 0) return null;
  if (filled === full) return { place: 'bar', upbeat, filled: 0 };
  if (filled !== full - upbeat) return null;
  return endsSection(line) ? { place: 'closed', upbeat, filled } : { place: 'end', upbeat, filled: 0 };
}

function afterNote({ ticks }: Note, { place, upbeat, filled }: State, full: number): State | null {
  if (place === 'end' || filled + ticks > full) return null;
  return { place: place === 'begin' ? 'begin' : 'bar', upbeat, filled: filled + ticks };
}

/** Whether a tune may end: after a bar line. */
function mayEnd({ place, filled }: State): boolean {
  return place === 'end' || place === 'closed' || (place === 'bar' && filled === 0);
}

/**
 * Keeps every bar of a generated tune exactly full, so that what comes out can be played: an automaton for a `Sampler`'s
 * option `constraint`, over a vocabulary of joint tokens, and the state to begin in for a tune of each metre.
 *
 * A bar line stands only where a bar is full. A tune may begin with an upbeat; then a bar may be that much shorter where a
 * section or the tune ends, and the upbeat of the section that follows fills it. The tune ends with a bar line. Words of
 * prompts are not drawn.
 */
export class FullBars {
  readonly automaton: TokenAutomaton;
  readonly #starts: ReadonlyMap<string, number>;

  /** @throws ValueError for a metre without bars, or that no notes of the vocabulary fill */
  constructor(vocabulary: TuneVocabulary, meters: readonly string[]) {
    const states: { state: State; full: number }[] = [];
    const numbers = new Map<string, number>();
    const numberOf = (state: State, full: number): number => {
      const key = `${full} ${state.place} ${state.upbeat} ${state.filled}`;
      const known = numbers.get(key);
      if (known !== undefined) return known;
      numbers.set(key, states.length);
      return states.push({ state, full }) - 1;
    };
    this.#starts = new Map(
      meters.map((meter) => {
        const full = barTicks(meter);
        if (full === null || !Number.isInteger(full)) {
          throw new ValueError(`meters: expected metres with bars of whole ticks, got '${meter}'`, 'meters');
        }
        return [meter, numberOf({ place: 'begin', upbeat: 0, filled: 0 }, full)];
      }),
    );
    const rows: Int32Array[] = [];
    // The list grows while it is gone through: every state that can be reached comes up.
    for (let s = 0; s < states.length; s++) {
      const { state, full } = states[s] as (typeof states)[number];
      const row = new Int32Array(vocabulary.size).fill(-1);
      if (mayEnd(state)) row[STOP_TOKEN] = s;
      vocabulary.elements.forEach((element, i) => {
        const next = element.kind === 'bar' ? afterLine(element.line, state, full) : afterNote(element, state, full);
        if (next !== null) row[i + 1] = numberOf(next, full);
      });
      rows.push(row);
    }
    const transitions = withoutDeadEnds(rows, vocabulary.size);
    for (const [meter, start] of this.#starts) {
      if (transitions.subarray(start * vocabulary.size, (start + 1) * vocabulary.size).every((next) => next < 0)) {
        throw new ValueError(`meters: no notes of the vocabulary fill a bar of ${meter}`, 'meters');
      }
    }
    this.automaton = new TokenAutomaton({
      vocabularySize: vocabulary.size,
      states: rows.length,
      start: [...this.#starts.values()][0] ?? 0,
      transitions,
    });
  }

  /** The metres that it knows. */
  get meters(): string[] {
    return [...this.#starts.keys()];
  }

  /** The state in which a tune of this metre begins. @throws ValueError for another metre than those given */
  startOf(meter: string): number {
    const start = this.#starts.get(meter);
    if (start !== undefined) return start;
    throw new ValueError(`meter: expected one of ${this.meters.join(', ')}, got '${meter}'`, 'meter');
  }
}

/** Takes away what leads to states from which no end can be reached, as where a bar lacks less than any note lasts. */
function withoutDeadEnds(rows: readonly Int32Array[], vocabularySize: number): Int32Array {
  const before: number[][] = rows.map(() => []);
  rows.forEach((row, s) => {
    for (const next of new Set(row)) if (next >= 0) (before[next] as number[]).push(s);
  });
  const open = rows.flatMap((row, s) => ((row[STOP_TOKEN] as number) >= 0 ? [s] : []));
  const alive = new Uint8Array(rows.length);
  for (const s of open) alive[s] = 1;
  for (let s = open.pop(); s !== undefined; s = open.pop()) {
    for (const previous of before[s] as number[]) {
      if (alive[previous]) continue;
      alive[previous] = 1;
      open.push(previous);
    }
  }
  const transitions = new Int32Array(rows.length * vocabularySize);
  rows.forEach((row, s) => {
    transitions.set(
      row.map((next) => (next >= 0 && alive[next] ? next : -1)),
      s * vocabularySize,
    );
  });
  return transitions;
}
