import type { Report } from '../../evaluation/types.ts';
import type { Assets } from './assets.ts';
import { type PageData, qualityOf } from './data.ts';
import type { Gallery, GalleryContent } from './gallery.ts';
import { type Html, html, scriptJson, scriptSource } from './html.ts';
import { areasSection, mergingSection, rolloutsSection } from './merging.ts';
import { claimsSection, headline, notesSection, runSection } from './sections.ts';
import { tableSection } from './table.ts';

/** Nothing may be loaded from anywhere: whatever the page needs is in it. */
const POLICY =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'";

/** What fills the page. */
export interface PageContent {
  gallery: Pick<Gallery, 'answers' | 'libraries'>;
  content: GalleryContent;
  data: PageData;
}

/** The whole document. */
export function page(report: Report, { gallery, content, data }: PageContent, assets: Assets): Html {
  const title = `Quality against diversity: ${report.task}`;
  const { answers } = gallery;
  const sections: [id: string, name: string, content: Html | null][] = [
    ['front', 'The front', frontSection(report, answers)],
    ['gallery', answers[0]!.toUpperCase() + answers.slice(1), content.section],
    ['merging', 'Merging', mergingSection(report)],
    ['areas', 'Areas', areasSection(report)],
    ['claims', 'Claims', claimsSection(report)],
    ['rollouts', 'Rollouts', rolloutsSection(report)],
    ['training', 'Training', trainingSection(data)],
    ['points', 'All generators', tableSection(report, answers)],
    ['run', 'The run', runSection(report)],
  ];
  const present = sections.filter(([, , section]) => section !== null);
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>
${assets.style}
</style>
</head>
<body>
<header>
<p class="kicker">Diversity-rewarded CFG distillation · ${report.task}</p>
<h1>One pass, one number to choose between quality and diversity</h1>
${introduction(report)}
<nav aria-label="Sections">${present.map(([id, name]) => html`<a href="#${id}">${name}</a> `)}</nav>
</header>
<main>
<noscript><p class="notes">The figures and the ${answers} need JavaScript; the tables do not.</p></noscript>
${notesSection(report)}
${headline(report)}
${present.map(([, , section]) => html`${section}\n`)}</main>
<footer><p>Method: Cideron et al., <cite>Diversity-Rewarded CFG Distillation</cite>, arXiv 2410.06084. Figures are those of report.json, ${answers} those of samples.json. ${credits(gallery.libraries)}</p></footer>
<script type="application/json" id="data">${scriptJson(data)}</script>
${assets.libraries.map((source) => html`<script>${scriptSource(source)}</script>\n`)}${assets.scripts.map((source) => html`<script type="module">\n${scriptSource(source)}</script>\n`)}</body>
</html>
`;
}

function credits(libraries: readonly string[]): string {
  if (libraries.length === 0) return 'Drawn with plotly.js (MIT).';
  return `Drawn with plotly.js and ${libraries.join(', ')} (all MIT).`;
}

function introduction(report: Report): Html {
  return html`<p class="lead"><b>Classifier-free guidance</b> (CFG) makes a generator follow its prompt better, but runs it twice for every token and makes its answers to one prompt alike. Here a model learned to give in <b>one pass</b> what guidance gives in two (<b>distillation</b>, β = 0), then was rewarded as well for answering one prompt in different ways (<b>diversity reward</b>, β &gt; 0). Averaging the weights of the two (<b>merging</b>, λ) moves between them with no further training. All were asked for the same ${report.heldOutPrompts} held-out prompts, ${report.samplesPerPrompt} times each.</p>`;
}

function frontSection(report: Report, answers: string): Html {
  const { name, meaning } = qualityOf(report);
  const higher =
    report.quality === undefined
      ? html`<b>Higher</b> is more often right`
      : html`<b>Higher</b> is better in ${name} (${meaning})`;
  return html`<section id="front" aria-labelledby="front-title"><h2 id="front-title">Quality against diversity</h2>
<p>Each mark is one generator: a model and a way of drawing from it. ${higher}, <b>further right</b> is more varied. A generator on the <b>dashed front line</b> is beaten by no other in both at once. <b>Hollow</b> marks cost two passes per token, filled ones one; small marks have a sampling strategy on top. Click a mark to see its ${answers}.</p>
<div class="controls"><label>Across: <select id="front-axis">
<option value="diversity">diversity (embedder, rewarded)</option>
<option value="independentDiversity">independent diversity (not rewarded)</option>
<option value="distinctValid">distinct valid answers per prompt</option></select></label>
<label><input type="checkbox" id="front-intervals" checked> 95 % intervals</label>
<label><input type="checkbox" id="front-labels" checked> labels</label>
<label><input type="checkbox" id="front-strategies" checked> strategies on top</label></div>
<div class="legend" id="front-legend" role="group" aria-label="Families shown"></div>
<div id="front-plot" class="plot" role="img" aria-label="Scatter plot of quality against diversity; all figures are in the table of all generators"></div>
<p class="hint" id="front-hint" aria-live="polite"></p></section>`;
}

function trainingSection(data: PageData): Html | null {
  if (data.training.length === 0) return null;
  return html`<section id="training" aria-labelledby="training-title"><h2 id="training-title">Training</h2>
<p>Every stage’s metrics by step. KL is per sequence, from the student to its guided teacher; where β &gt; 0 it is traded for diversity.</p>
<div id="training-plots"></div></section>`;
}
