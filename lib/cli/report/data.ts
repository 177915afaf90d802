import { ValueError } from '../../errors.ts';
import type { Family, Point, Report } from '../../evaluation/types.ts';
import {
  FAMILY_NAMES,
  familiesOf,
  galleryRows,
  isPlain,
  type MergePath,
  mergePaths,
  type Sweep,
  sweepsOf,
} from './families.ts';
import { count, fixed, parameterText, shortLabel, withInterval } from './format.ts';
import { type ChordJudge, type ChordSamples, packSamples } from './samples.ts';

/** A point as the page's script wants it; figures that are not finite reach it as null. */
export interface PagePoint extends Omit<Point, 'parameters'> {
  /** Short label in the figure. */
  label: string;
  plain: boolean;
  /** What hovering shows, as [name, value]. */
  facts: [name: string, value: string][];
}

/** One panel of training curves: a metric of one or more stages. */
export interface CurvePanel {
  metric: string;
  lines: { stage: string; step: number[]; values: number[] }[];
}

/** What the page's script is given. All indices are into `points`. */
export interface PageData {
  points: PagePoint[];
  families: { family: Family; name: string }[];
  sweeps: Sweep[];
  front: number[];
  gallery: {
    prompts: { label: string; instrument: string }[];
    /** [point][prompt]: packed voicings. */
    voicings: (string[] | null)[];
    /** Generators shown from the start, besides the merge path. */
    rows: number[];
    paths: MergePath[];
    /** MIDI pitches of the open strings by instrument, for playing a voicing. */
    tunings: [instrument: string, pitches: readonly number[]][];
  };
  training: { group: string; panels: CurvePanel[] }[];
}

/** Options of the page's data that the report itself does not hold. */
export interface ChordOptions {
  isValid: ChordJudge;
  /** MIDI pitches of the open strings by instrument; without it voicings cannot be heard. */
  tunings?: Readonly<Record<string, readonly number[]>>;
}

/**
 * Everything that the page's script needs, from a report and its samples.
 *
 * @throws ValueError when two points share a name, or the front names no point
 * @throws ValueError or ShapeError when the samples do not belong to the report
 */
export function pageData(report: Report, samples: ChordSamples, options: ChordOptions): PageData {
  const { points } = report;
  const indices = new Map(points.map((point, index) => [point.name, index]));
  if (indices.size < points.length) {
    const twice = points.find((point, index) => indices.get(point.name) !== index)!;
    throw new ValueError(`report.points: expected unique names, got ${JSON.stringify(twice.name)} twice`, 'points');
  }
  const front = report.front.map((name) => {
    const index = indices.get(name);
    if (index === undefined) {
      throw new ValueError(`report.front: expected names of points, got ${JSON.stringify(name)}`, 'front');
    }
    return index;
  });
  const voicings = packSamples(report, samples, options.isValid);
  const tunings = Object.entries(options.tunings ?? {});
  return {
    points: points.map(pagePoint),
    families: familiesOf(points),
    sweeps: sweepsOf(points),
    front,
    gallery: {
      prompts: samples.prompts.map((prompt) => ({
        label: `${prompt.key} ${prompt.suffix}, ${prompt.instrument}`,
        instrument: prompt.instrument,
      })),
      voicings,
      rows: galleryRows(points).filter((index) => voicings[index] !== null),
      paths: mergePaths(points)
        .map((path) => ({ ...path, stops: path.stops.filter(({ point }) => voicings[point] !== null) }))
        .filter((path) => path.stops.length > 0),
      tunings,
    },
    training: trainingPanels(report),
  };
}

function pagePoint(point: Point): PagePoint {
  const { parameters, ...figures } = point;
  const facts: [string, string][] = [
    ['family', FAMILY_NAMES[point.family]],
    ['quality', withInterval(point.quality, point.interval.quality)],
    ['diversity', withInterval(point.diversity, point.interval.diversity)],
    ['independent diversity', fixed(point.independentDiversity)],
    ['distinct valid', fixed(point.distinctValid)],
    ['passes per token', figureOfPasses(point.passesPerToken)],
    ['tokens/s', count(point.tokensPerSecond)],
  ];
  const text = parameterText(parameters);
  if (text !== '') facts.splice(1, 0, ['parameters', text]);
  return { ...figures, label: shortLabel(point), plain: isPlain(point), facts };
}

/** Passes per token, without decimals that say nothing. */
export function figureOfPasses(passes: number): string {
  return Number.isInteger(passes) ? String(passes) : fixed(passes);
}

/** Stages that differ only in a trailing number (the distillations, by β) share their panels. */
function trainingPanels(report: Report): PageData['training'] {
  const groups = new Map<string, Map<string, CurvePanel>>();
  for (const [stage, { step, metrics }] of Object.entries(report.training)) {
    const group = stage.replace(/[\s_-]*(?:β|beta)?[\s_=-]*\d+(?:\.\d+)?$/iu, '') || stage;
    const panels = groups.get(group) ?? new Map<string, CurvePanel>();
    groups.set(group, panels);
    for (const [metric, values] of Object.entries(metrics)) {
      const panel = panels.get(metric) ?? { metric, lines: [] };
      panels.set(metric, panel);
      panel.lines.push({ stage, step, values });
    }
  }
  return [...groups].map(([group, panels]) => ({ group, panels: [...panels.values()] }));
}
