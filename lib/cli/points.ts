import Table from 'cli-table3';
import type { Claim, FailureSign, Hypervolume, Interval, MergePathCurve, Point } from '../evaluation/types.ts';
import { figure } from '../evaluation/wording.ts';

/** What stands above {@link hypervolumesTable}. */
export const HYPERVOLUME_TITLE = 'Hypervolume: the area of diversity × quality from the origin that a family dominates';

/** What stands above {@link mergePathsText}. */
export const MERGE_PATHS_TITLE = 'Along the merge paths';

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

function withInterval(value: number, [low, high]: Interval): string {
  return `${figure(value)} [${figure(low)}, ${figure(high)}]`;
}

function smallTable(head: string[], rows: readonly (readonly (string | number)[])[]): string {
  const table = new Table({
    head,
    colAligns: head.map((_, column) => (column === 0 ? 'left' : 'right')),
    style: { head: [], border: [], compact: true },
  });
  table.push(...rows.map((row) => [...row]));
  return table.toString();
}

/** The further measures of the points; null where they have none. */
export function measuresTable(points: readonly Point[]): string | null {
  const names = [...new Set(points.flatMap(({ measures }) => Object.keys(measures ?? {})))];
  if (names.length === 0) return null;
  const rows = points.map(({ name, measures }) => {
    return [name, ...names.map((measure) => (measures?.[measure] === undefined ? '–' : figure(measures[measure])))];
  });
  return smallTable(['name', ...names], rows);
}

/** The area that each family's points dominate. */
export function hypervolumesTable(hypervolumes: readonly Hypervolume[]): string {
  return smallTable(
    ['family', 'points', 'hypervolume [95 %]'],
    hypervolumes.map(({ family, points, value, interval }) => [family, points, withInterval(value, interval)]),
  );
}

/** Quality and diversity along each merge path, with a sentence on its barrier. */
export function mergePathsText(paths: readonly MergePathCurve[]): string {
  return paths
    .map(({ beta, lambda, quality, diversity, interval, barrier }) => {
      const table = smallTable(
        ['λ', 'quality [95 %]', 'diversity [95 %]'],
        lambda.map((own, stop) => [
          own,
          withInterval(quality[stop]!, interval.quality[stop]!),
          withInterval(diversity[stop]!, interval.diversity[stop]!),
        ]),
      );
      const depth = withInterval(barrier.depth, barrier.interval);
      return (
        `From β = 0 (λ = 0) to β = ${beta} (λ = 1)\n${table}\n` +
        `Barrier: ${barrier.seen ? 'seen' : 'not seen'}; the lower end’s quality is ${depth} above the lowest merge’s (λ = ${barrier.lambda}).`
      );
    })
    .join('\n\n');
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
