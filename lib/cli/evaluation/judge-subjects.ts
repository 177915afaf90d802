import { basename, join } from 'node:path';
import type { Embedder } from '../../embedders/embedder.ts';
import { type EvaluateOptions, evaluate, type Judge } from '../../evaluation/evaluate.ts';
import { EvaluationFolder } from '../../evaluation/evaluation-folder.ts';
import { findings } from '../../evaluation/findings.ts';
import { paretoFront } from '../../evaluation/pareto.ts';
import type { Report } from '../../evaluation/types.ts';
import { writeFileAtomic } from '../../files.ts';
import { Random } from '../../random.ts';
import { UsageError } from '../failure.ts';
import type { ModelPlacement } from '../placement.ts';
import { digestOf } from '../provenance.ts';
import type { Session } from '../session.ts';
import { generationTokensOf } from '../task-data.ts';
import type { TaskPrompt } from '../tasks/task.ts';
import { taskNamed } from '../tasks.ts';
import type { EvaluationOptions, Subjects } from './subjects.ts';

/** The file that an evaluation with a folder ends with. */
const REPORT = 'report.json';

/**
 * Judges the subjects on the task's held-out prompts. With a folder, what is judged is kept there, an evaluation that was
 * interrupted goes on, and the report is written.
 */
export async function judgeSubjects(
  subjects: Subjects,
  options: EvaluationOptions,
  placement: ModelPlacement,
  { progress, signal }: Session,
): Promise<{ report: Report; seconds: number }> {
  const { task, generators } = subjects;
  const begin = performance.now();
  const { defaults } = taskNamed(task.name);
  const prompts = task.heldOutPrompts.slice(0, options.prompts);
  const { samples = defaults.evaluationSamples, rounds = 3, seed = task.seed } = options;
  const asked: EvaluateOptions = {
    prompts: prompts.map(({ tokens }) => tokens),
    samplesPerPrompt: samples,
    maxTokens: generationTokensOf(task, options.maxTokens),
    stopToken: task.stopToken,
    embedder: subjects.embedder,
    ...(subjects.independent && { independentEmbedder: subjects.independent }),
    judge: judgeOf(subjects, prompts),
    seed,
    timingRounds: rounds,
    signal,
  };
  const store =
    options.output === undefined ? null : await folderOf(options.output, subjects, options, asked, placement);
  progress.start('Evaluation', generators.length * (1 + rounds));
  const judged = await evaluate(generators, {
    ...asked,
    ...(store && { store }),
    onProgress: (done, _, what) => progress.update(done, what),
  }).finally(() => progress.stop());

  const points = judged.map(({ point }) => point);
  const teacherScale = subjects.trained.find(({ file }) => file.scale !== undefined)?.file.scale;
  const { claims, failureSigns, rollouts, notes, ...found } = findings(judged, [], {
    teacherScale: teacherScale ?? defaults.distill.scale,
    ...(subjects.adherence && { margin: subjects.adherence.margin }),
    random: new Random(seed).fork('claims'),
  });
  // The claims compare trained models with a base: without both there is nothing to say.
  const both = subjects.hasBase && subjects.trained.length > 0;
  const { adherence } = subjects;
  const retrievals = await retrievalsOf(subjects, options);
  const seconds = (performance.now() - begin) / 1000;
  const report: Report = {
    schema: 1,
    task: task.name,
    seed,
    heldOutPrompts: prompts.length,
    samplesPerPrompt: samples,
    points,
    front: paretoFront(points).map(({ name }) => name),
    claims: both ? claims : [],
    failureSigns: both ? failureSigns : [],
    ...found,
    ...(rollouts.length > 0 && { rollouts }),
    ...retrievals,
    ...(adherence && {
      quality: adherence.quality,
      measures: { ...adherence.measures },
      adherence: await adherence.retrieval(),
    }),
    seconds: { evaluation: seconds },
    notes: [...notes, ...notesOnRewards(subjects)],
    training: {},
  };
  if (store) await writeFileAtomic(join(store.path, REPORT), `${JSON.stringify(report, null, 2)}\n`);
  return { report, seconds };
}

function judgeOf({ task, adherence }: Subjects, prompts: readonly TaskPrompt[]): Judge {
  const judge = adherence?.judge(prompts) ?? task.judge?.(prompts);
  if (judge) return judge;
  throw new UsageError(`--adherence: task '${task.name}' expects a checkpoint of train-adherence, got none`);
}

/** The folder for evaluations of just this: the same models, judged by the same on the same. */
async function folderOf(
  output: string,
  { task, fileOf }: Subjects,
  { embedder, independent, adherence, seed }: EvaluationOptions,
  { prompts, samplesPerPrompt, maxTokens }: EvaluateOptions,
  { compute }: ModelPlacement,
): Promise<EvaluationFolder> {
  const digest = async (path: string | undefined) => (path === undefined ? null : await digestOf(path));
  const digests = new Map<string, string>();
  for (const path of new Set(fileOf.values())) digests.set(path, await digestOf(path));
  return EvaluationFolder.open(output, {
    settings: {
      task: task.name,
      splitSeed: task.seed,
      data: task.data?.digest ?? null,
      seed: seed ?? task.seed,
      prompts: prompts.length,
      samplesPerPrompt,
      maxTokens,
      compute,
      embedder: await digest(embedder),
      independent: await digest(independent),
      adherence: await digest(adherence),
    },
    originOf: (name) => digests.get(fileOf.get(name) ?? ''),
  });
}

/** How well the embedders find the other view of what is held out. */
async function retrievalsOf(
  { task, embedder, independent }: Subjects,
  options: EvaluationOptions,
): Promise<Required<Pick<Report, 'embedder' | 'embedders'>>> {
  const named = async (own: Embedder, path: string | undefined, role: 'rewarded' | 'independent') => {
    const { retrievalAt1, candidates } = await task.retrieval(own);
    return { name: basename(path ?? '', '.safetensors'), role, retrievalAt1, candidates };
  };
  const embedders = [await named(embedder, options.embedder, 'rewarded')];
  if (independent) embedders.push(await named(independent, options.independent, 'independent'));
  const { retrievalAt1, candidates } = embedders[0] as (typeof embedders)[number];
  return { embedder: { retrievalAt1, candidates }, embedders };
}

function notesOnRewards({ trained }: Subjects): string[] {
  return trained.flatMap(({ name, file: { betas } }) => {
    return betas === undefined
      ? []
      : [`${name} was distilled with several rewards (β ${betas}): no claim is about it.`];
  });
}
