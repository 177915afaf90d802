import type { Report } from '../../evaluation/types.ts';
import { FAMILY_NAMES } from './families.ts';
import { fixed, withInterval } from './format.ts';
import { type Html, html } from './html.ts';
import { verdict } from './sections.ts';

/** Quality and diversity along λ, as plots, and where merging costs quality, as a table. */
export function mergingSection(report: Report): Html | null {
  const paths = report.mergePaths ?? [];
  if (paths.length === 0) return null;
  const rows = paths.map(({ beta, barrier, quality }) => {
    const ends = `${fixed(quality[0] ?? Number.NaN)} and ${fixed(quality.at(-1) ?? Number.NaN)}`;
    return html`<tr><th scope="row">β 0 to β ${beta}</th><td>${ends}</td><td>${fixed(barrier.lambda)}</td><td>${withInterval(barrier.depth, barrier.interval)}</td><td>${verdict(!barrier.seen, barrier.seen ? 'barrier seen' : 'no barrier seen', barrier.seen ? '!' : '✓')}</td></tr>\n`;
  });
  return html`<section id="merging" aria-labelledby="merging-title"><h2 id="merging-title">Along the merges</h2>
<p>λ = 0 is the model distilled for quality alone, λ = 1 the one rewarded for diversity; between them are averages of their weights. Shaded are 95 % intervals. Merging works where quality does not fall below both ends: the <b>barrier</b> is how far the worst average lies below the lower end, less than 0 where all lie above it.</p>
<div class="merge-plots">${paths.map(
    ({ beta }, path) =>
      html`<figure><figcaption>Quality, β 0 to β ${beta}</figcaption><div class="plot" role="img" data-path="${path}" data-figure="quality" aria-label="Quality by interpolation weight λ"></div></figure><figure><figcaption>Diversity, β 0 to β ${beta}</figcaption><div class="plot" role="img" data-path="${path}" data-figure="diversity" aria-label="Diversity by interpolation weight λ"></div></figure>\n`,
  )}</div>
<div class="scroll"><table class="barriers"><thead><tr><th>Path</th><th>Quality of the ends</th><th>Worst λ</th><th>Barrier</th><th>Verdict</th></tr></thead><tbody>
${rows}</tbody></table></div></section>`;
}

/** The area that each family dominates in the plane of diversity and quality. */
export function areasSection(report: Report): Html | null {
  const volumes = report.hypervolumes ?? [];
  if (volumes.length === 0) return null;
  const largest = Math.max(...volumes.map(({ value }) => value).filter(Number.isFinite), Number.MIN_VALUE);
  const rows = volumes.map(({ family, value, interval, points }) => {
    const share = Number.isFinite(value) ? (value / largest) * 100 : 0;
    const name = family === 'all' ? 'All together' : FAMILY_NAMES[family];
    return html`<tr data-family="${family}"><th scope="row">${name}</th><td class="bar area" style="--share:${share.toFixed(1)}%"><b>${fixed(value, 3)}</b> <small>${fixed(interval[0], 3)}–${fixed(interval[1], 3)}</small></td><td class="number">${points}</td></tr>\n`;
  });
  return html`<section id="areas" aria-labelledby="areas-title"><h2 id="areas-title">How much each family reaches</h2>
<p>The area of the figure above that lies below and to the left of some generator of the family (its <b>hypervolume</b>, from the origin): one number for a whole set of choices between quality and diversity; more generators can only reach more. Small figures are 95 % intervals, by bootstrap over the prompts.</p>
<table class="bars areas"><thead><tr><th scope="col">Family</th><th scope="col">Area</th><th scope="col">Generators</th></tr></thead><tbody>
${rows}</tbody></table></section>`;
}

/** Models that differ in who wrote the rollouts that they were distilled on. */
export function rolloutsSection(report: Report): Html | null {
  const rollouts = (report.rollouts ?? []).flatMap(({ source, point: name }) => {
    const point = report.points.find((other) => other.name === name);
    return point === undefined ? [] : [{ source, point }];
  });
  if (rollouts.length === 0) return null;
  const rows = rollouts.map(
    ({ source, point }) =>
      html`<tr data-family="${point.family}"><th scope="row">${source === 'student' ? 'The student itself' : 'The teacher'}</th><td>${point.name}</td><td>${withInterval(point.quality, point.interval.quality)}</td><td>${withInterval(point.diversity, point.interval.diversity)}</td><td>${fixed(point.independentDiversity)}</td></tr>\n`,
  );
  return html`<section id="rollouts" aria-labelledby="rollouts-title"><h2 id="rollouts-title">Who wrote what was learned from</h2>
<p>Distillation lets the student write and the guided teacher correct it (<b>on-policy</b>). These models differ only in that: the others were taught on what the teacher had written, and meet their own mistakes only when they are used.</p>
<div class="scroll"><table class="rollouts"><thead><tr><th>Written by</th><th>Generator</th><th>Quality</th><th>Diversity</th><th>Independent diversity</th></tr></thead><tbody>
${rows}</tbody></table></div></section>`;
}
