import type { Report } from '../../evaluation/types.ts';
import { loadAssets } from './assets.ts';
import { type ChordOptions, pageData } from './data.ts';
import { page } from './page.ts';
import type { ChordSamples } from './samples.ts';

export type { ChordOptions } from './data.ts';
export type { ChordJudge, ChordPrompt, ChordSamples } from './samples.ts';

/**
 * The report as one HTML document that needs nothing beside itself: the front as a plot, the claims, the voicings that
 * every generator drew for any prompt, the training curves and all figures. It loads nothing (its content security
 * policy forbids it) and opens from a file.
 *
 * @param report the content of `report.json`
 * @param samples the content of `samples.json`; points without samples are left out of the gallery
 * @param options `isValid` judges each voicing; `tunings` (MIDI pitches of the open strings by instrument) lets
 *   readers hear them
 * @returns the document's text
 * @throws ValueError when two points share a name, when the front or the samples name no point, or a fret is no integer
 *   from −2 to 32
 * @throws ShapeError when a point's samples are not one list per prompt
 */
export async function renderReport(report: Report, samples: ChordSamples, options: ChordOptions): Promise<string> {
  const data = pageData(report, samples, options);
  return page(report, data, await loadAssets()).text;
}
