import { ValueError } from '../../errors.ts';
import type { Family, Point, Report } from '../../evaluation/types.ts';
import { FAMILY_NAMES, familiesOf, isPlain, type Sweep, sweepsOf } from './families.ts';
import { count, figure, fixed, parameterText, shortLabel, withInterval, words } from './format.ts';
import type { GalleryContent } from './gallery.ts';

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
  /** What quality is, as a title of an axis. */
  quality: string;
  /** What the answers are called. */
  answers: string;
  /** By point, whether the gallery can show it. */
  shown: readonly boolean[];
  /** What the gallery's own scripts are given. */
  gallery: object;
  mergePaths: NonNullable<Report['mergePaths']>;
  training: { group: string; panels: CurvePanel[] }[];
}

/** What quality is where the report does not say. */
const SHARE_OF_VALID = { name: 'share of valid answers', meaning: 'the share of the answers that are right by rule' };

/** What quality is: its name, which follows "quality:", and its meaning. */
export function qualityOf(report: Report): NonNullable<Report['quality']> {
  return report.quality ?? SHARE_OF_VALID;
}

/**
 * Everything that the page's script needs, from a report and its gallery.
 *
 * @throws ValueError when two points share a name, or the front names no point
 */
export function pageData(report: Report, answers: string, gallery: GalleryContent): PageData {
  const { points } = report;
  const indices = indicesOf(report);
  return {
    points: points.map(pagePoint),
    families: familiesOf(points),
    sweeps: sweepsOf(points),
    front: report.front.map((name) => {
      const index = indices.get(name);
      if (index === undefined) {
        throw new ValueError(`report.front: expected names of points, got ${JSON.stringify(name)}`, 'front');
      }
      return index;
    }),
    quality: qualityOf(report).name,
    answers,
    shown: gallery.shown,
    gallery: gallery.data,
    mergePaths: report.mergePaths ?? [],
    training: trainingPanels(report),
  };
}

/** @throws ValueError when two points share a name */
export function indicesOf({ points }: Report): Map<string, number> {
  const indices = new Map(points.map((point, index) => [point.name, index]));
  if (indices.size < points.length) {
    const twice = points.find((point, index) => indices.get(point.name) !== index)!;
    throw new ValueError(`report.points: expected unique names, got ${JSON.stringify(twice.name)} twice`, 'points');
  }
  return indices;
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
    ...Object.entries(point.measures ?? {}).map(([name, value]): [string, string] => [words(name), figure(value)]),
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
