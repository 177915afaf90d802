import type { Judgements, PointJudgement } from './judgement.ts';
import { mergeEnds } from './merge-path.ts';
import type { Claim } from './types.ts';
import { difference, list, untested } from './wording.ts';

/** A merge and the two models it lies between. */
interface Merge {
  merged: PointJudgement;
  quality: PointJudgement;
  diverse: PointJudgement;
}

/**
 * Claim (d): the merges lie on or above the line between their ends, in the plane of diversity (x) and quality (y).
 * A merge's height is its quality minus the line's quality at the merge's diversity; beyond an end the line goes
 * straight on. The height is a function of six means and is resampled as a whole, so its interval carries the ends'
 * uncertainty too. Holds unless the interval of some merge lies wholly below 0.
 */
export function claimMergesOnLine(judged: Judgements): Claim {
  const claim = '(d) Each merge lies on or above the line between its ends';
  const paths = judged.mergePaths();
  if (paths.size === 0) return untested(claim, 'no merge strictly between two ends was judged');
  const merges: Merge[] = [];
  for (const [beta, inner] of paths) {
    const ends = mergeEnds(judged, beta);
    if (ends === null) return untested(claim, `of the merges towards β = ${beta}, an end was not judged`);
    const [low, high] = judged.difference('diversity', ends.diverse, ends.quality).interval;
    if (low <= 0 && high >= 0) {
      return untested(
        claim,
        `the ends β = 0 and β = ${beta} are not shown to differ in diversity, so there is no line between them`,
      );
    }
    merges.push(...inner.map((merged) => ({ merged, ...ends })));
  }
  const heights = merges.map(({ merged, quality, diverse }) =>
    judged.estimate((mean) => {
      const run = mean(diverse, 'diversity') - mean(quality, 'diversity');
      const rise = mean(diverse, 'quality') - mean(quality, 'quality');
      const along = (mean(merged, 'diversity') - mean(quality, 'diversity')) / run;
      return mean(merged, 'quality') - (mean(quality, 'quality') + along * rise);
    }),
  );
  const names = merges.map(({ merged: { point } }, index) => {
    return `${difference(heights[index]!)} (β = ${point.parameters.beta}, λ = ${point.parameters.lambda})`;
  });
  const below = names.filter((_, index) => heights[index]!.interval[1] < 0);
  const above = names.filter((_, index) => heights[index]!.interval[0] > 0);
  return {
    claim,
    holds: below.length === 0,
    figures: {
      beta: merges.map(({ merged }) => merged.point.parameters.beta!),
      lambda: merges.map(({ merged }) => merged.point.parameters.lambda!),
      height: heights.map(({ value }) => value),
      low: heights.map(({ interval }) => interval[0]),
      high: heights.map(({ interval }) => interval[1]),
    },
    why:
      `Quality above the line, at the merge’s own diversity: ${list(names)}. ` +
      (below.length === 0
        ? `None is shown to lie below it; ${above.length} of ${merges.length} are shown to lie above.`
        : `Shown to lie below it: ${list(below)}.`),
  };
}
