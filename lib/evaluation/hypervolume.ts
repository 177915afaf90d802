import { ValueError } from '../errors.ts';
import type { BootstrapOptions } from './bootstrap.ts';
import { Judgements, type MeanOf, type PointJudgement } from './judgement.ts';
import { type ParetoAxes, QUALITY_AND_DIVERSITY } from './pareto.ts';
import type { Family, Hypervolume } from './types.ts';

/** The corner from which areas are measured. */
export interface Reference {
  x: number;
  y: number;
}

/**
 * The hypervolume indicator in two dimensions (Zitzler and Thiele 1998): the area of the union of the rectangles between
 * a reference and each point, exactly. Larger is better in both measures; a point that is not above the reference in
 * both adds nothing, so points that are dominated change nothing.
 *
 * @param points any items; without `axes`, they have `diversity` (x) and `quality` (y)
 * @param reference default the origin
 * @throws ValueError when a measure or the reference is not finite
 */
export function hypervolume<T extends { quality: number; diversity: number }>(
  points: readonly T[],
  axes?: undefined,
  reference?: Reference,
): number;
export function hypervolume<T>(points: readonly T[], axes: ParetoAxes<T>, reference?: Reference): number;
export function hypervolume<T>(
  points: readonly T[],
  axes: ParetoAxes<T> = QUALITY_AND_DIVERSITY as ParetoAxes<T>,
  reference: Reference = { x: 0, y: 0 },
): number {
  if (!(Number.isFinite(reference.x) && Number.isFinite(reference.y))) {
    throw new ValueError(`reference: expected finite numbers, got x = ${reference.x}, y = ${reference.y}`, 'reference');
  }
  const places = points.map((point, index) => {
    const [x, y] = [axes.x(point), axes.y(point)];
    if (!(Number.isFinite(x) && Number.isFinite(y))) {
      throw new ValueError(`points[${index}]: expected finite numbers, got x = ${x}, y = ${y}`, 'points');
    }
    return { x, y };
  });
  return areaAbove(places, reference);
}

/** From the largest x down, each point adds the strip by which it is higher than all before: none where it is dominated. */
function areaAbove(places: readonly { x: number; y: number }[], reference: Reference): number {
  const sorted = places.filter(({ x, y }) => x > reference.x && y > reference.y);
  sorted.sort((a, b) => b.x - a.x || b.y - a.y);
  let area = 0;
  let top = reference.y;
  for (const { x, y } of sorted) {
    if (y <= top) continue;
    area += (x - reference.x) * (y - top);
    top = y;
  }
  return area;
}

/**
 * The hypervolume from the origin of every family's points, strategies on top included, and of all points together, in
 * the plane of diversity (x) and quality (y), with intervals over one shared set of resampled prompts.
 *
 * A union takes the outermost of its points, and so of their noise: families of many points are favoured a little, and
 * intervals lie a little high. So `points` is told beside the value.
 *
 * @returns the families in the order in which they occur, then 'all'
 */
export function hypervolumes(judgements: readonly PointJudgement[], options: BootstrapOptions): Hypervolume[] {
  return hypervolumesOf(new Judgements(judgements, options));
}

/** As {@link hypervolumes}, on judgements that are resampled already. */
export function hypervolumesOf(judged: Judgements): Hypervolume[] {
  const families: (Family | 'all')[] = [...new Set(judged.all.map(({ point }) => point.family)), 'all'];
  return families.map((family) => {
    const own = judged.all.filter(({ point }) => family === 'all' || point.family === family);
    const area = (mean: MeanOf) => {
      const places = own.map((judgement) => ({ x: mean(judgement, 'diversity'), y: mean(judgement, 'quality') }));
      return areaAbove(places, { x: 0, y: 0 });
    };
    return { family, ...judged.estimate(area), points: own.length };
  });
}
