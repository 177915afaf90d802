import { join } from 'node:path';
import type { Evaluation } from '../../evaluation/evaluate.ts';
import { findings } from '../../evaluation/findings.ts';
import { paretoFront } from '../../evaluation/pareto.ts';
import type { Report } from '../../evaluation/types.ts';
import { writeFileAtomic } from '../../files.ts';
import { Random } from '../../random.ts';
import { type ChordTask, loadChordDatabase, TUNINGS } from '../../tasks/chords/index.ts';
import type { Retrieval } from '../experiment/encoder-stage.ts';
import { klCurves } from '../experiment/evaluation-stage.ts';
import { type ChordSamples, chordGallery, renderReport } from '../report/index.ts';
import { type ChordExperiment, distilledName } from './pipeline.ts';

/** Names of what a demo leaves behind, besides its checkpoints. */
export const REPORT_FILES = { report: 'report.json', samples: 'samples.json', page: 'report.html' } as const;

/** Computes the report of an experiment. */
export function makeReport(
  { task, recipe, stages }: ChordExperiment,
  judged: readonly Evaluation[],
  embedder: Retrieval,
): Report {
  const points = judged.map(({ point }) => point);
  const distillations = recipe.distill.betas.map((beta) => ({ beta, name: distilledName(beta) }));
  const { notes, rollouts, ...found } = findings(judged, klCurves(stages.curves, distillations), {
    teacherScale: recipe.distill.scale,
    random: new Random(task.seed).fork('claims'),
  });
  const share = Math.round(100 * task.captionNoise);
  return {
    schema: 1,
    task: task.name,
    seed: task.seed,
    heldOutPrompts: task.heldOutPrompts.length,
    samplesPerPrompt: recipe.samplesPerPrompt,
    points,
    front: paretoFront(points).map(({ name }) => name),
    ...found,
    ...(rollouts.length > 0 && { rollouts }),
    embedder,
    seconds: { ...stages.seconds },
    notes: [
      `${share} % of the training captions are corrupted on purpose: ${task.corruptedRows} of ${task.trainingRows.length} were ` +
        "replaced by another row's. With clean captions this small task is learned so well that guidance only hurts. " +
        'Wrong captions, as data collected from the web has them, put the experiment where guidance is used: a base ' +
        'model that follows its prompt loosely.',
      'Quality is the share of valid voicings by rule: chord tones only, every core tone, a stretch of at most four ' +
        `frets. Of the chord database's own voicings ${databaseShare(task)} % pass this rule.`,
      'Diversity is measured by the embedder that the trained models were rewarded by; the independent diversity, the ' +
        'share of strings that differ, was never rewarded.',
      ...notes,
    ],
    training: { ...stages.curves },
  };
}

/** Writes report.json, samples.json and report.html, each atomically. */
export async function writeReport(
  { task, folder }: ChordExperiment,
  judged: readonly Evaluation[],
  report: Report,
): Promise<void> {
  const fretsOf = (p: number, tokens: Int32Array) =>
    task.toFrets(task.heldOutPrompts[p] as (typeof task.heldOutPrompts)[number], tokens);
  const samples: ChordSamples = {
    prompts: task.heldOutPrompts.map(({ instrument, key, suffix }) => ({ instrument, key, suffix })),
    models: Object.fromEntries(
      judged.map(({ point, generations }) => [
        point.name,
        generations.map((drawn, p) => drawn.map((tokens) => fretsOf(p, tokens))),
      ]),
    ),
  };
  const gallery = chordGallery(samples, {
    isValid: (prompt, frets) => task.isValid(prompt as (typeof task.heldOutPrompts)[number], frets),
    tunings: TUNINGS,
  });
  const page = await renderReport(report, gallery);
  await writeFileAtomic(join(folder, REPORT_FILES.samples), JSON.stringify(samples));
  await writeFileAtomic(join(folder, REPORT_FILES.report), JSON.stringify(report, null, 2));
  await writeFileAtomic(join(folder, REPORT_FILES.page), page);
}

/** Percentage of the database's voicings that are valid by the rule that judges the models. */
function databaseShare(task: ChordTask): string {
  const { voicings } = loadChordDatabase();
  const valid = voicings.filter(({ prompt, frets }) => task.isValid(prompt, frets));
  return ((100 * valid.length) / voicings.length).toFixed(0);
}
