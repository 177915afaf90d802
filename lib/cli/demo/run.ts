import type { Report } from '../../evaluation/types.ts';
import { ChordTask } from '../../tasks/chords/index.ts';
import { CHORD_RECIPE, type ChordRecipe, QUICK_CHORD_RECIPE } from '../../tasks/chords/recipe.ts';
import { type ExperimentOptions, openExperiment } from '../experiment/experiment.ts';
import { distillAll, evaluateAll, mergeAll, trainBaseModel, trainEmbedder } from './pipeline.ts';
import { makeReport, writeReport } from './report-files.ts';

export interface DemoOptions extends ExperimentOptions {
  seed: number;
  /** The same path in some 20 seconds. */
  quick: boolean;
}

/**
 * The whole method on chord voicings: trains a base model and an embedder, distills, merges, evaluates and reports.
 * A folder that an interrupted run left is gone on with, on any device.
 *
 * @returns the content of report.json
 * Rejects with ValueError for a folder that holds something else, or a run with other settings.
 */
export async function runDemo({ seed, quick, ...options }: DemoOptions): Promise<Report> {
  const recipe: ChordRecipe = quick ? QUICK_CHORD_RECIPE : CHORD_RECIPE;
  const task = new ChordTask({ seed });
  const opened = await openExperiment(options, { kind: 'demo', task: task.name, seed, recipe });
  const experiment = { ...opened, task, recipe };
  const base = await trainBaseModel(experiment);
  const { embedder, retrieval } = await trainEmbedder(experiment);
  const distilled = await distillAll(experiment, base, embedder);
  const merged = await mergeAll(experiment);
  const judged = await evaluateAll(experiment, { base, distilled, merged }, embedder);
  const report = makeReport(experiment, judged, retrieval);
  await writeReport(experiment, judged, report);
  return report;
}
