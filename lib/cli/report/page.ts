import type { Report } from '../../evaluation/types.ts';
import type { Assets } from './assets.ts';
import type { PageData } from './data.ts';
import { type Html, html, scriptJson, scriptSource } from './html.ts';
import { claimsSection, headline, notesSection, runSection } from './sections.ts';
import { tableSection } from './table.ts';

/** Nothing may be loaded from anywhere: whatever the page needs is in it. */
const POLICY =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'";

/** The whole document. */
export function page(report: Report, data: PageData, assets: Assets): Html {
  const title = `Quality against diversity: ${report.task}`;
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
<nav aria-label="Sections"><a href="#front">The front</a> <a href="#gallery">Chords</a> <a href="#claims">Claims</a> <a href="#training">Training</a> <a href="#points">All generators</a> <a href="#run">The run</a></nav>
</header>
<main>
<noscript><p class="notes">The figures and the chords need JavaScript; the tables do not.</p></noscript>
${notesSection(report)}
${headline(report)}
${frontSection()}
${gallerySection(report, data)}
${claimsSection(report)}
${trainingSection(data)}
${tableSection(report)}
${runSection(report)}
</main>
<footer><p>Method: Cideron et al., <cite>Diversity-Rewarded CFG Distillation</cite>, arXiv 2410.06084. Figures are those of report.json, chords those of samples.json. Drawn with plotly.js and svguitar (both MIT).</p></footer>
<script type="application/json" id="data">${scriptJson(data)}</script>
${assets.libraries.map((source) => html`<script>${scriptSource(source)}</script>\n`)}${assets.scripts.map((source) => html`<script type="module">\n${scriptSource(source)}</script>\n`)}</body>
</html>
`;
}

function introduction(report: Report): Html {
  return html`<p class="lead"><b>Classifier-free guidance</b> (CFG) makes a generator follow its prompt better, but runs it twice for every token and makes its answers to one prompt alike. Here a model learned to give in <b>one pass</b> what guidance gives in two (<b>distillation</b>, β = 0), then was rewarded as well for answering one prompt in different ways (<b>diversity reward</b>, β &gt; 0). Averaging the weights of the two (<b>merging</b>, λ) moves between them with no further training. All were asked for ${report.heldOutPrompts} prompts that none had seen, ${report.samplesPerPrompt} times each.</p>`;
}

function frontSection(): Html {
  return html`<section id="front" aria-labelledby="front-title"><h2 id="front-title">Quality against diversity</h2>
<p>Each mark is one generator: a model and a way of drawing from it. <b>Higher</b> is more often right, <b>further right</b> is more varied. A generator on the <b>dashed front line</b> is beaten by no other in both at once. <b>Hollow</b> marks cost two passes per token, filled ones one; small marks have a sampling strategy on top. Click a mark to see its chords.</p>
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

function gallerySection(report: Report, data: PageData): Html {
  const { prompts, voicings } = data.gallery;
  if (prompts.length === 0) {
    return html`<section id="gallery"><h2>Chords</h2><p>There are no samples to show.</p></section>`;
  }
  const instruments = [...new Set(prompts.map((prompt) => prompt.instrument))];
  const options = instruments.map(
    (instrument) =>
      html`<optgroup label="${instrument}">${prompts.map((prompt, index) =>
        prompt.instrument === instrument ? html`<option value="${index}">${prompt.label}</option>` : null,
      )}</optgroup>`,
  );
  const others = report.points.map((point, index) =>
    voicings[index] === null ? null : html`<option value="${index}">${point.name}</option>`,
  );
  return html`<section id="gallery" aria-labelledby="gallery-title"><h2 id="gallery-title">What they answer</h2>
<p>Choose a prompt: each row shows what one generator drew for it, identical voicings once with how often they came, the valid ones first. So a <b>long row of valid chords</b> is what one wants; a short row is a generator that repeats itself. <span class="audible">Press a chord to hear it.</span></p>
<div class="controls"><span class="picker"><button type="button" id="gallery-previous" aria-label="Previous prompt">◀</button>
<label><span class="hidden">Prompt</span><select id="gallery-prompt">${options}</select></label>
<button type="button" id="gallery-next" aria-label="Next prompt">▶</button></span>
<label><input type="checkbox" id="gallery-group" checked> identical ones once</label>
<label><input type="checkbox" id="gallery-all"> show all</label>
<label><input type="checkbox" id="gallery-each"> every λ at once</label>
<label>Compare with <select id="gallery-other"><option value="">nothing else</option>${others}</select></label></div>
<div id="gallery-rows"></div></section>`;
}

function trainingSection(data: PageData): Html | null {
  if (data.training.length === 0) return null;
  return html`<section id="training" aria-labelledby="training-title"><h2 id="training-title">Training</h2>
<p>Every stage’s metrics by step. KL is per sequence, from the student to its guided teacher; where β &gt; 0 it is traded for diversity.</p>
<div id="training-plots"></div></section>`;
}
