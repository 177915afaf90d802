import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { TransformerLM } from '../../models/transformer-lm.ts';
import type { ComputeType } from '../../tensor/tensor.ts';
import { type DiversityReward, type RolloutSource, Trainer } from '../../trainer.ts';
import { UsageError } from '../failure.ts';
import {
  integer,
  notNegative,
  number,
  oneOf,
  option,
  type Parser,
  positive,
  repeatable,
  seed,
  text,
} from '../options.ts';
import { DEFAULT_COMPUTE, deviceOption, type PlacementFlags, placementOptions } from '../placement.ts';
import {
  digestOf,
  loadLanguageModel,
  readProvenance,
  required,
  splitSeedOf,
  taskMetadata,
  taskOf,
} from '../provenance.ts';
import { action, type Result, type Session } from '../session.ts';
import { type DataSettings, dataOption, dataSettings, generationTokensOf, openTaskOf } from '../task-data.ts';
import type { DistillSettings } from '../tasks/task.ts';
import { defaultText, TASK_NAMES } from '../tasks.ts';
import { trainedJson } from '../trained-json.ts';
import { pick, type Started, type TrainingOptions, TrainingRun, trainingOptions } from '../training-run.ts';

interface Settings extends DistillSettings, DataSettings {
  splitSeed: number;
  compute: ComputeType;
  /** Absolute paths, and digests of what they held at the start; of several embedders lists. */
  base: string;
  baseDigest: string;
  embedder: string | readonly string[] | null;
  embedderDigest: string | readonly string[] | null;
}
type Given = Omit<Partial<Settings>, 'embedder'> & { embedder?: string[] };
type Options = Given & TrainingOptions & PlacementFlags;

/** One weight, or several between commas. */
const weights: Parser<number | number[]> = {
  expected: notNegative.expected,
  parse: (given) => {
    const values = given.split(',').map((part) => notNegative.parse(part.trim()));
    if (!values.every((value) => value !== undefined)) return undefined;
    return values.length > 1 ? values : values[0];
  },
};

const DIVERGENCES = ['reverse', 'forward', 'jsd'] as const;
const ROLLOUTS = ['student', 'teacher', 'data'] as const satisfies readonly RolloutSource[];
const OWN_SETTINGS = [
  'scale',
  'temperature',
  'divergence',
  'jsdWeight',
  'rollouts',
  'scoreFunction',
  'beta',
  'steps',
  'promptsPerStep',
  'samplesPerPrompt',
  'learningRate',
] as const;
/** What the checkpoint's metadata says of its making. */
const TOLD = ['beta', 'scale', 'temperature', 'divergence', 'rollouts', 'steps', 'seed', 'compute'] as const;
const SETTINGS = [...OWN_SETTINGS, 'maxTokens', 'seed', 'task', 'data', 'splitSeed', 'compute', 'base'] as const;

export function distillCommand(program: Command): void {
  const share = number('a number above 0 and below 1', (value) => value > 0 && value < 1);
  const byDefault = (key: (typeof OWN_SETTINGS)[number]) => defaultText((t) => String(t.defaults.distill[key]));
  const command = program
    .command('distill')
    .summary('finetune a base model towards its own guidance, with a reward for diversity')
    .description(
      'Finetunes a copy of the base model so that without guidance it says what the base model says under guidance. With ' +
        '--beta above 0 it is also rewarded, by policy gradient, for answering one prompt in different ways.',
    )
    .addOption(option('--base <file>', 'checkpoint of train-base: the start, and under guidance the teacher', text))
    .addOption(option('--scale <x>', `guidance scale of the teacher; 1 is no guidance ${byDefault('scale')}`, number()))
    .addOption(dataOption())
    .addOption(
      repeatable(
        '--embedder <file>',
        'checkpoint of train-embedder, needed for --beta above 0; may be given several times, for several rewards',
        text,
      ),
    )
    .addOption(
      option(
        '--beta <x>',
        `weight of the diversity reward, or one per --embedder between commas ${byDefault('beta')}`,
        weights,
      ),
    )
    .addOption(option('--steps <n>', `updates ${byDefault('steps')}`, integer(1)))
    .addOption(option('--prompts-per-step <n>', `prompts per update ${byDefault('promptsPerStep')}`, integer(1)))
    .addOption(
      option('--samples-per-prompt <n>', `generations per prompt ${byDefault('samplesPerPrompt')}`, integer(1)),
    )
    .addOption(option('--max-tokens <n>', 'of a generation (default: a whole chord; 128 for tunes)', integer(1)))
    .addOption(option('--temperature <x>', `of the generations and the loss ${byDefault('temperature')}`, positive))
    .addOption(
      option(
        '--divergence <name>',
        `from student to teacher: reverse KL, forward KL, or the generalised Jensen-Shannon divergence: ` +
          `${DIVERGENCES.join(', ')} ${byDefault('divergence')}`,
        oneOf(DIVERGENCES),
      ),
    )
    .addOption(option('--jsd-weight <x>', `the teacher's share in jsd ${byDefault('jsdWeight')}`, share))
    .addOption(
      option(
        '--rollouts <source>',
        `who writes the sequences that are compared: ${ROLLOUTS.join(', ')} ${byDefault('rollouts')}`,
        oneOf(ROLLOUTS),
      ),
    )
    .addOption(new Option('--score-function', 'the full gradient instead of the semi-gradient; costs a second pass'))
    .addOption(option('--learning-rate <x>', `highest; it falls along a cosine ${byDefault('learningRate')}`, positive))
    .addOption(option('--seed <n>', 'of the generations (default: that of the split)', seed))
    .addOption(
      option('--task <name>', `${TASK_NAMES.join(', ')} (default: what the base model tells)`, oneOf(TASK_NAMES)),
    )
    .addOption(option('--split-seed <n>', 'seed of the split (default: what the base model tells)', seed));
  for (const made of [...placementOptions(), ...trainingOptions('distilled-<beta>.safetensors')]) {
    command.addOption(made);
  }
  action<Options>(command, { stopping: 'Stopping: the run will be saved.', body: distill });
}

async function distill(options: Options, session: Session): Promise<Result> {
  const given = pick<Settings>(options as Partial<Settings>, SETTINGS);
  const device = await deviceOption(options);
  if (given.base !== undefined) given.base = resolve(given.base);
  if (given.data) given.data = resolve(given.data);
  const embedders = options.embedder?.map((path) => resolve(path));
  if (embedders) given.embedder = embedders.length > 1 ? embedders : (embedders[0] as string);
  const output = options.output ?? `distilled-${given.beta ?? 0}.safetensors`;
  const run = await TrainingRun.open<Settings>('distill', { ...options, output }, given, (known) => {
    return complete(known, session);
  });
  const { settings, task } = run;
  const placement = { device, compute: settings.compute };
  const base = await loadLanguageModel(settings.base, task, placement);
  const rewards: DiversityReward[] = [];
  for (const [k, path] of listed(settings.embedder).entries()) {
    rewards.push({ embedder: await task.loadEmbedder(path, placement), weight: listed(settings.beta)[k] as number });
  }
  const fresh = task.distillationTrainer(settings, { base, rewards });
  const trainer = run.resuming ? await Trainer.resume(run.folder, fresh.options) : fresh;
  const { prompts, answers } = task.distillationData(settings.rollouts);
  const { last, seconds } = await run.train(session, {
    title: `Distillation β ${settings.beta}`,
    steps: settings.steps,
    trainer,
    run: (steps, signal) => trainer.run(prompts, { steps, signal, ...(answers && { answers }) }),
    save: () => trainer.save(run.folder),
    detail: ({ kl, diversity }) =>
      `KL ${kl.toFixed(3)}${diversity === null ? '' : `  diversity ${diversity.toFixed(3)}`}`,
  });
  const told = pick<Settings>(settings, TOLD);
  const metadata = Object.fromEntries(Object.entries(told).map(([key, value]) => [key, String(value)]));
  await (trainer.student as TransformerLM<ComputeType>).save(output, {
    metadata: { ...metadata, ...taskMetadata(task), base: settings.baseDigest },
  });
  await run.close();
  return {
    json: trainedJson({ command: 'distill', output, device, settings, task, trainer, seconds, last }),
    text: `${output}: ${trainer.step} steps${last ? `, KL per sequence ${last.kl.toFixed(3)}` : ''}`,
  };
}

/** Fills in what was not given, from the task's defaults and from what the files of the models tell. */
async function complete(known: Partial<Settings>, session: Session): Promise<Started<Settings>> {
  const base = required(known.base, '--base: expected a checkpoint of train-base, got none');
  const embedder = known.embedder ?? null;
  const from = await readProvenance(base);
  const entry = taskOf([from], known.task);
  const splitSeed = splitSeedOf([from], known.splitSeed);
  const own = {
    ...(pick<Settings>(entry.defaults.distill, OWN_SETTINGS) as typeof entry.defaults.distill),
    seed: splitSeed,
    compute: DEFAULT_COMPUTE,
    ...known,
    splitSeed,
    base,
    embedder,
  };
  checkRewards(own);
  const embedders = await Promise.all(listed(embedder).map(readProvenance));
  const data = known.data ?? undefined;
  const task = await openTaskOf([from, ...embedders], { task: known.task, splitSeed, data }, session);
  const digests = await Promise.all(listed(embedder).map(digestOf));
  const settings: Settings = {
    ...own,
    maxTokens: generationTokensOf(task, own.maxTokens),
    ...dataSettings(task),
    baseDigest: await digestOf(base),
    embedderDigest: Array.isArray(embedder) ? digests : (digests[0] ?? null),
  };
  return { settings, task };
}

function checkRewards(
  settings: Pick<Settings, 'beta' | 'embedder' | 'rollouts' | 'samplesPerPrompt' | 'scoreFunction'>,
) {
  const { beta, embedder, rollouts, samplesPerPrompt, scoreFunction } = settings;
  const betas = listed(beta);
  const embedders = listed(embedder);
  const rewarded = betas.some((weight) => weight > 0);
  if (rewarded && embedders.length === 0) {
    throw new UsageError(`--embedder: expected a checkpoint of train-embedder with --beta ${beta}, got none`);
  }
  if (betas.length !== Math.max(1, embedders.length)) {
    const expected = embedders.length > 1 ? `${embedders.length} weights, one per --embedder` : '1 weight';
    throw new UsageError(`--beta: expected ${expected}, got ${beta}`);
  }
  if (rewarded && samplesPerPrompt < 2) {
    throw new UsageError(`--samples-per-prompt: expected at least 2 with --beta ${beta}, got ${samplesPerPrompt}`);
  }
  if (rollouts !== 'student' && (rewarded || scoreFunction)) {
    throw new UsageError(`--rollouts: expected student with a --beta above 0 or --score-function, got ${rollouts}`);
  }
}

/** A setting that is one or a list, as a list. */
function listed<T extends string | number>(value: T | readonly T[] | null): readonly T[] {
  return value === null ? [] : typeof value === 'object' ? value : [value];
}
