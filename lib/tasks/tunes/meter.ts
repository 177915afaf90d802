import { ValueError } from '../../errors.ts';
import { TICKS_PER_WHOLE } from './tune.ts';

export interface Meter {
  readonly numerator: number;
  readonly denominator: number;
}

/**
 * Reads a metre label as "6/8"; null for '' (no bars).
 *
 * @throws ValueError unless both are integers, the numerator 1 to 99, the denominator a power of two up to 64
 */
export function parseMeter(meter: string, argument = 'meter'): Meter | null {
  if (meter === '') return null;
  const match = /^([1-9]\d?)\/(1|2|4|8|16|32|64)$/.exec(meter);
  if (!match) {
    throw new ValueError(`${argument}: expected a metre as "6/8" or "", got ${JSON.stringify(meter)}`, argument);
  }
  return { numerator: Number(match[1]), denominator: Number(match[2]) };
}

/** The ticks of a full bar, which may be a half in metres of 64ths; null where there are no bars. */
export function barTicks(meter: string): number | null {
  const parsed = parseMeter(meter);
  return parsed && (TICKS_PER_WHOLE * parsed.numerator) / parsed.denominator;
}

/** The ticks of a beat: three eighths in 6/8, 9/8 and 12/8, otherwise the metre's denominator. */
export function beatTicks(meter: string): number | null {
  const parsed = parseMeter(meter);
  if (!parsed) return null;
  const beat = TICKS_PER_WHOLE / parsed.denominator;
  return isCompound(parsed) ? 3 * beat : beat;
}

/** 6/8, 9/8, 12/8 and their like: three to a beat. */
export function isCompound({ numerator, denominator }: Meter): boolean {
  return denominator >= 8 && numerator > 3 && numerator % 3 === 0;
}
