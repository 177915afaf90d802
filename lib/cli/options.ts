import { Option } from 'commander';
import { UsageError } from './failure.ts';

/** Turns an option's text into its value, or returns what it expected. */
export interface Parser<T> {
  expected: string;
  parse(text: string): T | undefined;
}

/** An integer within bounds. */
export function integer(least: number, most = Number.MAX_SAFE_INTEGER): Parser<number> {
  const upTo = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  return {
    expected: `an integer ${upTo}`,
    parse: (text) => {
      const value = toNumber(text);
      return value !== undefined && Number.isSafeInteger(value) && value >= least && value <= most ? value : undefined;
    },
  };
}

/** A seed: an integer of [0, 2^53). */
export const seed = { ...integer(0), expected: 'an integer from 0 to 2^53 - 1' };

/** A finite number that fits. */
export function number(expected = 'a number', fits: (value: number) => boolean = () => true): Parser<number> {
  return {
    expected,
    parse: (text) => {
      const value = toNumber(text);
      return value !== undefined && fits(value) ? value : undefined;
    },
  };
}

export const positive = number('a number above 0', (value) => value > 0);
export const notNegative = number('a number of at least 0', (value) => value >= 0);
export const probability = number('a number above 0 and at most 1', (value) => value > 0 && value <= 1);

/** One of some words. */
export function oneOf<T extends string>(words: readonly T[]): Parser<T> {
  return {
    expected: words.length > 1 ? `one of ${words.join(', ')}` : `${words[0]}`,
    parse: (text) => words.find((word) => word === text),
  };
}

/** Values between commas, or `none` for an empty list. */
export function listOf<T>(parser: Parser<T>): Parser<T[]> {
  return {
    expected: `${parser.expected}, or several between commas`,
    parse: (text) => {
      const values = text === 'none' ? [] : text.split(',').map((part) => parser.parse(part.trim()));
      return values.every((value) => value !== undefined) ? values : undefined;
    },
  };
}

/** A path or another text that must not be empty. */
export const text: Parser<string> = {
  expected: 'a text that is not empty',
  parse: (value) => (value === '' ? undefined : value),
};

/** An option whose value is checked; an unfit one is a UsageError that names the option. */
export function option<T>(flags: string, description: string, parser: Parser<T>): Option {
  const made = new Option(flags, description);
  return made.argParser((given: string) => parsed(made, parser, given));
}

/** As `option`, and may be given several times: its value is the array of all. */
export function repeatable<T>(flags: string, description: string, parser: Parser<T>): Option {
  const made = new Option(flags, description);
  return made.argParser((given: string, earlier: T[] | undefined) => [
    ...(earlier ?? []),
    parsed(made, parser, given),
  ]);
}

function parsed<T>(made: Option, parser: Parser<T>, given: string): T {
  const value = parser.parse(given);
  if (value === undefined) throw new UsageError(`${made.long}: expected ${parser.expected}, got '${given}'`);
  return value;
}

function toNumber(text: string): number | undefined {
  // Number() alone would take '' for 0, and hexadecimal.
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}
