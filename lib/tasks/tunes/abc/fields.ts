import { parseMeter } from '../meter.ts';
import { type Fraction, fraction } from './fraction.ts';
import { readText } from './text.ts';

/** Content that could not be understood: what was expected and what came. */
export type Refusal = string;

/**
 * A metre as a label: `C` is 4/4, `C|` 2/2, sums as `(2+3)/8` or `2+3/8` are added up, `none` and nothing are ''.
 */
export function parseMeterField(content: string): { meter: string } | Refusal {
  const text = content.trim();
  if (text === 'C') return { meter: '4/4' };
  if (text === 'C|') return { meter: '2/2' };
  if (text === '' || text === 'none') return { meter: '' };
  const match = /^\(?(\d{1,2}(?:\s*\+\s*\d{1,2}){0,7})\)?\s*\/\s*(\d{1,2})$/.exec(text);
  const sum = match?.[1]?.split('+').reduce((total, part) => total + Number(part), 0);
  const meter = match ? `${sum}/${Number(match[2])}` : text;
  try {
    parseMeter(meter);
    return { meter };
  } catch {
    return `expected a metre as "6/8", "C", "C|", "(2+3)/8" or "none", got ${JSON.stringify(text)}`;
  }
}

/** The unit note length: 1/1 to 1/512, or another fraction with a power of two below. */
export function parseUnitField(content: string): { unit: Fraction } | Refusal {
  const text = content.trim();
  const match = /^(\d{1,2})(?:\s*\/\s*(\d{1,3}))?$/.exec(text);
  const numerator = Number(match?.[1]);
  const denominator = Number(match?.[2] ?? 1);
  if (!match || numerator < 1 || denominator < 1 || denominator > 512 || Math.log2(denominator) % 1 !== 0) {
    return `expected a unit note length as "1/8", got ${JSON.stringify(text)}`;
  }
  return { unit: fraction(numerator, denominator) };
}

/** The unit note length that holds where no L: field says: 1/16 below a metre of 3/4, otherwise 1/8. */
export function defaultUnit(meter: string): Fraction {
  const parsed = parseMeter(meter);
  return { n: 1, d: parsed && parsed.numerator / parsed.denominator < 0.75 ? 16 : 8 };
}

/**
 * A tempo: beats (`1/4=120`) where the field gives them, otherwise its words (`"slow"`), in lower case. The old forms
 * `120` and `C=120` count unit notes. '' where the field says nothing that can be used.
 */
export function parseTempoField(content: string, unit: Fraction): string {
  const words = /"([^"]*)"/.exec(content)?.[1] ?? '';
  const rest = content.replace(/"[^"]*"/g, ' ').trim();
  const beats = /^((?:\d{1,2}\/\d{1,3}\s+){0,3}\d{1,2}\/\d{1,3})\s*=\s*(\d{1,3}(?:\.\d{1,3})?)$/.exec(rest);
  if (beats) {
    let total: Fraction = { n: 0, d: 1 };
    for (const part of beats[1]!.split(/\s+/)) {
      const [n, d] = part.split('/').map(Number) as [number, number];
      if (n < 1 || d < 1) return '';
      total = fraction(total.n * d + n * total.d, total.d * d);
    }
    return Number(beats[2]) > 0 ? `${total.n}/${total.d}=${Number(beats[2])}` : '';
  }
  const old = /^(?:C\s*(\d{1,2})?\s*=\s*)?(\d{1,3})$/.exec(rest);
  if (old && Number(old[2]) > 0) {
    const beat = fraction(unit.n * Math.max(1, Number(old[1] ?? 1)), unit.d);
    return `${beat.n}/${beat.d}=${Number(old[2])}`;
  }
  return readText(words || (/^[A-Za-z][A-Za-z ]*$/.test(rest) ? rest : '')).toLowerCase();
}
