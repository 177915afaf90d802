import type { Command } from 'commander';
import { BaseTrainer } from '../../base-trainer.ts';
import type { TransformerLM } from '../../models/transformer-lm.ts';
import { UsageError } from '../failure.ts';
import { integer, oneOf, option, positive, seed } from '../options.ts';
import { taskMetadata } from '../provenance.ts';
import { action, type Result, type Session } from '../session.ts';
import type { BaseSettings } from '../tasks/task.ts';
import { defaultText, TASKS, taskNamed } from '../tasks.ts';
import { STATE_FILES, type TrainingOptions, TrainingRun, trainingOptions } from '../training-run.ts';

type Settings = BaseSettings & { task: string; seed: number };
type Options = Partial<Settings> & TrainingOptions;

const OUTPUT = 'base.safetensors';

export function trainBaseCommand(program: Command): void {
  const command = program
    .command('train-base')
    .summary('train a base language model on a task')
    .description(
      "Trains a decoder-only transformer from random weights to answer the task's training prompts. Some prompts are\n" +
        'dropped on the way, so that the model can later be guided away from what it says without a prompt.',
    )
    .addOption(option('--task <name>', `the task: ${taskList()}`, oneOf(TASKS.map(({ name }) => name))))
    .addOption(option('--seed <n>', 'seed of the split into training and held-out prompts, and of the training', seed))
    .addOption(option('--steps <n>', `updates ${defaultText((t) => t.defaults.base.steps)}`, integer(1)));
  for (const made of trainingOptions(OUTPUT)) command.addOption(made);
  command
    .addOption(option('--depth <n>', `blocks ${defaultText((t) => t.defaults.base.depth)}`, integer(1, 1024)))
    .addOption(option('--width <n>', `width of the model ${defaultText((t) => t.defaults.base.width)}`, integer(1, 65536)))
    .addOption(option('--heads <n>', `attention heads ${defaultText((t) => t.defaults.base.heads)}`, integer(1, 65536)))
    .addOption(
      option('--batch-size <n>', `rows per update ${defaultText((t) => t.defaults.base.batchSize)}`, integer(1)),
    )
    .addOption(
      option('--learning-rate <x>', `highest ${defaultText((t) => t.defaults.base.learningRate)}`, positive),
    );
  action<Options>(command, { stopping: 'Stopping: the run will be saved.', body: trainBase });
}

/** The tasks' names and summaries, for a help text. */
export function taskList(): string {
  return TASKS.map(({ name, summary }, i) => `${name} (${i === 0 ? 'default; ' : ''}${summary})`).join(', ');
}

/** Throws UsageError when the heads do not share the width evenly. */
export function checkHeads({ width, heads }: { width: number; heads: number }): void {
  if (width % heads !== 0) throw new UsageError(`--heads: expected a divisor of --width ${width}, got ${heads}`);
}

async function trainBase(options: Options, session: Session): Promise<Result> {
  const { output = OUTPUT, state, resume, force, saveEvery, ...rest } = options;
  const given = pick(rest);
  const paths = { output, ...(state !== undefined && { state }), resume: !!resume, force: !!force };
  const run = await TrainingRun.open<Settings>(
    'train-base',
    { ...paths, ...(saveEvery !== undefined && { saveEvery }) },
    given,
    (known) => {
      const entry = taskNamed(known.task);
      const settings = { task: entry.name, seed: 1, ...entry.defaults.base, ...defined(known) };
      checkHeads(settings);
      return settings;
    },
  );
  return { json: {}, text: '' };
}
