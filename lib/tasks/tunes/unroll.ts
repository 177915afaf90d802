import { ValueError } from '../../errors.ts';
import { MOST_ELEMENTS } from './limits.ts';
import { barTicks } from './meter.ts';
import { endTies } from './ties.ts';
import type { Bar, Note, Tune } from './tune.ts';

type Elements = readonly (Note | Bar)[];
const PLAIN: Bar = { kind: 'bar', line: '|' };
const DOUBLE: Bar = { kind: 'bar', line: '||' };

/** Writes what is played, one stretch after another. */
class Playback {
  readonly elements: (Note | Bar)[] = [];

  play(elements: Elements, from: number, to: number): void {
    for (let index = from; index < to; index++) this.push(elements[index]!);
  }

  push(element: Note | Bar): void {
    // No bar line begins a tune or follows another: it would mark an empty bar.
    if (element.kind === 'bar' && this.elements.at(-1)?.kind !== 'note') {
      if (element.line === '||' && this.elements.length > 0) this.elements[this.elements.length - 1] = element;
      return;
    }
    this.elements.push(element);
    if (this.elements.length > MOST_ELEMENTS) {
      throw new ValueError(
        `tune: expected at most ${MOST_ELEMENTS} notes and bar lines when repeats are played`,
        'tune',
      );
    }
  }
}

function lineAt(elements: Elements, index: number): string | null {
  const element = elements[index];
  return element?.kind === 'bar' ? element.line : null;
}

/** Where the endings that begin at `first` begin and end: the last ending lasts as many bars as the first, at most. */
function findEndings(elements: Elements, first: number): { begins: number[]; end: number } {
  const begins = [first + 1];
  let bars = 0;
  let inLast = 0;
  for (let index = first + 1; index < elements.length; index++) {
    const line = lineAt(elements, index);
    if (line === null) continue;
    if (line === ':|2') {
      begins.push(index + 1);
      inLast = 0;
      if (begins.length === 2) bars++;
      continue;
    }
    const stops = line === ':|' || line === '::' || line === '|:' || line === '|1' || line === '||1';
    if (begins.length === 1) {
      if (stops) return { begins, end: index };
      bars++;
    } else {
      if (stops || line === '||') return { begins, end: index };
      if (++inLast >= bars) {
        // Another ending may follow this one, which then lasts until there.
        let next = index + 1;
        while (next < elements.length && (lineAt(elements, next) ?? '|') === '|') next++;
        if (lineAt(elements, next) !== ':|2') return { begins, end: index };
        index = next - 1;
      }
    }
  }
  return { begins, end: elements.length };
}

/**
 * Joins the two parts of a bar that a repeat cut: where the bar before a plain bar line that `seams` marks and the one
 * after it are a full bar together, the line goes.
 */
function joinCutBars(elements: Elements, seams: ReadonlySet<Bar>, full: number | null): (Note | Bar)[] {
  if (full === null) return elements.map(unmarked);
  const lengths: number[] = [0];
  for (const element of elements) {
    if (element.kind === 'bar') lengths.push(0);
    else lengths[lengths.length - 1]! += element.ticks;
  }
  let bar = 0;
  return elements
    .filter((element) => {
      if (element.kind !== 'bar') return true;
      bar++;
      return !(seams.has(element) && lengths[bar - 1]! < full && lengths[bar - 1]! + lengths[bar]! === full);
    })
    .map(unmarked);
}

function unmarked(element: Note | Bar): Note | Bar {
  return element.kind === 'bar' ? { kind: 'bar', line: element.line } : element;
}

/**
 * Plays repeats and endings out: the tune's elements in the order they sound, with no bar lines but `|` and, between
 * sections, `||`.
 *
 * A repeat goes back to the last `|:`; where none is open, to the end of the last repeat or the last `||`, or to the
 * begin. Endings are played one for each pass; a first ending without a second is left out in the second pass. Where a
 * repeat cuts a bar in two (an upbeat), its parts are joined, if they are a full bar.
 *
 * @throws ValueError when more than 100,000 notes and bar lines would come out
 */
export function unroll(tune: Tune): Tune {
  const { elements } = tune;
  const out = new Playback();
  const seams = new Set<Bar>();
  const seam = () => {
    const bar: Bar = { ...PLAIN };
    seams.add(bar);
    out.push(bar);
  };
  let start = 0;
  let explicit = false;
  let index = 0;
  /** Where the endings that were played last end: a repeat sign there only closes them. */
  let closed = -1;
  const begin = (at: number, byRepeat: boolean) => {
    start = at;
    explicit = byRepeat;
  };
  while (index < elements.length) {
    const element = elements[index]!;
    if (element.kind === 'note') {
      out.push(element);
    } else if (element.line === '|:') {
      out.push(DOUBLE);
      begin(index + 1, true);
    } else if (element.line === ':|' || element.line === '::' || element.line === ':|2') {
      // A second ending that is met here has no first: it follows the second pass.
      if (closed !== index) {
        seam();
        out.play(elements, start, index);
      }
      out.push(element.line === ':|2' ? PLAIN : DOUBLE);
      begin(index + 1, element.line === '::');
    } else if (element.line === '|1' || element.line === '||1') {
      const { begins, end } = findEndings(elements, index);
      for (const [pass, from] of begins.entries()) {
        const to = begins[pass + 1] === undefined ? end : begins[pass + 1]! - 1;
        if (pass > 0) {
          seam();
          out.play(elements, start, index);
        }
        out.push(PLAIN);
        out.play(elements, from, to);
      }
      if (begins.length === 1 && end < elements.length && lineAt(elements, end)!.startsWith(':')) {
        seam();
        out.play(elements, start, index);
      }
      closed = end;
      begin(end, false);
      index = end;
      continue;
    } else {
      out.push(element.line === '||' ? DOUBLE : PLAIN);
      if (element.line === '||' && !explicit) begin(index + 1, false);
    }
    index++;
  }
  const played = joinCutBars(out.elements, seams, barTicks(tune.meter));
  // What a section ends with ends the tune.
  if (lineAt(played, played.length - 1) === '||') played[played.length - 1] = PLAIN;
  return { ...tune, elements: endTies(played) };
}
