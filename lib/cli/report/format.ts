import type { Interval, Point, PointParameters } from '../../evaluation/types.ts';

/** Shown where there is no finite number. */
const NONE = '–';

/** A number with so many decimals, with a real minus sign. */
export function fixed(value: number, digits = 2): string {
  return Number.isFinite(value) ? value.toFixed(digits).replace('-', '−') : NONE;
}

/** A count or a rate, thousands separated. */
export function count(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString('en-US') : NONE;
}

/** A figure of unknown kind: integers as they are, anything else to three significant digits. */
export function figure(value: number | readonly number[]): string {
  if (typeof value !== 'number') return `[${value.map(figure).join(', ')}]`;
  if (!Number.isFinite(value)) return NONE;
  if (Number.isInteger(value)) return fixed(value, 0);
  return (Math.abs(value) >= 0.01 && Math.abs(value) < 1000 ? fixed(value, 3) : value.toPrecision(3)).replace('-', '−');
}

/** `0.33 (0.30 to 0.36)`. */
export function withInterval(value: number, [low, high]: Interval): string {
  return `${fixed(value)} (${fixed(low)} to ${fixed(high)})`;
}

/** Seconds as a person says them: `4.2 s`, `38 s`, `2 min 5 s`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return NONE;
  if (seconds < 10) return `${fixed(seconds, 1)} s`;
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

const SYMBOLS: readonly (readonly [key: keyof PointParameters, symbol: string])[] = [
  ['beta', 'β'],
  ['lambda', 'λ'],
  ['scale', 'γ'],
  ['temperature', 'T'],
  ['topK', 'k'],
  ['topP', 'p'],
];

/** A point's parameters in the usual symbols, such as `β 5, λ 0.5, p 0.9`. */
export function parameterText(parameters: PointParameters): string {
  return SYMBOLS.flatMap(([key, symbol]) => {
    const value = parameters[key];
    return value === undefined ? [] : [`${symbol} ${value}`];
  }).join(', ');
}

/** The short label of a point in the figure: of a merged model only λ, the rest being said by its colour. */
export function shortLabel(point: Point): string {
  if (point.family === 'base') return 'base';
  const { beta, ...others } = point.parameters;
  return parameterText(point.family === 'merged' ? others : { ...(beta === undefined ? {} : { beta }), ...others });
}

/** A name in camel case or with dashes as words: `klPerSequence` is `KL per sequence`, `copied8grams` `copied 8-grams`. */
export function words(name: string): string {
  const apart = name
    .replace(/[_-]+/g, ' ')
    .replace(/([a-z])([A-Z0-9])/g, '$1 $2')
    .replace(/(\d)([a-z])/g, '$1-$2');
  return apart.toLowerCase().replace(/\bkl\b/g, 'KL');
}
