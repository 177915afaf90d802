import { ValueError } from '../../../errors.ts';
import { checkNote } from '../check.ts';
import { alterationsOf, signatureOf, spell } from '../keys.ts';
import { beatTicks, parseMeter } from '../meter.ts';
import { BAR_LINES, type BarLine, type Mode, type Tune } from '../tune.ts';
import { fraction } from './fraction.ts';
import { writeText } from './text.ts';

/** The unit note length of what is written: an eighth. */
const UNIT_TICKS = 12;
const BARS_PER_LINE = 4;

const MODE_NAMES: Readonly<Record<Mode, string>> = {
  major: '',
  minor: 'm',
  dorian: 'dor',
  phrygian: 'phr',
  lydian: 'lyd',
  mixolydian: 'mix',
  locrian: 'loc',
};
const ACCIDENTALS: Readonly<Record<string, string>> = { '-2': '__', '-1': '_', '0': '=', '1': '^', '2': '^^' };

/** Spells pitches in a key, with an accidental wherever any reader could need one. */
class Speller {
  private readonly signature: number;
  private readonly key: ReadonlyMap<string, number>;
  /** By letter, and by letter and octave, what was last written in this bar. */
  private readonly written = new Map<string, number>();

  constructor(key: string, mode: Mode) {
    this.signature = signatureOf(key, mode);
    this.key = alterationsOf(this.signature);
  }

  bar(): void {
    this.written.clear();
  }

  /** Programs differ in whether an accidental holds in other octaves: it is repeated unless both readings agree. */
  note(pitch: number): string {
    const { letter, alteration } = spell(pitch % 12, this.signature);
    // The octave is the written letter's: B♯ belongs to the octave below the C that it sounds as.
    const octave = Math.floor((pitch - alteration) / 12) - 1;
    const position = `${letter}${octave}`;
    const usual = this.key.get(letter)!;
    const anywhere = this.written.get(letter) ?? usual;
    const here = this.written.get(position) ?? usual;
    let text = octave > 4 ? letter.toLowerCase() + "'".repeat(octave - 5) : letter + ','.repeat(4 - octave);
    if (alteration !== anywhere || alteration !== here) {
      this.written.set(letter, alteration).set(position, alteration);
      text = ACCIDENTALS[alteration]! + text;
    }
    return text;
  }
}

function lengthText(n: number, d: number): string {
  const length = fraction(n, d);
  return `${length.n === 1 ? '' : length.n}${length.d === 1 ? '' : length.d === 2 ? '/' : `/${length.d}`}`;
}

/** Notes that are thirds of a binary length stand in tuplets of 3 in the time of 2, each until it is whole again. */
function tupletAt(elements: Tune['elements'], index: number): number {
  let total = 0;
  let count = 0;
  for (; index + count < elements.length; ) {
    const element = elements[index + count]!;
    if (element.kind === 'bar' || element.ticks % 3 === 0) break;
    total += element.ticks;
    count++;
    if (total % 3 === 0) break;
  }
  return count;
}

/** The sign of a bar line; endings after the second are counted on from it. */
function barText(line: BarLine, ending: number): string {
  if (line === '||1') return '||[1';
  return line === ':|2' ? `:|${ending}` : line;
}

function body({ elements, key, mode, meter }: Tune): string {
  const speller = new Speller(key, mode);
  const beat = beatTicks(meter);
  const lines: string[] = [];
  let line = '';
  let bars = 0;
  let position = 0;
  let inTuplet = 0;
  let ending = 1;
  for (const [index, element] of elements.entries()) {
    if (element.kind === 'bar') {
      if (!BAR_LINES.includes(element.line)) {
        const expected = `expected one of ${BAR_LINES.join(' ')}`;
        throw new ValueError(`tune.elements[${index}].line: ${expected}, got ${JSON.stringify(element.line)}`, 'tune');
      }
      // Nothing but a spacer keeps two bar lines in a row from being read as one.
      if (elements[index - 1]?.kind === 'bar') line += 'y';
      ending = element.line === ':|2' ? ending + 1 : element.line.endsWith('1') ? 1 : ending;
      line += barText(element.line, ending);
      speller.bar();
      position = 0;
      if (++bars % BARS_PER_LINE === 0) {
        lines.push(line);
        line = '';
      } else line += ' ';
      continue;
    }
    checkNote(element, index);
    if (inTuplet === 0 && element.ticks % 3 !== 0) {
      inTuplet = tupletAt(elements, index);
      line += inTuplet === 3 ? '(3' : `(3:2:${inTuplet}`;
    }
    const [n, d] = inTuplet > 0 ? [element.ticks * 3, 2 * UNIT_TICKS] : [element.ticks, UNIT_TICKS];
    line += (element.pitch === null ? 'z' : speller.note(element.pitch)) + lengthText(n, d) + (element.tied ? '-' : '');
    if (inTuplet > 0) inTuplet--;
    position += element.ticks;
    const next = elements[index + 1];
    if (beat !== null && next?.kind === 'note' && position % beat === 0) line += ' ';
  }
  lines.push(line);
  return lines
    .map((written) => written.trim())
    .filter((written) => written !== '')
    .join('\n');
}

/** A tempo as a Q: field has it: beats as they are, words in quotes. */
function tempoText(tempo: string): string {
  return /^\d+\/\d+=\d+(\.\d+)?$/.test(tempo) ? tempo : `"${writeText(tempo).replaceAll('"', '')}"`;
}

/**
 * Writes a tune as ABC 2.1. Reading the text gives the same elements, title, composer, labels (in lower case, where
 * reading makes them so) and tempo. Accidentals are repeated so that programs of any convention play the same.
 *
 * @param options.number what the X: field says, an integer ≥ 1; default 1
 * @throws ValueError when the tune has a key, metre, pitch, duration or bar line that is none
 */
export function writeAbc(tune: Tune, options: { number?: number } = {}): string {
  const { number = 1 } = options;
  if (!Number.isSafeInteger(number) || number < 1) {
    throw new ValueError(`number: expected an integer >= 1, got ${number}`, 'number');
  }
  parseMeter(tune.meter);
  const music = body(tune);
  const fields: [string, string][] = [
    ['X', `${number}`],
    ['T', writeText(tune.title)],
    ['C', writeText(tune.composer ?? '')],
    ['R', writeText(tune.type)],
    ['M', tune.meter || 'none'],
    ['L', '1/8'],
    ['Q', tune.tempo ? tempoText(tune.tempo) : ''],
    ['K', tune.key + MODE_NAMES[tune.mode]],
  ];
  const header = fields.filter(([, content]) => content !== '').map(([letter, content]) => `${letter}:${content}`);
  return `${header.join('\n')}\n${music}\n`;
}

/** Writes several tunes as one ABC file, numbered from 1. */
export function writeAbcFile(tunes: readonly Tune[]): string {
  return `%abc-2.1\n${tunes.map((tune, index) => writeAbc(tune, { number: index + 1 })).join('\n')}`;
}
