import type { Option } from 'commander';
import { UsageError } from './failure.ts';
import { option, text } from './options.ts';
import { checkData, checkVocabulary, type Provenance, splitSeedOf, taskOf, vocabularyOf } from './provenance.ts';
import type { Session } from './session.ts';
import type { CliTask, TaskData, TaskEntry } from './tasks/task.ts';
import { TASKS } from './tasks.ts';

/** How many problems of the data are told. */
const TOLD_TO_PEOPLE = 5;
const TOLD_TO_SCRIPTS = 1000;

/** The definition of `--data`. */
export function dataOption(): Option {
  const forms = TASKS.flatMap(({ name, dataForm }) => (dataForm === undefined ? [] : [`for ${name}: ${dataForm}`]));
  return option('--data <path>', `what the task is made of, ${forms.join('; ')}`, text);
}

/** Opens a task with its data, and says what of it could not be read. Rejects with UsageError when it needs data and has none. */
export async function openWithData(
  entry: TaskEntry,
  { seed, data, vocabulary }: { seed: number; data: string | undefined; vocabulary?: string | undefined },
  { signal, note }: Pick<Session, 'signal' | 'note'>,
): Promise<CliTask> {
  if (entry.dataForm !== undefined && data === undefined) {
    throw new UsageError(`--data: task '${entry.name}' expects ${entry.dataForm}, got none`);
  }
  const task = await entry.open({ seed, data, vocabulary, signal });
  if (task.data && task.data.problems.length > 0) note(problemsText(task.data));
  return task;
}

/**
 * Opens the task that checkpoints were trained for, with their split and vocabulary.
 *
 * Rejects with ValueError or CheckpointError when they contradict each other or what is given; see `taskOf`,
 * `splitSeedOf`, `vocabularyOf` and `checkData`.
 *
 * @param files those that were trained on the split first
 */
export async function openTaskOf(
  files: readonly Provenance[],
  given: { task?: string | undefined; splitSeed?: number | undefined; data?: string | undefined },
  session: Pick<Session, 'signal' | 'note'>,
): Promise<CliTask> {
  const entry = taskOf(files, given.task);
  const seed = splitSeedOf(files, given.splitSeed);
  const task = await openWithData(entry, { seed, data: given.data, vocabulary: vocabularyOf(files) }, session);
  for (const file of files) checkVocabulary(file, task);
  checkData(files, task);
  return task;
}

/** The settings of a training run that say what it is trained on. */
export interface DataSettings {
  task: string;
  /** An absolute path, and the digest of what it held at the start; null for a task with data of its own. */
  data: string | null;
  dataDigest: string | null;
}

export function dataSettings({ name, data }: CliTask): DataSettings {
  return { task: name, data: data?.path ?? null, dataDigest: data?.digest ?? null };
}

/** The length of generations: what was asked for by `--max-tokens`, else what the task takes. */
export function generationTokensOf({ maxTokens, generationTokens }: CliTask, given: number | undefined): number {
  if (given === undefined || given <= maxTokens) return given ?? generationTokens;
  throw new UsageError(`--max-tokens: expected at most ${maxTokens}, got ${given}`);
}

/** What was read, for scripts; nothing for a task with data of its own. */
export function dataJson({ data }: CliTask): { data?: Record<string, unknown> } {
  if (!data) return {};
  const { problems, lost, ...rest } = data;
  return { data: { ...rest, problems: { count: problems.length, lost, first: problems.slice(0, TOLD_TO_SCRIPTS) } } };
}

function problemsText({ path, items, problems, lost }: TaskData): string {
  const rest = problems.length - TOLD_TO_PEOPLE;
  return [
    `${path}: ${items} read; ${problems.length} problem${problems.length === 1 ? '' : 's'}, ${lost} of which cost something:`,
    ...problems.slice(0, TOLD_TO_PEOPLE).map((problem) => `  ${problem}`),
    ...(rest > 0 ? [`  and ${rest} more, which --json tells`] : []),
  ].join('\n');
}
