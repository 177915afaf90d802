import type { Point, Report } from '../../evaluation/types.ts';
import { figureOfPasses } from './data.ts';
import { best } from './families.ts';
import { count, duration, figure, fixed } from './format.ts';
import { type Html, html } from './html.ts';

/** Remarks that must not be missed. */
export function notesSection(report: Report): Html | null {
  if (report.notes.length === 0) return null;
  return html`<aside class="notes" aria-label="Please note"><h2>Please note</h2>
${report.notes.map((note) => html`<p>${note}</p>\n`)}</aside>`;
}

/** The four generators that tell the story, as large figures. */
export function headline(report: Report): Html | null {
  const { points } = report;
  const base = points.find((point) => point.family === 'base');
  const among = (title: string, index: number) => ({ title, point: points[index] });
  const guided = points[best(points, (point) => (point.family === 'guidance' ? point.quality : Number.NaN))];
  const figures = [
    { title: 'Base model', point: base },
    { title: 'CFG at its best', point: guided },
    among(
      'Distilled, quality only',
      best(points, (point) => (point.family === 'distilled' && point.parameters.beta === 0 ? 0 : Number.NaN)),
    ),
    bestMerge(report),
  ].filter((entry): entry is { title: string; point: Point } => entry.point !== undefined);
  if (figures.length === 0) return null;
  return html`<div class="headline">${figures.map(({ title, point }) => tile(title, point, guided))}</div>`;
}

/** Where quality is a share of valid answers, the merge that gives most of them; else the one of the largest product. */
function bestMerge({ points, quality }: Report): { title: string; point: Point | undefined } {
  const score = (point: Point) => (quality === undefined ? point.distinctValid : point.quality * point.diversity);
  const index = best(points, (point) => (point.family === 'merged' ? score(point) : Number.NaN));
  const title = quality === undefined ? 'Merged, most distinct valid' : 'Merged, largest quality × diversity';
  return { title, point: points[index] };
}

function tile(title: string, point: Point, guided: Point | undefined): Html {
  const passes = figureOfPasses(point.passesPerToken);
  const trained = point.family === 'distilled' || point.family === 'merged';
  const speed = trained && guided !== undefined ? point.tokensPerSecond / guided.tokensPerSecond : Number.NaN;
  const relative = Number.isFinite(speed) ? `, ${fixed(speed, 1)}× CFG’s speed` : '';
  return html`<div class="tile" data-family="${point.family}"><h3>${title}</h3><p class="who">${point.name}</p>
<dl class="tile-figures"><div><dt>quality</dt><dd>${fixed(point.quality)}</dd></div><div><dt>diversity</dt><dd>${fixed(point.diversity)}</dd></div></dl>
<p class="cost">${passes} ${passes === '1' ? 'pass' : 'passes'} per token${relative}</p></div>`;
}

function figureList(figures: Record<string, number | number[]>): Html {
  return html`<dl class="figures">${Object.entries(figures).map(
    ([name, value]) => html`<div><dt>${name}</dt><dd>${figure(value)}</dd></div>`,
  )}</dl>`;
}

/** A pill that says whether something is as it should be. */
export function verdict(good: boolean, text: string, mark = good ? '✓' : '✗'): Html {
  return html`<span class="verdict ${good ? 'good' : 'bad'}"><span aria-hidden="true">${mark}</span> ${text}</span>`;
}

export function claimsSection(report: Report): Html {
  const rows = report.claims.map(
    ({ claim, holds, figures, why }) =>
      html`<tr><th scope="row">${claim}</th><td>${verdict(holds, holds ? 'holds' : 'does not hold')}</td><td>${figureList(figures)}</td><td>${why}</td></tr>\n`,
  );
  const signs = report.failureSigns.map(
    ({ sign, seen, figures }) =>
      html`<tr><th scope="row">${sign}</th><td>${verdict(!seen, seen ? 'seen' : 'not seen', seen ? '!' : '✓')}</td><td>${figureList(figures)}</td></tr>\n`,
  );
  return html`<section id="claims" aria-labelledby="claims-title"><h2 id="claims-title">The method’s claims, tested here</h2>
<p>Each is computed from the points above and their intervals on this one run; nothing is asserted beforehand.</p>
<div class="scroll"><table class="claims"><thead><tr><th>Claim</th><th>Verdict</th><th>Figures</th><th>Why</th></tr></thead><tbody>
${rows}</tbody></table></div>
<h3>Signs of failure</h3>
<div class="scroll"><table class="claims"><thead><tr><th>Sign</th><th>Verdict</th><th>Figures</th></tr></thead><tbody>
${signs}</tbody></table></div></section>`;
}

export function runSection(report: Report): Html {
  const stages = Object.entries(report.seconds);
  const finite = stages.map(([, seconds]) => (Number.isFinite(seconds) ? seconds : 0));
  const longest = Math.max(...finite, Number.MIN_VALUE);
  return html`<section id="run" aria-labelledby="run-title"><h2 id="run-title">The run</h2>
<div class="columns"><div><h3>Time, ${duration(finite.reduce((sum, seconds) => sum + seconds, 0))} in all</h3>
<table class="bars"><tbody>${stages.map(
    ([stage, seconds], index) =>
      html`<tr><th scope="row">${stage}</th><td class="bar" style="--share:${((finite[index]! / longest) * 100).toFixed(1)}%">${duration(seconds)}</td></tr>\n`,
  )}</tbody></table></div>
<div><h3>Setting</h3><dl class="setting">
<div><dt>Task</dt><dd>${report.task}</dd></div><div><dt>Seed</dt><dd>${report.seed}</dd></div>
<div><dt>Held-out prompts</dt><dd>${count(report.heldOutPrompts)}</dd></div>
<div><dt>Generations per prompt</dt><dd>${count(report.samplesPerPrompt)}</dd></div></dl>
${embedders(report)}</div></div></section>`;
}

/** How well each embedder tells held-out items apart, and the model of adherence where there is one. */
function embedders(report: Report): Html {
  const all = report.embedders ?? [];
  const adherence =
    report.adherence === undefined ? null : retrieval('Adherence', 'prompt and answer', report.adherence);
  if (all.length === 0) {
    const { retrievalAt1, candidates } = report.embedder;
    return html`<h3>The embedder behind “diversity”</h3>
<p>On held-out items it ranks the right partner first among ${count(candidates)} candidates in <strong>${share(retrievalAt1)}</strong> of cases; chance is ${share(1 / candidates)}. It was also the reward, so the table has a second diversity that nothing was rewarded for.</p>${adherence === null ? null : embedderTable([adherence])}`;
  }
  const roles = { rewarded: 'rewarded: behind “diversity”', independent: 'independent: never rewarded' };
  return html`<h3>The embedders</h3>
<p>How often each ranks the right partner of a held-out item first; an embedder that cannot do this does not measure diversity.</p>
${embedderTable([...all.map((embedder) => retrieval(embedder.name, roles[embedder.role], embedder)), adherence])}`;
}

function embedderTable(rows: readonly (Html | null)[]): Html {
  return html`<div class="scroll"><table class="embedders"><thead><tr><th>Embedder</th><th>Role</th><th>Right</th><th>Chance</th></tr></thead><tbody>
${rows}</tbody></table></div>`;
}

function retrieval(name: string, role: string, { retrievalAt1, candidates }: Report['embedder']): Html {
  return html`<tr><th scope="row">${name}</th><td>${role}</td><td><strong>${share(retrievalAt1)}</strong> of ${count(candidates)}</td><td>${share(1 / candidates)}</td></tr>\n`;
}

function share(value: number): string {
  return `${fixed(value * 100, 1)} %`;
}
