import { ValueError } from '../../errors.ts';
import type { Report } from '../../evaluation/types.ts';
import { claimOutputFolder } from '../../files.ts';
import { ChordTask } from '../../tasks/chords/index.ts';
import { CHORD_RECIPE, type ChordRecipe, QUICK_CHORD_RECIPE } from '../../tasks/chords/recipe.ts';
import type { Progress } from '../progress.ts';
import { distillAll, type Experiment, evaluateAll, mergeAll, trainBase, trainEmbedder } from './pipeline.ts';
import { makeReport, writeReport } from './report-files.ts';
import { Stages } from './stages.ts';

export interface DemoOptions {
  seed: number;
  output: string;
  /** The same path in some 20 seconds. */
  quick: boolean;
  progress: Progress;
  log: (line: string) => void;
  signal: AbortSignal;
}

/**
 * The whole method on chord voicings: trains a base model and an embedder, distills, merges, evaluates and reports.
 * A folder that an interrupted run left is gone on with.
 *
 * @returns the content of report.json
 * Rejects with ValueError for a folder that holds something else, or a run with another seed.
 */
export async function runDemo({ seed, output, quick, progress, log, signal }: DemoOptions): Promise<Report> {
  const recipe: ChordRecipe = quick ? QUICK_CHORD_RECIPE : CHORD_RECIPE;
  const task = new ChordTask({ seed });
  const marker = { kind: 'demo', task: task.name, seed, recipe: JSON.parse(JSON.stringify(recipe)) };
  const found = await claimOutputFolder(output, marker);
  if (found && JSON.stringify({ ...found }) !== JSON.stringify(marker)) {
    throw new ValueError(
      `output: ${output} holds a run with other settings (seed ${found.seed}); give another --output, or remove it`,
      'output',
    );
  }
  const stages = new Stages(output, progress, log);
  const experiment: Experiment = { task, recipe, folder: output, stages, signal };
  const base = await trainBase(experiment);
  const { embedder, retrieval } = await trainEmbedder(experiment);
  const distilled = await distillAll(experiment, base, embedder);
  const merged = await mergeAll(experiment);
  const judged = await evaluateAll(experiment, { base, distilled, merged }, embedder);
  const report = makeReport(experiment, judged, retrieval);
  await writeReport(experiment, judged, report);
  return report;
}
