import { ValueError } from '../../errors.ts';
import type { Report } from '../../evaluation/types.ts';
import { LEAST_TUNES } from '../../tasks/tunes/held-out.ts';
import { QUICK_TUNE_RECIPE, TUNE_RECIPE, type TuneRecipe } from '../../tasks/tunes/recipe.ts';
import { TuneTask } from '../../tasks/tunes/task.ts';
import { type ExperimentOptions, openExperiment } from '../experiment/experiment.ts';
import { taskMetadata } from '../provenance.ts';
import { readTuneData, type TuneData } from '../tasks/tune-data.ts';
import {
  distillAll,
  evaluateAll,
  mergeAll,
  trainAdherence,
  trainAudioEmbedder,
  trainBaseModel,
  trainEmbedder,
} from './pipeline.ts';
import { evaluationPrompts } from './prompts.ts';
import { makeReport, writeReport } from './report-files.ts';

export interface TunesRunOptions extends ExperimentOptions {
  /** A file or folder of tunes. */
  data: string;
  seed: number;
  /** The same path in a minute or so, with figures that mean little. */
  quick: boolean;
}

/**
 * The whole method on a user's tunes: trains a base model, two embedders and the towers that judge adherence, distills,
 * merges, evaluates, and writes a report, and melodies to hear. A folder that an interrupted run left is gone on with.
 *
 * @returns the content of report.json
 * Rejects with ValueError for a folder that holds something else, or a run with other settings; as `readTunes` for data
 * that cannot be read.
 */
export async function runTunes({ data, seed, quick, ...options }: TunesRunOptions): Promise<Report> {
  const recipe: TuneRecipe = quick ? QUICK_TUNE_RECIPE : TUNE_RECIPE;
  const read = await readTuneData(data, options.signal);
  if (read.tunes.length < LEAST_TUNES) {
    throw new ValueError(
      `data: expected at least ${LEAST_TUNES} tunes in ${data}, some of them to be held out, got ${read.tunes.length}`,
      'data',
    );
  }
  const notes = remarks(read);
  for (const note of notes) options.log(note);
  const { tunes } = read;
  const task = new TuneTask({ tunes, seed });
  const vocabulary = JSON.stringify(task.vocabulary);
  const metadata = taskMetadata({ name: task.name, seed, vocabulary, data: read.data });
  const opened = await openExperiment(options, {
    kind: 'tunes',
    task: task.name,
    seed,
    data: read.data.digest,
    recipe,
  });
  const experiment = { ...opened, task, recipe, metadata };
  const base = await trainBaseModel(experiment);
  const embedder = await trainEmbedder(experiment);
  const audio = await trainAudioEmbedder(experiment);
  const adherence = await trainAdherence(experiment);
  const { distilled, offPolicy } = await distillAll(experiment, base, embedder.model);
  const merged = await mergeAll(experiment);
  const models = { base, distilled, offPolicy, merged };
  const prompts = evaluationPrompts(task, recipe.evaluationPrompts);
  const judges = { prompts, embedder, audio, adherence };
  const judged = await evaluateAll(experiment, models, judges);
  const report = makeReport(experiment, judged, judges, notes);
  await writeReport(experiment, judged, report, judges);
  return report;
}

/** What is to be said of the tunes that were read. */
function remarks({ data: { problems, items }, chosen }: TuneData): string[] {
  const [first] = problems;
  return [
    ...(first === undefined ? [] : [`Reading the tunes gave ${problems.length} remarks; the first: ${first}`]),
    ...(chosen === null
      ? []
      : [`The collection is small: ${chosen} of its ${items} tunes were held out, whatever split they had.`]),
  ];
}
