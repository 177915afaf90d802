import type { Report, RetrievalFigures } from '../evaluation/types.ts';
import {
  claimsText,
  HYPERVOLUME_TITLE,
  hypervolumesTable,
  MERGE_PATHS_TITLE,
  measuresTable,
  mergePathsText,
  pointsTable,
  signsText,
} from './points.ts';

export interface ReportTextOptions {
  /** What the seed decided, such as "split of seed 1". */
  seed: string;
  /** The last lines: where things are. */
  where: readonly string[];
}

/** A report for a terminal. */
export function reportText(report: Report, { seed, where }: ReportTextOptions): string {
  const { points, front, claims, failureSigns, notes, hypervolumes = [], mergePaths = [] } = report;
  const measures = measuresTable(points);
  const part = (title: string, text: string, has: boolean) => (has ? ['', title, text] : []);
  return [
    pointsTable(points),
    ...(measures ? [measures] : []),
    ...(report.quality ? [`Quality is ${report.quality.name}: ${report.quality.meaning}.`] : []),
    `${report.heldOutPrompts} held-out prompts, ${report.samplesPerPrompt} generations each, ${seed}.`,
    `On the front (nothing else is better in both): ${front.join(', ')}.`,
    ...retrievalLines(report),
    ...part(HYPERVOLUME_TITLE, hypervolumesTable(hypervolumes), hypervolumes.length > 0),
    ...part(MERGE_PATHS_TITLE, mergePathsText(mergePaths), mergePaths.length > 0),
    ...part('Claims of the method: does each hold here?', claimsText(claims), claims.length > 0),
    ...part('Signs of failure: is it seen?', signsText(failureSigns), failureSigns.length > 0),
    ...part('Notes', notes.map((note) => `  ${note}`).join('\n'), notes.length > 0),
    ...(where.length > 0 ? ['', ...where] : []),
  ].join('\n');
}

/** The stages' times in one line. */
export function secondsText(seconds: Report['seconds']): string {
  const stages = Object.entries(seconds);
  const total = stages.reduce((sum, [, own]) => sum + own, 0);
  return `Seconds: ${stages.map(([stage, own]) => `${stage} ${own.toFixed(1)}`).join(', ')}; total ${total.toFixed(1)}.`;
}

function retrievalLines({ embedder, embedders, adherence }: Report): string[] {
  const share = ({ retrievalAt1, candidates }: RetrievalFigures) =>
    `among ${candidates} in ${(100 * retrievalAt1).toFixed(1)} % of the cases`;
  const named = embedders ?? [{ name: null, role: 'rewarded' as const, ...embedder }];
  return [
    ...named.map(({ name, role, ...figures }) => {
      return `The ${role} embedder${name === null ? '' : ` (${name})`} finds a held-out item by its other view ${share(figures)}.`;
    }),
    ...(adherence ? [`The model of adherence finds a held-out item's prompt ${share(adherence)}.`] : []),
  ];
}
