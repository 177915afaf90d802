import { isDeepStrictEqual } from 'node:util';
import { ValueError } from '../../errors.ts';
import type { Report } from '../../evaluation/types.ts';
import { claimOutputFolder } from '../../files.ts';
import { ChordTask } from '../../tasks/chords/index.ts';
import { CHORD_RECIPE, type ChordRecipe, QUICK_CHORD_RECIPE } from '../../tasks/chords/recipe.ts';
import { DEFAULT_COMPUTE, type ModelPlacement } from '../placement.ts';
import type { Progress } from '../progress.ts';
import { distillAll, type Experiment, evaluateAll, mergeAll, trainBase, trainEmbedder } from './pipeline.ts';
import { makeReport, writeReport } from './report-files.ts';
import { Stages } from './stages.ts';

export interface DemoOptions {
  seed: number;
  output: string;
  /** The same path in some 20 seconds. */
  quick: boolean;
  placement: ModelPlacement;
  progress: Progress;
  log: (line: string) => void;
  signal: AbortSignal;
}

/**
 * The whole method on chord voicings: trains a base model and an embedder, distills, merges, evaluates and reports.
 * A folder that an interrupted run left is gone on with, on any device.
 *
 * @returns the content of report.json
 * Rejects with ValueError for a folder that holds something else, or a run with other settings.
 */
export async function runDemo(options: DemoOptions): Promise<Report> {
  const { seed, output, quick, placement, progress, log, signal } = options;
  const recipe: ChordRecipe = quick ? QUICK_CHORD_RECIPE : CHORD_RECIPE;
  const task = new ChordTask({ seed });
  const { compute } = placement;
  const marker = { kind: 'demo', task: task.name, seed, compute, recipe: JSON.parse(JSON.stringify(recipe)) };
  const found = await claimOutputFolder(output, marker);
  // Runs of earlier versions do not tell what they computed in.
  const earlier = found && { compute: DEFAULT_COMPUTE, ...found };
  if (earlier && !isDeepStrictEqual(earlier, marker)) {
    throw new ValueError(
      `output: ${output} holds a run with other settings (seed ${found.seed}, ${earlier.compute}); give another ` +
        '--output, or remove it',
      'output',
    );
  }
  const stages = new Stages(output, progress, log);
  const experiment: Experiment = { task, recipe, folder: output, placement, stages, signal };
  const base = await trainBase(experiment);
  const { embedder, retrieval } = await trainEmbedder(experiment);
  const distilled = await distillAll(experiment, base, embedder);
  const merged = await mergeAll(experiment);
  const judged = await evaluateAll(experiment, { base, distilled, merged }, embedder);
  const report = makeReport(experiment, judged, retrieval);
  await writeReport(experiment, judged, report);
  return report;
}
