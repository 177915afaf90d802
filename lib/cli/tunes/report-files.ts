import { join } from 'node:path';
import type { Evaluation } from '../../evaluation/evaluate.ts';
import { findings } from '../../evaluation/findings.ts';
import { paretoFront } from '../../evaluation/pareto.ts';
import type { Report } from '../../evaluation/types.ts';
import { writeFileAtomic } from '../../files.ts';
import { Random } from '../../random.ts';
import { EQUAL_ADHERENCE, TUNE_MEASURES, TUNE_QUALITY } from '../../tasks/tunes/judge.ts';
import { klCurves } from '../experiment/evaluation-stage.ts';
import { renderReport, tuneGallery } from '../report/index.ts';
import { writeMelodies } from './melodies.ts';
import { distilledName, type Judges, type TuneExperiment } from './pipeline.ts';
import { tuneSamples } from './samples.ts';

/** Names of what a run leaves behind, besides its checkpoints. */
export const TUNE_FILES = {
  report: 'report.json',
  samples: 'samples.json',
  page: 'report.html',
  melodies: 'melodies',
} as const;

/** Computes the report of an experiment. */
export function makeReport(
  { task, recipe, stages }: TuneExperiment,
  judged: readonly Evaluation[],
  { embedder, audio, adherence }: Judges,
  remarks: readonly string[],
): Report {
  const points = judged.map(({ point }) => point);
  const distillations = recipe.betas.map((beta) => ({ beta, name: distilledName(beta) }));
  const { notes, rollouts, ...found } = findings(judged, klCurves(stages.curves, distillations), {
    teacherScale: recipe.distill.scale,
    margin: EQUAL_ADHERENCE,
    random: new Random(task.seed).fork('claims'),
  });
  const training = new Set(task.trainingPrompts);
  const prompts = judged[0]?.generations.length ?? 0;
  const seen = task.heldOutPrompts.filter((text) => training.has(text)).length;
  return {
    schema: 1,
    task: task.name,
    seed: task.seed,
    heldOutPrompts: prompts,
    samplesPerPrompt: recipe.samplesPerPrompt,
    quality: TUNE_QUALITY,
    measures: { ...TUNE_MEASURES },
    points,
    front: paretoFront(points).map(({ name }) => name),
    ...found,
    ...(rollouts.length > 0 && { rollouts }),
    embedder: embedder.retrieval,
    embedders: [
      { name: 'symbolic', role: 'rewarded', ...embedder.retrieval },
      { name: 'audio', role: 'independent', ...audio.retrieval },
    ],
    adherence: adherence.retrieval,
    seconds: { ...stages.seconds },
    notes: [
      `The prompts are those of held-out tunes, one for each that differs in more than the tonic. ${seen} of the ` +
        `${task.heldOutPrompts.length} are the prompts of training tunes, too: there are only so many ways to ask for a jig. ` +
        'What is held out is the tunes.',
      `Generations are judged by their first ${recipe.maxTokens} notes and bar lines.`,
      'Quality is adherence: it says how well a tune is what was asked for, not whether it is a good tune. Full bars, ' +
        'notes in the scale, and how much is copied from the training tunes stand beside it.',
      'Diversity is measured by the embedder that the trained models were rewarded by, which reads the notes; the ' +
        'independent diversity by one that listens to them, and was never rewarded.',
      ...notes,
      ...remarks,
    ],
    training: { ...stages.curves },
  };
}

/** Writes report.json, samples.json and report.html, each atomically, and melodies to hear. */
export async function writeReport(
  experiment: TuneExperiment,
  judged: readonly Evaluation[],
  report: Report,
  { prompts, embedder, adherence }: Pick<Judges, 'embedder' | 'adherence'> & { prompts: readonly string[] },
): Promise<void> {
  const { folder, task, recipe, signal } = experiment;
  const judges = { embedder: embedder.model, towers: adherence.model };
  const samples = await tuneSamples(task, judged, { prompts, ...judges, signal });
  const page = await renderReport(report, tuneGallery(samples));
  const { scale } = recipe.distill;
  await writeMelodies(join(folder, TUNE_FILES.melodies), task, judged, { prompts, scale, signal });
  await writeFileAtomic(join(folder, TUNE_FILES.samples), JSON.stringify(samples));
  await writeFileAtomic(join(folder, TUNE_FILES.report), JSON.stringify(report, null, 2));
  await writeFileAtomic(join(folder, TUNE_FILES.page), page);
}
