import { basename } from 'node:path';
import type { Command } from 'commander';
import { evaluate, type Generator } from '../../evaluation/evaluate.ts';
import { judge } from '../../evaluation/failure-signs.ts';
import { paretoFront } from '../../evaluation/pareto.ts';
import { BASE_SWEEP, baseGenerators, TRAINED_SWEEP, trainedGenerators } from '../../evaluation/strategies.ts';
import { Random } from '../../random.ts';
import { UsageError } from '../failure.ts';
import {
  integer,
  listOf,
  notNegative,
  number,
  oneOf,
  option,
  type Parser,
  probability,
  repeatable,
  seed,
  text,
} from '../options.ts';
import {
  type ModelPlacement,
  type PlacementFlags,
  placementJson,
  placementOf,
  placementOptions,
} from '../placement.ts';
import { claimsText, pointsTable, signsText } from '../points.ts';
import {
  loadEncoder,
  loadLanguageModel,
  type Provenance,
  readProvenance,
  required,
  splitSeedOf,
  taskOf,
} from '../provenance.ts';
import { action, type Result, type Session } from '../session.ts';
import type { CliTask } from '../tasks/task.ts';
import { defaultText, TASK_NAMES } from '../tasks.ts';

interface NamedModel {
  name: string;
  path: string;
}

interface Options extends PlacementFlags {
  base?: string;
  model?: NamedModel[];
  embedder?: string;
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
  seed?: number;
  task?: string;
  splitSeed?: number;
}

/** `name=path`, or a path that is named after its file. */
const namedModel: Parser<NamedModel> = {
  expected: 'a checkpoint as path or name=path',
  parse: (given) => {
    const at = given.indexOf('=');
    const path = given.slice(at + 1);
    const name = at < 0 ? basename(path, '.safetensors') : given.slice(0, at);
    return name && path ? { name, path } : undefined;
  },
};

export function evaluateCommand(program: Command): void {
  const listed = (values: readonly number[]) => `(default: ${values.join(',') || 'none'})`;
  const counts = listOf(integer(1));
  const command = program
    .command('evaluate')
    .summary('judge models and sampling strategies on held-out prompts')
    .description(
      'Draws generations for the prompts held out from training and prints quality, diversity by the embedder, a second ' +
        'diversity that no model was rewarded for, distinct valid generations per prompt, passes and speed, with 95 % ' +
        'intervals. The base model is judged under every strategy, trained models plain and with strategies on top.',
    )
    .addOption(option('--base <file>', 'checkpoint of train-base', text))
    .addOption(
      repeatable('--model <[name=]file>', 'checkpoint of distill or merge; may be given several times', namedModel),
    )
    .addOption(option('--embedder <file>', 'checkpoint of train-embedder, measures diversity', text))
    .addOption(
      option('--scales <list>', `guidance scales of the base, or none ${listed(BASE_SWEEP.scales)}`, listOf(number())),
    )
    .addOption(
      option('--temperatures <list>', `of the base, or none ${listed(BASE_SWEEP.temperatures)}`, listOf(notNegative)),
    )
    .addOption(option('--top-ks <list>', `of the base, or none ${listed(BASE_SWEEP.topKs)}`, counts))
    .addOption(option('--top-ps <list>', `of the base, or none ${listed(BASE_SWEEP.topPs)}`, listOf(probability)))
    .addOption(
      option(
        '--trained-temperatures <list>',
        `on top of trained models, or none ${listed(TRAINED_SWEEP.temperatures)}`,
        listOf(notNegative),
      ),
    )
    .addOption(
      option('--trained-top-ks <list>', `on top of trained models, or none ${listed(TRAINED_SWEEP.topKs)}`, counts),
    )
    .addOption(
      option(
        '--trained-top-ps <list>',
        `on top of trained models, or none ${listed(TRAINED_SWEEP.topPs)}`,
        listOf(probability),
      ),
    )
    .addOption(
      option(
        '-n, --samples <n>',
        `generations per prompt ${defaultText((t) => t.defaults.evaluationSamples)}`,
        integer(2),
      ),
    )
    .addOption(option('--prompts <n>', 'only the first n held-out prompts (default: all)', integer(1)))
    .addOption(option('--rounds <n>', 'rounds of timing, 0 for none (default: 3)', integer(0, 1000)))
    .addOption(option('--seed <n>', 'of the draws and the intervals (default: that of the split)', seed))
    .addOption(
      option('--task <name>', `${TASK_NAMES.join(', ')} (default: what the checkpoints tell)`, oneOf(TASK_NAMES)),
    )
    .addOption(option('--split-seed <n>', 'seed of the split (default: what the checkpoints tell)', seed));
  for (const made of placementOptions()) command.addOption(made);
  action<Options>(command, { stopping: 'Stopping.', body: evaluateModels });
}

async function evaluateModels(options: Options, { progress, signal }: Session): Promise<Result> {
  const embedderPath = required(options.embedder, '--embedder: expected a checkpoint of train-embedder, got none');
  const { base: basePath, model: models = [] } = options;
  if (basePath === undefined && models.length === 0) {
    throw new UsageError('--model: expected at least one, or --base, got none');
  }
  const placement = await placementOf(options);
  const files = await Promise.all(models.map(({ path }) => readProvenance(path)));
  const baseFile = basePath === undefined ? [] : [await readProvenance(basePath)];
  const all = [...baseFile, ...files, await readProvenance(embedderPath)];
  const entry = taskOf(all, options.task);
  const task = entry.open(splitSeedOf(all, options.splitSeed));

  const generators = basePath === undefined ? [] : await baseOf(basePath, task, options, placement);
  for (const [i, named] of models.entries()) {
    generators.push(...(await trainedOf(named, files[i] as Provenance, task, options, placement)));
  }
  const names = generators.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice) throw new UsageError(`--model: expected names that differ, got '${twice}' twice; give one as name=path`);

  const embedder = task.embedder(await loadEncoder(embedderPath, task, placement));
  const retrieval = await task.retrieval(embedder);
  const prompts = task.heldOutPrompts.slice(0, options.prompts);
  const { samples = entry.defaults.evaluationSamples, rounds = 3, seed: drawSeed = task.seed } = options;
  progress.start('Evaluation', generators.length * (1 + rounds));
  const judged = await evaluate(generators, {
    prompts: prompts.map(({ tokens }) => tokens),
    samplesPerPrompt: samples,
    maxTokens: task.maxTokens,
    stopToken: task.stopToken,
    embedder,
    judge: task.judge(prompts),
    seed: drawSeed,
    timingRounds: rounds,
    signal,
    onProgress: (done, _, what) => progress.update(done, what),
  }).finally(() => progress.stop());

  const points = judged.map(({ point }) => point);
  const front = paretoFront(points).map(({ name }) => name);
  // The claims compare trained models with a base: without both there is nothing to say.
  const teacherScale = files.find(({ scale }) => scale !== undefined)?.scale ?? entry.defaults.distill.scale;
  const random = new Random(drawSeed).fork('claims');
  const { claims, failureSigns } =
    basePath !== undefined && models.length > 0
      ? judge(judged, [], { teacherScale, random })
      : { claims: [], failureSigns: [] };
  return {
    json: {
      command: 'evaluate',
      task: task.name,
      splitSeed: task.seed,
      seed: drawSeed,
      heldOutPrompts: prompts.length,
      samplesPerPrompt: samples,
      ...placementJson(placement),
      points,
      front,
      claims,
      failureSigns,
      embedder: retrieval,
    },
    text: [
      pointsTable(points),
      `${prompts.length} held-out prompts, ${samples} generations each, split of seed ${task.seed}.`,
      `On the front (nothing else is better in both): ${front.join(', ')}.`,
      ...(claims.length > 0 ? ['', 'Claims of the method: does each hold here?', claimsText(claims)] : []),
      ...(failureSigns.length > 0 ? ['', 'Signs of failure: is it seen?', signsText(failureSigns)] : []),
    ].join('\n'),
  };
}

async function baseOf(path: string, task: CliTask, options: Options, placement: ModelPlacement): Promise<Generator[]> {
  return baseGenerators(await loadLanguageModel(path, task, placement), task.noPrompt, {
    scales: options.scales ?? BASE_SWEEP.scales,
    temperatures: options.temperatures ?? BASE_SWEEP.temperatures,
    topKs: options.topKs ?? BASE_SWEEP.topKs,
    topPs: options.topPs ?? BASE_SWEEP.topPs,
  });
}

async function trainedOf(
  { name, path }: NamedModel,
  { merged, beta, lambda }: Provenance,
  task: CliTask,
  options: Options,
  placement: ModelPlacement,
): Promise<Generator[]> {
  const model = await loadLanguageModel(path, task, placement);
  // An average has neither one β nor a λ.
  const plain = {
    name,
    model,
    ...(merged
      ? {
          family: 'merged' as const,
          parameters: lambda === undefined ? {} : { ...(beta !== undefined && { beta }), lambda },
        }
      : { family: 'distilled' as const, parameters: { ...(beta !== undefined && { beta }) } }),
  };
  return trainedGenerators(plain, {
    temperatures: options.trainedTemperatures ?? TRAINED_SWEEP.temperatures,
    topKs: options.trainedTopKs ?? TRAINED_SWEEP.topKs,
    topPs: options.trainedTopPs ?? TRAINED_SWEEP.topPs,
  });
}
