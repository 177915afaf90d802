import type { Report } from '../../evaluation/types.ts';
import { loadAssets } from './assets.ts';
import { indicesOf, pageData } from './data.ts';
import type { Gallery } from './gallery.ts';
import { page } from './page.ts';

export { type ChordOptions, chordGallery } from './chords/gallery.ts';
export type { ChordJudge, ChordPrompt, ChordSamples } from './chords/samples.ts';
export type { Gallery, GalleryContent } from './gallery.ts';
export { tuneGallery } from './tunes/gallery.ts';
export type { TuneSample, TuneSamples } from './tunes/samples.ts';

/**
 * The report as one HTML document that needs nothing beside itself: the front as a plot, the claims, what every generator
 * answered to any prompt, the training curves and all figures. It loads nothing (its content security policy forbids it)
 * and opens from a file.
 *
 * @param report the content of `report.json`
 * @param gallery how the task's answers are shown: {@link chordGallery} or {@link tuneGallery} of `samples.json`
 * @returns the document's text
 * @throws ValueError when two points share a name, when the front or the samples name no point, or a sample is none of its
 *   task
 * @throws ShapeError when a point's samples are not one list per prompt
 */
export async function renderReport(report: Report, gallery: Gallery): Promise<string> {
  indicesOf(report);
  const content = gallery.prepare(report);
  const data = pageData(report, gallery.answers, content);
  return page(report, { gallery, content, data }, await loadAssets(gallery)).text;
}
