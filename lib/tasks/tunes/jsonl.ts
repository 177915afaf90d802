import { CfgDistillError, ValueError } from '../../errors.ts';
import { parseElement } from './element-text.ts';
import { commonKeyShift } from './keys.ts';
import { MOST_ELEMENTS, MOST_TICKS } from './limits.ts';
import { parseMeter } from './meter.ts';
import { type TuneProblem, type TunesRead, tellProblem } from './problem.ts';
import { splitOf } from './split.ts';
import { shiftPitches } from './transpose.ts';
import { type Bar, MODES, type Mode, type Note, type Tune } from './tune.ts';

const MOST_LINE = 2 ** 22;

/** Fails with what was expected of a field and what came. */
function refuse(field: string, expected: string, got: unknown): never {
  const shown = got === undefined ? 'nothing' : JSON.stringify(got);
  throw new ValueError(
    `${field}: expected ${expected}, got ${shown.length > 80 ? `${shown.slice(0, 80)}…` : shown}`,
    field,
  );
}

function text(record: Record<string, unknown>, field: string): string {
  const value = record[field] ?? '';
  return typeof value === 'string' ? value : refuse(field, 'a string', value);
}

/** One token of `notes`: a bar line, or `pitch:ticks`, `R` for a rest, a final `-` for a tie. */
function readToken(token: string, index: number): Note | Bar {
  const element = parseElement(token);
  if (element && !(element.kind === 'note' && element.ticks > MOST_TICKS)) return element;
  return refuse(`notes[${index}]`, `a bar line or pitch:ticks, as "64:12", "R:24" or "64:12-"`, token);
}

/** Whether every tie leads to the same pitch. */
function checkTies(elements: readonly (Note | Bar)[]): void {
  let tied: { pitch: number | null; index: number } | null = null;
  for (const [index, element] of elements.entries()) {
    if (element.kind === 'bar') continue;
    if (tied && element.pitch !== tied.pitch) {
      refuse(`notes[${tied.index}]`, `a tie to a note of the pitch ${tied.pitch}`, element.pitch);
    }
    if (element.tied && element.pitch === null) refuse(`notes[${index}]`, 'a rest without a tie', 'R-');
    tied = element.tied ? { pitch: element.pitch, index } : null;
  }
  if (tied) refuse(`notes[${tied.index}]`, `a tie to a note of the pitch ${tied.pitch}`, undefined);
}

/**
 * Reads one labelled tune from a JSON object: `key`, `mode` and `notes` are needed; `id`, `title`, `type`, `meter`,
 * `tempo`, `composer`, `split` ('train' or 'validation') and `cluster` (by whose hash tunes without a split get one) may be
 * there, other fields are left alone.
 *
 * `notes` is a string of tokens separated by spaces: `pitch:ticks`, `R:ticks` for a rest, both with a final `-` for a
 * tie, and bar lines. Its pitches are in the key of the mode that has an empty signature, as `toCommonKey` gives them;
 * the tune's are sounding ones, in the labelled key.
 *
 * @param id the tune's id when the object has none
 * @throws ValueError naming the field
 */
export function readLabelledTune(value: unknown, id: string): Tune {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse('tune', 'an object', value);
  const record = value as Record<string, unknown>;
  const mode = text(record, 'mode');
  if (!(MODES as readonly string[]).includes(mode)) refuse('mode', `one of ${MODES.join(', ')}`, record.mode);
  const shift = commonKeyShift(text(record, 'key'), mode as Mode);
  const meter = text(record, 'meter');
  parseMeter(meter);
  const tokens = text(record, 'notes')
    .split(/\s+/)
    .filter((token) => token !== '');
  if (tokens.length > MOST_ELEMENTS) refuse('notes', `at most ${MOST_ELEMENTS} tokens`, tokens.length);
  const elements = shiftPitches(tokens.map(readToken), -shift);
  checkTies(elements);
  if (!elements.some((element) => element.kind === 'note' && element.pitch !== null)) refuse('notes', 'notes', '');
  const split = record.split;
  if (split !== undefined && split !== 'train' && split !== 'validation') {
    return refuse('split', '"train" or "validation"', split);
  }
  const tempo = text(record, 'tempo');
  const composer = text(record, 'composer');
  const cluster = text(record, 'cluster');
  return {
    id: text(record, 'id') || id,
    title: text(record, 'title'),
    type: text(record, 'type'),
    meter,
    key: text(record, 'key'),
    mode: mode as Mode,
    elements,
    ...(tempo === '' ? {} : { tempo }),
    ...(composer === '' ? {} : { composer }),
    ...(split !== undefined ? { split } : cluster !== '' ? { split: splitOf(cluster) } : {}),
  };
}

/** Reads labelled tunes line by line, one JSON object each; empty lines are passed over. */
export class JsonLinesReader implements TunesRead<Tune> {
  readonly tunes: Tune[] = [];
  readonly problems: TuneProblem[] = [];
  private readonly source: string;
  private readonly prefix: string;
  private line = 0;

  /**
   * @param source what messages call the text
   * @param prefix what stands before the line's number in the id of a tune that states none
   */
  constructor(source: string, prefix = '') {
    this.source = source;
    this.prefix = prefix;
  }

  push(line: string): void {
    this.line++;
    if (line.trim() === '') return;
    try {
      if (line.length > MOST_LINE) refuse('line', `at most ${MOST_LINE} characters`, line.length);
      this.tunes.push(readLabelledTune(JSON.parse(line), `${this.prefix}${this.line}`));
    } catch (error) {
      if (!(error instanceof CfgDistillError || error instanceof SyntaxError)) throw error;
      const message = error instanceof CfgDistillError ? error.message : `expected JSON: ${error.message}`;
      tellProblem(this.problems, {
        file: this.source,
        line: this.line,
        message: `${this.source}:${this.line}: ${message}`,
        lost: true,
      });
    }
  }

  /** The text has ended. */
  end(): void {}
}
