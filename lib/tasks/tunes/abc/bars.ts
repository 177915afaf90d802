import type { BarLine } from '../tune.ts';

/** What a bar line says, before it becomes one of the few that a tune knows. */
export interface AbcBar {
  /** It ends a repeat. */
  readonly end: boolean;
  /** It begins one. */
  readonly start: boolean;
  /** It is a double or a thick line. */
  readonly double: boolean;
  /** The passes that the ending which begins here is played in; empty where none begins. */
  readonly passes: readonly number[];
}

/** The passes of one repeat. */
export const MOST_PASSES = 16;

/** A bar line's signs, then the digits of an ending; or an ending alone. */
const BAR = /(?:\[\||[|:])(?:[|:\]]|\[(?=[|\d"]))*|\[(?=\d)/y;
const PASSES = /\d{1,2}(?:\s*[,-]\s*\d{1,2}){0,15}/y;

/**
 * Reads a bar line, its repeat dots and its ending at `from`.
 *
 * @returns null when there is none, a message when it is none that means something
 */
export function parseBar(text: string, from: number): { bar: AbcBar; end: number } | string | null {
  BAR.lastIndex = from;
  const signs = BAR.exec(text)?.[0];
  if (signs === undefined) return null;
  let end = from + signs.length;
  const lines = signs.replace(/[[\]]/g, '');
  if (lines === ':') return `expected a bar line, got ${JSON.stringify(text.slice(from, from + 4))}`;

  PASSES.lastIndex = end;
  const digits = PASSES.exec(text)?.[0];
  const passes = digits === undefined ? [] : parsePasses(digits);
  if (typeof passes === 'string') return passes;
  end += digits?.length ?? 0;
  const colons = /^:+$/.test(lines);
  return {
    bar: {
      end: lines.startsWith(':'),
      start: colons || (lines.endsWith(':') && lines.includes('|')),
      double: /\|\||\|\]|\[\|/.test(signs) && signs !== '[|]',
      passes,
    },
    end,
  };
}

function parsePasses(digits: string): number[] | string {
  const passes: number[] = [];
  for (const part of digits.split(',')) {
    const [first, last = first] = part.split('-').map(Number) as [number, number?];
    if (first < 1 || last! > MOST_PASSES || last! < first) {
      return `expected an ending of passes 1 to ${MOST_PASSES} as "1", "1,3" or "1-3", got ${JSON.stringify(digits)}`;
    }
    for (let pass = first; pass <= last!; pass++) passes.push(pass);
  }
  return passes;
}

/** One bar line for two that follow each other with nothing between: `:|` and `|:`, `:|` and `[2`. */
export function mergeBars(first: AbcBar, second: AbcBar): AbcBar {
  return {
    end: first.end || second.end,
    start: first.start || second.start,
    double: first.double || second.double,
    passes: second.passes.length > 0 ? second.passes : first.passes,
  };
}

/** The bar lines of a tune that say the same; two only where an ending follows a repeat's begin or another's end. */
export function barLines({ end, start, double, passes }: AbcBar): BarLine[] {
  if (passes.length === 0) return [end ? (start ? '::' : ':|') : start ? '|:' : double ? '||' : '|'];
  if (passes[0] !== 1) return start ? [':|2', '|:'] : [':|2'];
  if (start) return [end ? '::' : '|:', '|1'];
  return end ? [':|', '|1'] : [double ? '||1' : '|1'];
}
