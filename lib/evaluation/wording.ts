import type { Estimate } from './bootstrap.ts';
import type { Claim, Interval } from './types.ts';

/** A figure for a sentence: three digits after the point, a true minus sign, no minus before zero. */
export function figure(value: number): string {
  return value
    .toFixed(3)
    .replace(/^-(?=0\.?0*$)/, '')
    .replace('-', '−');
}

/** A difference for a sentence: its sign always shown, its interval behind it. */
export function difference({ value, interval }: Estimate): string {
  return `${signed(value)} ${range(interval)}`;
}

/** An interval for a sentence. */
export function range([low, high]: Interval): string {
  return `[${signed(low)}, ${signed(high)}]`;
}

function signed(value: number): string {
  const text = figure(value);
  return value > 0 ? `+${text}` : text;
}

/** A claim that cannot be tested, because something was not judged. */
export function untested(claim: string, missing: string): Claim {
  return { claim, holds: false, figures: {}, why: `Not tested: ${missing}.` };
}

/** "a", "a and b", "a, b and c". */
export function list(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}
