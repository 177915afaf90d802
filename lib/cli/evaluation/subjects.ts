import type { Embedder } from '../../embedders/embedder.ts';
import { ValueError } from '../../errors.ts';
import type { Generator } from '../../evaluation/evaluate.ts';
import { BASE_SWEEP, baseGenerators, TRAINED_SWEEP, trainedGenerators } from '../../evaluation/strategies.ts';
import { UsageError } from '../failure.ts';
import type { ModelPlacement, PlacementFlags } from '../placement.ts';
import { loadLanguageModel, type Provenance, readProvenance, required } from '../provenance.ts';
import type { Session } from '../session.ts';
import { openTaskOf } from '../task-data.ts';
import type { Adherence, CliTask } from '../tasks/task.ts';

export interface NamedModel {
  name: string;
  path: string;
}

/** What `evaluate` is told. */
export interface EvaluationOptions extends PlacementFlags {
  base?: string;
  model?: NamedModel[];
  embedder?: string;
  independent?: string;
  adherence?: string;
  data?: string;
  scales?: number[];
  temperatures?: number[];
  topKs?: number[];
  topPs?: number[];
  trainedTemperatures?: number[];
  trainedTopKs?: number[];
  trainedTopPs?: number[];
  samples?: number;
  prompts?: number;
  rounds?: number;
  maxTokens?: number;
  seed?: number;
  task?: string;
  splitSeed?: number;
  output?: string;
}

/** What is judged, and by what. */
export interface Subjects {
  task: CliTask;
  generators: Generator[];
  /** The file of a generator's model, by the generator's name. */
  fileOf: ReadonlyMap<string, string>;
  /** Of the trained models. */
  trained: readonly { name: string; file: Provenance }[];
  hasBase: boolean;
  embedder: Embedder;
  independent: Embedder | null;
  adherence: Adherence | null;
}

/** Opens the task that all checkpoints are for, with its data, and loads them. */
export async function openSubjects(
  options: EvaluationOptions,
  placement: ModelPlacement,
  session: Session,
): Promise<Subjects> {
  const { base, model: models = [], independent, adherence } = options;
  const embedder = required(options.embedder, '--embedder: expected a checkpoint of train-embedder, got none');
  if (base === undefined && models.length === 0) {
    throw new UsageError('--model: expected at least one, or --base, got none');
  }
  const files = await Promise.all(models.map(({ path }) => readProvenance(path)));
  const others = [base, embedder, independent, adherence].filter((path) => path !== undefined);
  const [first, ...rest] = await Promise.all(others.map(readProvenance));
  // The base first, if there is one: what contradicts it is named.
  const all = base === undefined ? [...files, first as Provenance, ...rest] : [first as Provenance, ...files, ...rest];
  const task = await openTaskOf(all, options, session);
  checkMeans(task, options);
  if (task.heldOutPrompts.length === 0) {
    throw new ValueError(
      `--data: expected something held out, got none among the ${task.data?.items} of ${task.data?.path}`,
      'data',
    );
  }

  const generators: Generator[] = [];
  const fileOf = new Map<string, string>();
  const add = (own: Generator[], path: string): void => {
    for (const generator of own) {
      const { name } = generator;
      if (fileOf.has(name)) {
        throw new UsageError(`--model: expected names that differ, got '${name}' twice; give one as name=path`);
      }
      fileOf.set(name, path);
      generators.push(generator);
    }
  };
  if (base !== undefined) add(await baseOf(base, task, options, placement), base);
  for (const [i, named] of models.entries()) {
    add(await trainedOf(named, files[i] as Provenance, task, options, placement), named.path);
  }
  return {
    task,
    generators,
    fileOf,
    trained: models.map(({ name }, i) => ({ name, file: files[i] as Provenance })),
    hasBase: base !== undefined,
    embedder: await task.loadEmbedder(embedder, placement),
    independent: independent === undefined ? null : await task.loadEmbedder(independent, placement),
    adherence: adherence === undefined ? null : ((await task.loadAdherence?.(adherence, placement)) ?? null),
  };
}

/** Whether there is what measures the task's quality and its independent diversity. */
function checkMeans({ name, judge, loadAdherence }: CliTask, { adherence, independent }: EvaluationOptions): void {
  if (loadAdherence && adherence === undefined) {
    throw new UsageError(`--adherence: task '${name}' expects a checkpoint of train-adherence, got none`);
  }
  if (!loadAdherence && adherence !== undefined) {
    throw new UsageError(`--adherence: task '${name}' is judged by a rule and takes none, got '${adherence}'`);
  }
  if (!judge && independent === undefined) {
    throw new UsageError(`--independent: task '${name}' expects another checkpoint of train-embedder, got none`);
  }
}

async function baseOf(path: string, task: CliTask, options: EvaluationOptions, placement: ModelPlacement) {
  return baseGenerators(await loadLanguageModel(path, task, placement), task.noPrompt, {
    scales: options.scales ?? BASE_SWEEP.scales,
    temperatures: options.temperatures ?? BASE_SWEEP.temperatures,
    topKs: options.topKs ?? BASE_SWEEP.topKs,
    topPs: options.topPs ?? BASE_SWEEP.topPs,
  });
}

async function trainedOf(
  { name, path }: NamedModel,
  file: Provenance,
  task: CliTask,
  options: EvaluationOptions,
  placement: ModelPlacement,
): Promise<Generator[]> {
  const model = await loadLanguageModel(path, task, placement);
  return trainedGenerators(
    { name, model, ...familyOf(file) },
    {
      temperatures: options.trainedTemperatures ?? TRAINED_SWEEP.temperatures,
      topKs: options.trainedTopKs ?? TRAINED_SWEEP.topKs,
      topPs: options.trainedTopPs ?? TRAINED_SWEEP.topPs,
    },
  );
}

/** An average has neither one β nor a λ, and a model of several rewards not one β. */
function familyOf({ merged, beta, lambda, rollouts }: Provenance): Pick<Generator, 'family' | 'parameters'> {
  const own = { ...(beta !== undefined && { beta }) };
  if (merged) return { family: 'merged', parameters: lambda === undefined ? {} : { ...own, lambda } };
  return { family: rollouts === 'teacher' ? 'off-policy' : 'distilled', parameters: own };
}
