import { ValueError } from '../errors.ts';

/** The two measures of a front; larger is better in both. */
export interface ParetoAxes<T> {
  x: (point: T) => number;
  y: (point: T) => number;
}

/**
 * The Pareto front: the points that no other point dominates, by falling y. One point dominates another when it is at
 * least as good in both measures and better in one; so of two points that tie in one measure only the better stays,
 * and points that tie in both stay together, in the order given. Larger is better.
 *
 * @param points any items; without `axes`, they have `diversity` (x) and `quality` (y)
 * @throws ValueError when a measure is NaN
 */
export function paretoFront<T extends { quality: number; diversity: number }>(points: readonly T[]): T[];
export function paretoFront<T>(points: readonly T[], axes: ParetoAxes<T>): T[];
export function paretoFront<T>(points: readonly T[], axes?: ParetoAxes<T>): T[] {
  const { x, y } = axes ?? (QUALITY_AND_DIVERSITY as ParetoAxes<T>);
  const measured = points.map((point, index) => {
    const at = { point, x: x(point), y: y(point) };
    if (Number.isNaN(at.x) || Number.isNaN(at.y)) {
      throw new ValueError(
        `points[${index}]: expected numbers in both measures, got x = ${at.x}, y = ${at.y}`,
        'points',
      );
    }
    return at;
  });
  measured.sort((a, b) => compare(b.y, a.y) || compare(b.x, a.x));
  const front: T[] = [];
  let best: { x: number; y: number } | null = null;
  for (const { point, x, y } of measured) {
    if (best === null || x > best.x || (x === best.x && y === best.y)) {
      front.push(point);
      best = { x, y };
    }
  }
  return front;
}

/** Diversity is x, quality y. */
export const QUALITY_AND_DIVERSITY: ParetoAxes<{ quality: number; diversity: number }> = {
  x: (point) => point.diversity,
  y: (point) => point.quality,
};

/** Not a difference: ∞ − ∞ is NaN. */
function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
