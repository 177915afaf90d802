import Table from 'cli-table3';
import type { Claim, FailureSign, Point } from '../evaluation/types.ts';

/** The judged points as a table for a terminal. */
export function pointsTable(points: readonly Point[]): string {
  const table = new Table({
    head: [
      'name',
      'family',
      'quality [95 %]',
      'diversity [95 %]',
      'independent\ndiversity',
      'distinct\nvalid',
      'passes',
      'tokens/s',
    ],
    colAligns: ['left', 'left', 'left', 'left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const point of points) {
    const { interval } = point;
    table.push([
      point.name,
      point.family,
      withInterval(point.quality, interval.quality),
      withInterval(point.diversity, interval.diversity),
      point.independentDiversity.toFixed(3),
      point.distinctValid.toFixed(2),
      point.passesPerToken,
      point.tokensPerSecond > 0 ? Math.round(point.tokensPerSecond).toLocaleString('en') : '–',
    ]);
  }
  return table.toString();
}

function withInterval(value: number, [low, high]: readonly [number, number]): string {
  return `${value.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
}

/** The verdict on each claim, with the sentence that says why. A claim without figures could not be tested. */
export function claimsText(claims: readonly Claim[]): string {
  return claims
    .map(({ claim, holds, figures, why }) => {
      const verdict = Object.keys(figures).length === 0 ? 'n/a' : holds ? 'yes' : 'no ';
      return `  ${verdict}  ${claim}\n       ${why}`;
    })
    .join('\n');
}

/** Whether each failure sign was seen. */
export function signsText(signs: readonly FailureSign[]): string {
  return signs
    .map(({ sign, seen, figures }) => `  ${figures.checked === 0 ? 'n/a' : seen ? 'yes' : 'no '}  ${sign}`)
    .join('\n');
}
