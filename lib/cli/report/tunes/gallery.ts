import type { Report } from '../../../evaluation/types.ts';
import { qualityOf } from '../data.ts';
import { emptyGallery, type Gallery, type GalleryRows, otherPicker, promptPicker, rowsOf } from '../gallery.ts';
import { type Html, html } from '../html.ts';
import { packTunes, type TuneSamples } from './samples.ts';

/**
 * Tunes by prompt as piano rolls that can be played, one row per generator, with a slider along the merges and a map of
 * the prompt's tunes in the embedding.
 *
 * @param samples the content of `samples.json`; points without samples are left out
 */
export function tuneGallery(samples: TuneSamples): Gallery {
  return {
    answers: 'tunes',
    libraries: [],
    scripts: ['tunes/melody', 'tunes/roll', 'tunes/player', 'tunes/card', 'tunes/map', 'tunes/gallery'],
    styles: ['rows', 'tunes', 'map'],
    prepare: (report) => {
      const packed = packTunes(report, samples);
      const shown = packed.tunes.map((tunes) => tunes !== null);
      return {
        section: packed.prompts.length === 0 ? emptyGallery('Tunes') : section(report, samples, shown),
        data: { ...packed, ...tuneRows(report, shown) },
        shown,
      };
    },
  };
}

/** As few rows as tell the story: where a slider reaches a diverse model, those have no rows from the start. */
function tuneRows({ points }: Report, shown: readonly boolean[]): GalleryRows {
  const { rows, paths } = rowsOf(points, shown);
  const isDiverse = (index: number) => points[index]!.family === 'distilled' && points[index]!.parameters.beta !== 0;
  return { rows: paths.length === 0 ? rows : rows.filter((index) => !isDiverse(index)), paths };
}

function section(report: Report, { prompts }: TuneSamples, shown: readonly boolean[]): Html {
  const { name } = qualityOf(report);
  const options = prompts.map(({ text }, index) => html`<option value="${index}">${text}</option>`);
  return html`<section id="gallery" aria-labelledby="gallery-title"><h2 id="gallery-title">What they answer</h2>
<p>Choose a prompt: each row shows tunes that one generator wrote for it, as piano rolls. <b>Press play</b> to hear one, or press its roll to hear it from there; the slider moves from the model of quality to the model of diversity. With each tune stands its ${name}.</p>
<div class="controls">${promptPicker(options)}
${otherPicker(report.points, shown)}
<label><input type="checkbox" id="gallery-all"> all tunes of each</label>
<label class="tempo">Tempo <input type="range" id="gallery-tempo" min="40" max="200" step="5" value="110" aria-describedby="gallery-beats"> <output id="gallery-beats" for="gallery-tempo">110 beats a minute</output></label></div>
<ul class="roll-key"><li><span class="key-bar"></span>bar line</li><li><span class="key-tonic"></span>the key’s tonic</li><li><span class="key-outside"></span>note outside the scale</li><li><span class="key-uneven"></span>bar that is too short or too long</li></ul>
<div class="tunes"><div id="gallery-rows"></div>
<figure id="gallery-map"><figcaption><b>How alike they are.</b> Each mark is a tune, placed by the embedding (its two main directions): tunes that are close sound alike to it. Letters are the rows; dots are all other generators. Press a mark to hear it.</figcaption></figure></div></section>`;
}
