import { ValueError } from '../../../errors.ts';
import { MOST_ELEMENTS } from '../limits.ts';
import { type TuneProblem, type TunesRead, tellProblem } from '../problem.ts';
import type { Bar, Note, Tune } from '../tune.ts';
import { uniqueIds } from '../unique-ids.ts';
import { barLines } from './bars.ts';
import { AbcBody } from './body.ts';
import { isBar, separateEndings } from './endings.ts';
import { AbcFault, type Place } from './fault.ts';
import { AbcHeader, type Propagation } from './header.ts';
import { ticksOf } from './notes.ts';
import { withoutComment } from './text.ts';

export interface ReadAbcOptions {
  /** What messages call the text: a file's name. Default 'abc'. */
  readonly source?: string;
  /**
   * How far an accidental lasts in its bar where the text has no `%%propagate-accidentals`: on its letter in every
   * octave ('pitch', the default, as ABC 2.1 has it), only in its own octave, or only on its note.
   */
  readonly accidentals?: Propagation;
}

const MOST_LINE = 2 ** 20;
/** What is told of one tune. */
const MOST_NOTICES = 8;
/** A line in a tune that is a field; a note before a bar line that begins with a colon is none. */
const FIELD_LINE = /^(?![A-Ga-gxyzZ]:[|:])([A-Za-z+]):(.*)$/s;

/** A tune that is being read: its header first, then its body. */
interface Open {
  readonly header: AbcHeader;
  readonly place: Place;
  body: AbcBody | null;
  notices: number;
  failed: boolean;
}

/** Reads ABC line by line, so that a file of any length needs the memory of its tunes only. */
export class AbcReader implements TunesRead<Tune> {
  readonly tunes: Tune[] = [];
  readonly problems: TuneProblem[] = [];
  private readonly source: string;
  private readonly defaults: AbcHeader;
  private readonly identify = uniqueIds('.');
  private open: Open | null = null;
  private line = 0;
  /** Fields hold for the whole file until its first tune or empty line. */
  private inFileHeader = true;
  /** Between %%begintext and %%endtext. */
  private inText = false;

  constructor({ source = 'abc', accidentals = 'pitch' }: ReadAbcOptions = {}) {
    if (!['not', 'octave', 'pitch'].includes(accidentals)) {
      throw new ValueError(
        `accidentals: expected one of not, octave, pitch, got ${JSON.stringify(accidentals)}`,
        'accidentals',
      );
    }
    this.source = source;
    this.defaults = new AbcHeader(accidentals);
  }

  /** The next line, without its end. */
  push(raw: string): void {
    this.line++;
    if (this.line === 1) raw = raw.replace(/^\ufeff/, '');
    try {
      if (raw.length > MOST_LINE) {
        throw new AbcFault(
          { line: this.line, column: 1 },
          `expected a line of at most ${MOST_LINE} characters, got ${raw.length}`,
        );
      }
      this.read(raw);
    } catch (error) {
      this.fail(error);
    }
  }

  /** The text has ended. */
  end(): void {
    const { open } = this;
    this.open = null;
    if (!open || open.failed) return;
    try {
      this.tunes.push(this.finish(open));
    } catch (error) {
      this.open = open;
      this.fail(error);
      this.open = null;
    }
  }

  private read(raw: string): void {
    if (raw.startsWith('%%')) this.readDirective(raw.slice(2));
    else if (!this.inText) this.readLine(raw);
  }

  private readLine(raw: string): void {
    const line = withoutComment(raw).trimEnd();
    if (line === '') {
      // A line with only a comment does not end a tune.
      if (raw.trim() !== '') return;
      this.end();
      this.inFileHeader = false;
      return;
    }
    const field = FIELD_LINE.exec(line);
    const place = { line: this.line, column: 3 };
    if (field?.[1] === 'X') {
      this.end();
      this.inFileHeader = false;
      this.open = { header: new AbcHeader(this.defaults), place, body: null, notices: 0, failed: false };
    }
    const { open } = this;
    if (!open) {
      if (this.inFileHeader && field && /[CILMR]/.test(field[1]!)) this.defaults.read(field[1]!, field[2]!, place);
      return;
    }
    if (open.failed) return;
    if (open.body) {
      if (field) open.body.readField(field[1]!, field[2]!, place);
      else open.body.readLine(line, this.line);
    } else if (field) {
      open.header.read(field[1]!, field[2]!, place);
      if (field[1] === 'K') open.body = new AbcBody(open.header, (at, message) => this.notice(open, at, message));
    }
  }

  private readDirective(directive: string): void {
    if (/^\s*begin(text|ps|svg)/.test(directive)) this.inText = true;
    else if (/^\s*end(text|ps|svg)/.test(directive)) this.inText = false;
    else (this.open?.header ?? this.defaults).directive(directive);
  }

  private finish(open: Open): Tune {
    const { header, body, place } = open;
    if (!body) throw new AbcFault(place, 'expected a K: field before the tune ends, got none');
    body.finish();
    const entries = separateEndings(body.entries, MOST_ELEMENTS);
    if (!entries) throw new AbcFault(place, `expected at most ${MOST_ELEMENTS} notes and bar lines`);
    const elements: (Note | Bar)[] = [];
    let notes = 0;
    let tie: { index: number; place: Place } | null = null;
    for (const entry of entries) {
      if (isBar(entry)) {
        for (const line of barLines(entry)) elements.push({ kind: 'bar', line });
        continue;
      }
      const note: Note = { kind: 'note', pitch: entry.pitch, ticks: ticksOf(entry), tied: entry.tied };
      if (tie) this.checkTie(open, elements, tie, note.pitch);
      tie = note.tied ? { index: elements.length, place: entry.place } : null;
      elements.push(note);
      if (note.pitch !== null) notes++;
    }
    if (tie) this.checkTie(open, elements, tie, null);
    if (notes === 0) throw new AbcFault(place, 'expected notes, got none');
    const tune = {
      id: this.identify(header.number || `${this.tunes.length + 1}`),
      title: header.title,
      ...header.labels(),
      elements,
    };
    return header.composer === '' ? tune : { ...tune, composer: header.composer };
  }

  /** A tie that leads to another pitch was meant as a slur. */
  private checkTie(
    open: Open,
    elements: (Note | Bar)[],
    tie: { index: number; place: Place },
    next: number | null,
  ): void {
    const tied = elements[tie.index] as Note;
    if (tied.pitch !== null && tied.pitch === next) return;
    elements[tie.index] = { ...tied, tied: false };
    this.notice(open, tie.place, 'a tie to another pitch is left out');
  }

  private fail(error: unknown): void {
    if (!(error instanceof AbcFault)) throw error;
    if (this.open) this.open.failed = true;
    this.tell(this.open, error, true);
  }

  private notice(open: Open, place: Place, message: string): void {
    if (open.notices++ < MOST_NOTICES) this.tell(open, new AbcFault(place, message), false);
  }

  private tell(open: Open | null, fault: AbcFault, lost: boolean): void {
    const title = open?.header.title ? ` ${JSON.stringify(open.header.title)}` : '';
    const tune = open ? `X:${open.header.number}${title}` : 'before the first tune';
    tellProblem(this.problems, {
      file: this.source,
      line: fault.place.line,
      message: fault.describe(this.source, tune),
      lost,
    });
  }
}

/** The lines of a text, however they end. */
export function linesOf(text: string): string[] {
  return text.split(/\r\n|\n|\r/);
}

/**
 * Reads every tune of an ABC 2.1 text. A tune that cannot be read is left out and told in `problems`, with its line and
 * column; so is, at most eight times for each tune, what a tune has and a melody has not.
 *
 * Read are the fields X T C M L K Q R, V and I:propagate-accidentals; notes, rests, accidentals, lengths, broken rhythm,
 * tuplets, ties, bar lines, repeats and endings. Endings that serve several passes are written out. Left out without a
 * word are lyrics, chord symbols, grace notes, decorations, slurs, parts and macros. A chord counts as its highest note;
 * of several voices the first is read. Pitches are sounding ones: clefs with an octave, `octave=` and `transpose=` apply.
 *
 * Bounds, beyond which a tune is refused: 2²⁰ characters a line, 100,000 notes and bar lines, 64 whole notes for a note.
 *
 * @throws ValueError for a wrong option
 */
export function readAbc(text: string, options: ReadAbcOptions = {}): TunesRead<Tune> {
  const reader = new AbcReader(options);
  for (const line of linesOf(text)) reader.push(line);
  reader.end();
  return { tunes: reader.tunes, problems: reader.problems };
}

/**
 * Reads the one tune of an ABC text.
 *
 * @throws ValueError with the line and the column when it cannot be read, or when the text has no tune or several
 */
export function readAbcTune(text: string, options: ReadAbcOptions = {}): Tune {
  const { source = 'abc' } = options;
  const { tunes, problems } = readAbc(text, options);
  const lost = problems.find((problem) => problem.lost);
  if (lost) throw new ValueError(lost.message, source);
  if (tunes.length !== 1) throw new ValueError(`${source}: expected one tune, got ${tunes.length}`, source);
  return tunes[0]!;
}
