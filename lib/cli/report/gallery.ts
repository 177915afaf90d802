import { ShapeError, ValueError } from '../../errors.ts';
import type { Point, Report } from '../../evaluation/types.ts';
import type { MergePath } from './families.ts';
import { galleryRows, mergePaths } from './families.ts';
import { type Html, html } from './html.ts';

/** What a task shows of its generators' answers, and how it calls them. */
export interface Gallery {
  /** The answers, in the plural and in small letters: 'chords'. */
  readonly answers: string;
  /** Packages that are put into the page; all MIT. */
  readonly libraries: readonly string[];
  /** Its scripts under client/, in the order in which they run, after the page's first one. */
  readonly scripts: readonly string[];
  /** Its styles under style/. */
  readonly styles: readonly string[];
  /** @throws ValueError or ShapeError when the samples do not belong to the report */
  prepare(report: Report): GalleryContent;
}

/** A gallery filled with the samples of a report. */
export interface GalleryContent {
  /** The section with id 'gallery'. */
  readonly section: Html;
  /** What its scripts find as `data.gallery`. */
  readonly data: object;
  /** By point, whether there are answers of it. */
  readonly shown: readonly boolean[];
}

/** Generators that are shown from the start, and those that a slider chooses from. */
export interface GalleryRows {
  rows: number[];
  paths: MergePath[];
}

/** The rows of a gallery, without points that have no samples. */
export function rowsOf(points: readonly Point[], shown: readonly boolean[]): GalleryRows {
  return {
    rows: galleryRows(points).filter((index) => shown[index]),
    paths: mergePaths(points)
      .map((path) => ({ ...path, stops: path.stops.filter(({ point }) => shown[point]) }))
      .filter((path) => path.stops.length > 0),
  };
}

/**
 * Every point's samples, in the order of the points; null for a point without.
 *
 * @param models by point name, one entry per prompt
 * @throws ValueError when samples are named after no point
 * @throws ShapeError when a point's samples are not one list per prompt
 */
export function samplesByPoint<T>(
  report: Report,
  models: Readonly<Record<string, readonly T[]>>,
  prompts: number,
): ({ argument: string; perPrompt: readonly T[] } | null)[] {
  const known = new Set(report.points.map((point) => point.name));
  const byName = new Map(Object.entries(models));
  for (const name of byName.keys()) {
    if (!known.has(name)) {
      throw new ValueError(`samples.models: expected names of points, got ${JSON.stringify(name)}`, 'samples.models');
    }
  }
  return report.points.map(({ name }) => {
    const perPrompt = byName.get(name);
    if (perPrompt === undefined) return null;
    const argument = `samples.models[${JSON.stringify(name)}]`;
    if (perPrompt.length !== prompts) {
      throw new ShapeError(
        `${argument}: expected one list for each of ${prompts} prompts, got ${perPrompt.length}`,
        argument,
      );
    }
    return { argument, perPrompt };
  });
}

/** The section of a gallery without prompts. */
export function emptyGallery(title: string): Html {
  return html`<section id="gallery"><h2>${title}</h2><p>There are no samples to show.</p></section>`;
}

/** The control that chooses the prompt, with buttons to the one before and after. */
export function promptPicker(options: Html | readonly Html[]): Html {
  return html`<span class="picker"><button type="button" id="gallery-previous" aria-label="Previous prompt">◀</button>
<label><span class="hidden">Prompt</span><select id="gallery-prompt">${options}</select></label>
<button type="button" id="gallery-next" aria-label="Next prompt">▶</button></span>`;
}

/** The control that adds any point's row. */
export function otherPicker(points: readonly Point[], shown: readonly boolean[]): Html {
  const others = points.map((point, index) =>
    shown[index] ? html`<option value="${index}">${point.name}</option>` : null,
  );
  return html`<label>Compare with <select id="gallery-other"><option value="">nothing else</option>${others}</select></label>`;
}
