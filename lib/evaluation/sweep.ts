import type { Judgements, MeanOf, PointJudgement } from './judgement.ts';
import { paretoFront } from './pareto.ts';
import type { Claim } from './types.ts';
import { figure, list, range, untested } from './wording.ts';

/** A generator's place in the plane of the front. */
export interface Place {
  diversity: number;
  quality: number;
}

/**
 * The best quality that a curve offers at a diversity or more. The curve is the polyline through `nodes` in order;
 * past its most diverse node, where it offers nothing, that node's quality stands in.
 *
 * @param nodes one or more
 */
export function attainableQuality(nodes: readonly Place[], diversity: number): number {
  let best = Number.NEGATIVE_INFINITY;
  let farthest = nodes[0]!;
  for (const [index, node] of nodes.entries()) {
    if (node.diversity > farthest.diversity) farthest = node;
    if (node.diversity >= diversity) best = Math.max(best, node.quality);
    const next = nodes[index + 1];
    // Where a segment crosses the diversity; elsewhere on it the best is at one of its nodes.
    if (next !== undefined && node.diversity < diversity !== next.diversity < diversity) {
      const along = (diversity - node.diversity) / (next.diversity - node.diversity);
      best = Math.max(best, node.quality + along * (next.quality - node.quality));
    }
  }
  return best === Number.NEGATIVE_INFINITY ? farthest.quality : best;
}

/**
 * Claim (e): the front of the trained models lies above the guidance sweep.
 *
 * The trained curve is the polyline through the front of the distilled and merged models (without other strategies
 * on top), the sweep the polyline through the base (γ = 1) and the guidance points by rising γ. At a diversity, the
 * gap is the best quality the trained curve offers there or at more diversity, minus the sweep's. It is taken at every
 * point of the trained front and of the sweep's own front, as far as both curves reach in diversity; in each resample
 * the points, and so the places, move with their means.
 *
 * Holds when at some place the gap is shown to be above 0, by an interval widened for the number of places looked at
 * (Bonferroni), and at no place the plain 95 % interval lies below 0. So looking at many places makes neither
 * "above" nor "nowhere below" easier to reach.
 */
export function claimAboveSweep(judged: Judgements): Claim {
  const claim = '(e) The front of the trained models lies above the guidance sweep';
  const base = judged.base();
  const guided = judged.plain('guidance');
  const trained = [...judged.plain('distilled'), ...judged.plain('merged')];
  if (base === null) return untested(claim, 'the base was not judged');
  if (guided.length === 0) return untested(claim, 'no guidance scale was judged');
  if (trained.length === 0) return untested(claim, 'no distilled or merged model was judged');

  const scaleOf = ({ point }: PointJudgement) => point.parameters.scale ?? 1;
  const sweep = [base, ...guided].sort((a, b) => scaleOf(a) - scaleOf(b));
  const axes = {
    x: (judgement: PointJudgement) => judged.mean(judgement, 'diversity'),
    y: (judgement: PointJudgement) => judged.mean(judgement, 'quality'),
  };
  const front = paretoFront(trained, axes);
  const reach = Math.min(Math.max(...trained.map(axes.x)), Math.max(...sweep.map(axes.x)));
  const where = [...front, ...paretoFront(sweep, axes)].filter((judgement) => axes.x(judgement) <= reach);
  where.sort((a, b) => axes.x(a) - axes.x(b));

  const placesOf = (nodes: readonly PointJudgement[], mean: MeanOf): Place[] =>
    nodes.map((node) => ({ diversity: mean(node, 'diversity'), quality: mean(node, 'quality') }));
  const gaps = where.map((place) => {
    const gap = (mean: MeanOf) =>
      attainableQuality(placesOf(front, mean), mean(place, 'diversity')) -
      attainableQuality(placesOf(sweep, mean), mean(place, 'diversity'));
    const { value, interval } = judged.estimateAt(gap, [judged.level, 1 - (1 - judged.level) / where.length]);
    return { name: place.point.name, diversity: axes.x(place), value, interval: interval[0]!, widened: interval[1]! };
  });
  const above = gaps.filter(({ widened }) => widened[0] > 0);
  const below = gaps.filter(({ interval }) => interval[1] < 0);
  return {
    claim,
    holds: above.length > 0 && below.length === 0,
    figures: {
      diversity: gaps.map((gap) => gap.diversity),
      gap: gaps.map((gap) => gap.value),
      low: gaps.map((gap) => gap.interval[0]),
      high: gaps.map((gap) => gap.interval[1]),
      widenedLow: gaps.map((gap) => gap.widened[0]),
      widenedHigh: gaps.map((gap) => gap.widened[1]),
      meanGap: gaps.reduce((sum, gap) => sum + gap.value, 0) / gaps.length,
    },
    why: verdict(gaps.length, above, below) + passes(front, guided),
  };
}

function passes(front: readonly PointJudgement[], guided: readonly PointJudgement[]): string {
  const most = (points: readonly PointJudgement[]) => Math.max(...points.map(({ point }) => point.passesPerToken));
  return ` Passes per token: ${most(front)} trained, ${most(guided)} under guidance.`;
}

interface Gap {
  name: string;
  diversity: number;
  value: number;
  interval: [number, number];
  widened: [number, number];
}

function verdict(places: number, above: readonly Gap[], below: readonly Gap[]): string {
  const compared = `Quality was compared at equal diversity in ${places} places. `;
  const tell = (gaps: readonly Gap[], interval: 'interval' | 'widened') =>
    list(
      gaps.map((gap) => {
        return `${figure(gap.value)} ${range(gap[interval])} at diversity ${figure(gap.diversity)} (${gap.name})`;
      }),
    );
  if (below.length > 0) {
    const also = above.length > 0 ? ` It lies above it elsewhere: ${tell(above, 'widened')}.` : '';
    return `${compared}The trained front is shown to lie below the sweep: ${tell(below, 'interval')}.${also}`;
  }
  if (above.length === 0) {
    return `${compared}The trained front is nowhere shown to lie below the sweep, but nowhere above it either.`;
  }
  return (
    `${compared}The trained front is shown to lie above the sweep: ${tell(above, 'widened')}, with intervals widened ` +
    'for the number of places; nowhere is it shown to lie below.'
  );
}
