import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { TransformerLM } from '../../models/transformer-lm.ts';
import type { ComputeType } from '../../tensor/tensor.ts';
import { type RolloutSource, Trainer } from '../../trainer.ts';
import { UsageError } from '../failure.ts';
import { integer, notNegative, number, oneOf, option, positive, seed, text } from '../options.ts';
import { DEFAULT_COMPUTE, deviceOption, type PlacementFlags, placementOptions } from '../placement.ts';
import {
  digestOf,
  loadEncoder,
  loadLanguageModel,
  readProvenance,
  required,
  splitSeedOf,
  taskMetadata,
  taskOf,
} from '../provenance.ts';
import { action, type Result, type Session } from '../session.ts';
import type { DistillSettings } from '../tasks/task.ts';
import { defaultText, TASK_NAMES, taskNamed } from '../tasks.ts';
import { pick, type TrainingOptions, TrainingRun, trainingOptions } from '../training-run.ts';

interface Settings extends DistillSettings {
  task: string;
  splitSeed: number;
  compute: ComputeType;
  /** Absolute paths, and digests of what they held at the start. */
  base: string;
  baseDigest: string;
  embedder: string | null;
  embedderDigest: string | null;
}
type Options = Partial<Settings> & TrainingOptions & PlacementFlags;

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
const SETTINGS = [...OWN_SETTINGS, 'seed', 'task', 'splitSeed', 'compute', 'base', 'embedder'] as const;

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
    .addOption(option('--embedder <file>', 'checkpoint of train-embedder; needed for --beta above 0', text))
    .addOption(option('--beta <x>', `weight of the diversity reward ${byDefault('beta')}`, notNegative))
    .addOption(option('--steps <n>', `updates ${byDefault('steps')}`, integer(1)))
    .addOption(option('--prompts-per-step <n>', `prompts per update ${byDefault('promptsPerStep')}`, integer(1)))
    .addOption(
      option('--samples-per-prompt <n>', `generations per prompt ${byDefault('samplesPerPrompt')}`, integer(1)),
    )
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
  const given = pick<Settings>(options, SETTINGS);
  const device = await deviceOption(options);
  if (given.base !== undefined) given.base = resolve(given.base);
  if (typeof given.embedder === 'string') given.embedder = resolve(given.embedder);
  const output = options.output ?? `distilled-${given.beta ?? 0}.safetensors`;
  const run = await TrainingRun.open<Settings>('distill', { ...options, output }, given, complete);
  const { settings } = run;
  const task = taskNamed(settings.task).open(settings.splitSeed);
  const placement = { device, compute: settings.compute };
  const base = await loadLanguageModel(settings.base, task, placement);
  const encoder = settings.embedder === null ? null : await loadEncoder(settings.embedder, task, placement);
  const fresh = task.distillationTrainer(settings, { base, embedder: encoder && task.embedder(encoder) });
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
    json: { command: 'distill', output, device: device.id, settings, step: trainer.step, seconds, metrics: last },
    text: `${output}: ${trainer.step} steps${last ? `, KL per sequence ${last.kl.toFixed(3)}` : ''}`,
  };
}

/** Fills in what was not given, from the task's defaults and from what the base model's file tells. */
async function complete(known: Partial<Settings>): Promise<Settings> {
  const base = required(known.base, '--base: expected a checkpoint of train-base, got none');
  const files = [await readProvenance(base)];
  const entry = taskOf(files, known.task);
  const splitSeed = splitSeedOf(files, known.splitSeed);
  const embedder = known.embedder ?? null;
  const settings: Settings = {
    ...(pick<Settings>(entry.defaults.distill, OWN_SETTINGS) as typeof entry.defaults.distill),
    seed: splitSeed,
    compute: DEFAULT_COMPUTE,
    ...known,
    task: entry.name,
    splitSeed,
    base,
    baseDigest: await digestOf(base),
    embedder,
    embedderDigest: embedder === null ? null : await digestOf(embedder),
  };
  const { beta, rollouts, samplesPerPrompt, scoreFunction } = settings;
  if (beta > 0 && embedder === null) {
    throw new UsageError(`--embedder: expected a checkpoint of train-embedder with --beta ${beta}, got none`);
  }
  if (beta > 0 && samplesPerPrompt < 2) {
    throw new UsageError(`--samples-per-prompt: expected at least 2 with --beta ${beta}, got ${samplesPerPrompt}`);
  }
  if (rollouts !== 'student' && (beta > 0 || scoreFunction)) {
    throw new UsageError(`--rollouts: expected student with a --beta above 0 or --score-function, got ${rollouts}`);
  }
  return settings;
}
