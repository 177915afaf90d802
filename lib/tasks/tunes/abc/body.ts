import { MOST_ELEMENTS } from '../limits.ts';
import { barTicks } from '../meter.ts';
import { type AbcBar, mergeBars, parseBar } from './bars.ts';
import { type Entry, isBar } from './endings.ts';
import { AbcFault, type Place } from './fault.ts';
import { parseMeterField, parseUnitField } from './fields.ts';
import { fraction, times } from './fraction.ts';
import { type AbcHeader, accepted } from './header.ts';
import { clefShift, type KeyField, parseKeyField } from './key-field.ts';
import { type DraftNote, parseLength, parsePitch, soundingPitch, type WrittenPitch } from './notes.ts';
import { Rhythm } from './rhythm.ts';

/** Signs that say how to play or to typeset, not what. */
const DECORATION = /[.~H-Wh-w$`*;?@#)\]\s\\]/;
const NAMED_DECORATION = /![^!|:[\]]{0,60}!|\+[^+|\s]{1,30}\+/y;
const INLINE_FIELD = /\[([A-Za-z]):([^\]]*)\]/y;
const SPACER = /y\d*\/*\d*/y;
/** The bar line that ends an overlay. */
const OVERLAY_END = /:*\||::/g;
const PLAIN_BAR: AbcBar = { end: false, start: false, double: false, passes: [] };
/** The bars of one multi-measure rest. */
const MOST_REST_BARS = 256;

interface Carried {
  readonly position: string;
  readonly alteration: number;
}

/** Reads the lines of one tune's notes: the first voice's. */
export class AbcBody {
  readonly entries: Entry<DraftNote>[] = [];
  private readonly header: AbcHeader;
  private readonly notice: (place: Place, message: string) => void;
  private readonly rhythm = new Rhythm();
  private alterations: ReadonlyMap<string, number>;
  private unit;
  private meter: string;
  private shift: number;
  /** The accidentals of this bar, by letter, or by letter and octave. */
  private readonly accidentals = new Map<string, number>();
  /** The alteration that a tie carries on, and where on the staff. */
  private carried: Carried | null = null;
  /** The note just before, in this bar; and the one before in any. */
  private last: DraftNote | null = null;
  private previous: DraftNote | null = null;
  /** Something unseen stands between the last bar line and the next: they do not merge. */
  private apart = false;
  private chosen: string | undefined;
  private voice: string | undefined;

  constructor(header: AbcHeader, notice: (place: Place, message: string) => void) {
    this.header = header;
    this.notice = notice;
    this.alterations = header.key!.alterations;
    this.unit = header.unitLength();
    this.meter = header.meter;
    this.shift = header.voiceShift ?? header.key!.shift ?? 0;
    this.chosen = header.voice;
    this.voice = header.voice;
  }

  /** @throws AbcFault at what cannot be understood */
  readLine(text: string, line: number, from = 0): void {
    let at = from;
    while (at < text.length) {
      if (this.voice !== this.chosen) {
        at = text.indexOf('[V:', at);
        if (at < 0) return;
      }
      at = this.readOne(text, at, { line, column: at + 1 });
      if (this.entries.length > MOST_ELEMENTS) {
        throw new AbcFault({ line, column: at }, `expected at most ${MOST_ELEMENTS} notes and bar lines`);
      }
    }
  }

  /** A field on a line of its own, or inline. */
  readField(letter: string, content: string, place: Place): void {
    if (letter === 'V') this.switchVoice(content, place);
    if (letter === 'V' || this.voice !== this.chosen) return;
    if (letter === 'K') this.changeKey(accepted(parseKeyField(content), place), place);
    else if (letter === 'M') this.changeMeter(accepted(parseMeterField(content), place).meter, place);
    else if (letter === 'L') this.unit = accepted(parseUnitField(content), place).unit;
    else if (letter === 'I') this.header.directive(content);
    else if (letter === 'Q' && !this.hasNotes()) this.header.read(letter, content, place);
  }

  private changeKey(key: KeyField, place: Place): void {
    this.alterations = key.alterations;
    this.shift = key.shift ?? this.shift;
    this.accidentals.clear();
    if (!this.hasNotes()) this.header.key = key;
    else this.notice(place, 'the key changes; the label stays that of the beginning');
  }

  private changeMeter(meter: string, place: Place): void {
    if (!this.hasNotes()) this.header.meter = meter;
    else if (meter !== this.meter) this.notice(place, 'the metre changes; the label stays that of the beginning');
    this.meter = meter;
  }

  finish(): void {
    this.rhythm.finish();
  }

  private hasNotes(): boolean {
    return this.previous !== null;
  }

  private switchVoice(content: string, place: Place): void {
    const [name, ...words] = content.trim().split(/\s+/);
    if (this.chosen === undefined && !this.hasNotes()) this.chosen = name;
    this.voice = name;
    if (name === this.chosen) this.shift = clefShift(words) ?? this.shift;
    else this.notice(place, `the voice ${JSON.stringify(name)} is left out, as all but the first are`);
  }

  /** Reads one sign or group at `at`; returns where the next begins. */
  private readOne(text: string, at: number, place: Place): number {
    const sign = text[at]!;
    const inline = sign === '[' ? matchAt(INLINE_FIELD, text, at) : null;
    if (inline) {
      this.readField(inline[1]!, inline[2]!, { line: place.line, column: place.column + 3 });
      return at + inline[0].length;
    }
    const bar = parseBar(text, at);
    if (typeof bar === 'string') throw new AbcFault(place, bar);
    if (bar) {
      this.addBar(bar.bar);
      return bar.end;
    }
    const written = parsePitch(text, at, place);
    if (written) {
      const { factor, end } = parseLength(text, written.end, place);
      this.addNote(this.pitchOf(written, this.tie(), place), factor, place);
      return end;
    }
    if (sign === '[') return this.readChord(text, at, place);
    if (sign === 'z' || sign === 'x') {
      const { factor, end } = parseLength(text, at + 1, place);
      this.carried = null;
      this.addNote(null, factor, place);
      return end;
    }
    if (sign === 'Z' || sign === 'X') return this.readRestBars(text, at, place);
    if (sign === '-') {
      // A tie that stands first on a line or in an ending repeats one that was written before.
      if (this.last) this.last.tied = true;
      return at + 1;
    }
    if (sign === '(') return this.rhythm.readTuplet(text, at, this.meter, place) ?? at + 1;
    if (sign === '"' || sign === '{') {
      const end = text.indexOf(sign === '"' ? '"' : '}', at + 1);
      if (end < 0) throw new AbcFault(place, `expected a closing ${sign === '"' ? '"' : '}'} on the line, got none`);
      return end + 1;
    }
    if (sign === '&') return this.skipOverlay(text, at, place);
    return this.readSmall(text, at, place);
  }

  private readSmall(text: string, at: number, place: Place): number {
    const broken = this.rhythm.readBroken(text, at, this.last, place);
    if (broken !== null) return broken;
    const decoration = matchAt(NAMED_DECORATION, text, at);
    if (decoration) return at + decoration[0].length;
    const spacer = matchAt(SPACER, text, at);
    if (spacer) {
      this.apart = true;
      return at + spacer[0].length;
    }
    // A lone ! breaks the typeset line.
    if (DECORATION.test(text[at]!) || text[at] === '!') return at + 1;
    throw new AbcFault(
      place,
      `expected notes, rests, bar lines or decorations, got ${JSON.stringify(text.slice(at, at + 8))}`,
    );
  }

  private addBar(bar: AbcBar): void {
    const before = this.entries.at(-1);
    if (before && isBar(before) && !this.apart) this.entries[this.entries.length - 1] = mergeBars(before, bar);
    else this.entries.push(bar);
    this.apart = false;
    this.last = null;
    this.accidentals.clear();
  }

  private addNote(pitch: number | null, factor: { n: number; d: number }, place: Place): void {
    const length = times(times(this.unit, factor), this.rhythm.nextFactor());
    const note: DraftNote = { pitch, length, tied: false, place };
    this.push(note);
    this.last = note;
  }

  private push(note: DraftNote): void {
    this.entries.push(note);
    this.previous = note;
    this.apart = false;
  }

  /** The sounding pitch by key, accidentals of the bar and ties; an accidental holds from here on. */
  private pitchOf(written: WrittenPitch, tie: Carried | null, place: Place): number {
    const { letter, octave, accidental } = written;
    const position = `${letter}${octave}`;
    const { propagation } = this.header;
    const scope = propagation === 'octave' ? position : letter;
    if (accidental !== undefined && propagation !== 'not') this.accidentals.set(scope, accidental);
    const tied = tie?.position === position ? tie.alteration : undefined;
    const alteration = accidental ?? tied ?? this.accidentals.get(scope) ?? this.alterations.get(letter)!;
    this.carried = { position, alteration };
    return soundingPitch(written, alteration, this.shift, place);
  }

  /** What a tie from the note before carries on; an accidental holds across the bar line on the tied note alone. */
  private tie(): Carried | null {
    return this.previous?.tied ? this.carried : null;
  }

  /** A chord counts as its highest note: the melody, in most music that writes chords. */
  private readChord(text: string, from: number, place: Place): number {
    let at = from + 1;
    let highest: number | null = null;
    let top: Carried | null = null;
    const tie = this.tie();
    let length = null;
    let tied = false;
    while (at < text.length && text[at] !== ']') {
      const here = { line: place.line, column: at + 1 };
      const written = parsePitch(text, at, here);
      if (written) {
        const pitch = this.pitchOf(written, tie, here);
        const { factor, end } = parseLength(text, written.end, here);
        length ??= factor;
        at = end;
        const held = text[at] === '-';
        if (highest === null || pitch > highest) [highest, tied, top] = [pitch, held, this.carried];
        if (held) at++;
        continue;
      }
      const quoted = text[at] === '"' ? text.indexOf('"', at + 1) : -1;
      const decoration = matchAt(NAMED_DECORATION, text, at);
      if (quoted > 0) at = quoted + 1;
      else if (decoration) at += decoration[0].length;
      else if (/[.~H-Wh-w\s]/.test(text[at]!)) at++;
      else throw new AbcFault(here, `expected notes of a chord, got ${JSON.stringify(text.slice(at, at + 8))}`);
    }
    if (at >= text.length || length === null) {
      throw new AbcFault(
        place,
        `expected a chord of notes closed by ], got ${JSON.stringify(text.slice(from, at + 1).slice(0, 24))}`,
      );
    }
    const { factor, end } = parseLength(text, at + 1, place);
    this.carried = top;
    this.addNote(highest, times(length, factor), place);
    this.last!.tied = tied;
    return end;
  }

  private readRestBars(text: string, at: number, place: Place): number {
    const digits = /^\d*/.exec(text.slice(at + 1, at + 8))![0];
    const count = digits === '' ? 1 : Number(digits);
    const full = barTicks(this.meter);
    if (full === null) throw new AbcFault(place, 'expected a metre for a rest of whole bars, got none');
    if (count < 1 || count > MOST_REST_BARS) {
      throw new AbcFault(place, `expected a rest of 1 to ${MOST_REST_BARS} bars, got ${count}`);
    }
    this.carried = null;
    for (let index = 0; index < count; index++) {
      if (index > 0) this.addBar(PLAIN_BAR);
      this.push({ pitch: null, length: fraction(full * 2, 192), tied: false, place });
    }
    this.last = null;
    return at + 1 + digits.length;
  }

  private skipOverlay(text: string, at: number, place: Place): number {
    if (text[at - 1] === '(') throw new AbcFault(place, 'expected one voice, got an overlay of several bars');
    this.notice(place, 'voices overlaid by & are left out');
    OVERLAY_END.lastIndex = at;
    return OVERLAY_END.exec(text)?.index ?? text.length;
  }
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}
