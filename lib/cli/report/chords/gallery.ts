import type { Report } from '../../../evaluation/types.ts';
import { emptyGallery, type Gallery, otherPicker, promptPicker, rowsOf } from '../gallery.ts';
import { type Html, html } from '../html.ts';
import { type ChordJudge, type ChordSamples, packSamples } from './samples.ts';

/** Options of the gallery that the samples themselves do not hold. */
export interface ChordOptions {
  isValid: ChordJudge;
  /** MIDI pitches of the open strings by instrument; without it voicings cannot be heard. */
  tunings?: Readonly<Record<string, readonly number[]>>;
}

/**
 * Chord diagrams by prompt, one row per generator, with a slider along the merges.
 *
 * @param samples the content of `samples.json`; points without samples are left out
 * @param options `isValid` judges each voicing; `tunings` (MIDI pitches of the open strings by instrument) lets readers
 *   hear them
 */
export function chordGallery(samples: ChordSamples, options: ChordOptions): Gallery {
  return {
    answers: 'chords',
    libraries: ['svguitar'],
    scripts: ['chords/chord', 'chords/strum', 'chords/gallery'],
    styles: ['rows', 'chords'],
    prepare: (report) => {
      const voicings = packSamples(report, samples, options.isValid);
      const shown = voicings.map((packed) => packed !== null);
      const prompts = samples.prompts.map(({ key, suffix, instrument }) => ({
        label: `${key} ${suffix}, ${instrument}`,
        instrument,
      }));
      return {
        section: prompts.length === 0 ? emptyGallery('Chords') : section(report, prompts, shown),
        data: { prompts, voicings, ...rowsOf(report.points, shown), tunings: Object.entries(options.tunings ?? {}) },
        shown,
      };
    },
  };
}

function section(
  report: Report,
  prompts: readonly { label: string; instrument: string }[],
  shown: readonly boolean[],
): Html {
  const instruments = [...new Set(prompts.map((prompt) => prompt.instrument))];
  const options = instruments.map(
    (instrument) =>
      html`<optgroup label="${instrument}">${prompts.map((prompt, index) =>
        prompt.instrument === instrument ? html`<option value="${index}">${prompt.label}</option>` : null,
      )}</optgroup>`,
  );
  return html`<section id="gallery" aria-labelledby="gallery-title"><h2 id="gallery-title">What they answer</h2>
<p>Choose a prompt: each row shows what one generator drew for it, identical voicings once with how often they came, the valid ones first. So a <b>long row of valid chords</b> is what one wants; a short row is a generator that repeats itself. <span class="audible">Press a chord to hear it.</span></p>
<div class="controls">${promptPicker(options)}
<label><input type="checkbox" id="gallery-group" checked> identical ones once</label>
<label><input type="checkbox" id="gallery-all"> show all</label>
<label><input type="checkbox" id="gallery-each"> every λ at once</label>
${otherPicker(report.points, shown)}</div>
<div id="gallery-rows"></div></section>`;
}
