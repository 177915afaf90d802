import { resolve } from 'node:path';
import type { Command } from 'commander';
import { BaseTrainer } from '../../base-trainer.ts';
import type { TransformerLM } from '../../models/transformer-lm.ts';
import type { ComputeType } from '../../tensor/tensor.ts';
import { checkHeads, integer, oneOf, option, positive, seed } from '../options.ts';
import { DEFAULT_COMPUTE, deviceOption, type PlacementFlags, placementOptions } from '../placement.ts';
import { taskMetadata } from '../provenance.ts';
import { action, type Result, type Session } from '../session.ts';
import { type DataSettings, dataOption, dataSettings, openWithData } from '../task-data.ts';
import type { BaseSettings } from '../tasks/task.ts';
import { defaultText, TASK_NAMES, taskList, taskNamed } from '../tasks.ts';
import { trainedJson } from '../trained-json.ts';
import { pick, STATE_FILES, type TrainingOptions, TrainingRun, trainingOptions } from '../training-run.ts';

interface Settings extends BaseSettings, DataSettings {
  seed: number;
  compute: ComputeType;
}
type Options = Partial<Settings> & TrainingOptions & PlacementFlags;

const OUTPUT = 'base.safetensors';
const SHAPE = ['steps', 'depth', 'width', 'heads', 'batchSize', 'learningRate'] as const;
const SETTINGS = ['task', 'data', 'seed', 'compute', ...SHAPE] as const;

export function trainBaseCommand(program: Command): void {
  const size = integer(1, 65_536);
  const command = program
    .command('train-base')
    .summary('train a base language model on a task')
    .description(
      "Trains a decoder-only transformer from random weights to answer the task's training prompts. Some prompts are " +
        'dropped on the way, so that the model can later be guided away from what it says without a prompt.',
    )
    .addOption(option('--task <name>', `the task: ${taskList()}`, oneOf(TASK_NAMES)))
    .addOption(dataOption())
    .addOption(
      option('--seed <n>', 'of the split into training and held-out prompts and of the training (default: 1)', seed),
    )
    .addOption(option('--steps <n>', `updates ${defaultText((t) => t.defaults.base.steps)}`, integer(1)))
    .addOption(option('--depth <n>', `transformer blocks ${defaultText((t) => t.defaults.base.depth)}`, size))
    .addOption(option('--width <n>', `width of the model ${defaultText((t) => t.defaults.base.width)}`, size))
    .addOption(option('--heads <n>', `attention heads ${defaultText((t) => t.defaults.base.heads)}`, size))
    .addOption(
      option('--batch-size <n>', `rows per update ${defaultText((t) => t.defaults.base.batchSize)}`, integer(1)),
    )
    .addOption(
      option(
        '--learning-rate <x>',
        `highest learning rate, after warm-up and before its fall ${defaultText((t) => t.defaults.base.learningRate)}`,
        positive,
      ),
    );
  for (const made of [...placementOptions(), ...trainingOptions(OUTPUT)]) command.addOption(made);
  action<Options>(command, { stopping: 'Stopping: the run will be saved.', body: trainBase });
}

async function trainBase(options: Options, session: Session): Promise<Result> {
  const given = pick<Settings>(options, SETTINGS);
  if (given.data) given.data = resolve(given.data);
  const device = await deviceOption(options);
  const paths = { ...options, output: options.output ?? OUTPUT };
  const run = await TrainingRun.open<Settings>('train-base', paths, given, async (known) => {
    const entry = taskNamed(known.task);
    const own = { seed: 1, compute: DEFAULT_COMPUTE, ...entry.defaults.base, ...known };
    checkHeads(own);
    const task = await openWithData(entry, { seed: own.seed, data: own.data ?? undefined }, session);
    return { settings: { ...own, ...dataSettings(task) }, task };
  });
  const { settings, task, output } = run;
  const file = run.file(STATE_FILES.base);
  const fresh = task.baseTrainer(settings, { device, compute: settings.compute });
  const trainer = run.resuming ? await BaseTrainer.resume(file, fresh.options) : fresh;
  const { last, seconds } = await run.train(session, {
    title: 'Base model',
    steps: settings.steps,
    trainer,
    run: (steps, signal) => trainer.run({ steps, signal }),
    save: () => trainer.save(file),
    detail: ({ loss }) => `loss ${loss.toFixed(3)}`,
  });
  await (trainer.options.model as TransformerLM<ComputeType>).save(output, { metadata: taskMetadata(task) });
  await run.close();
  return {
    json: trainedJson({ command: 'train-base', output, device, settings, task, trainer, seconds, last }),
    text: `${output}: ${trainer.step} steps${last ? `, loss ${last.loss.toFixed(3)}` : ''}`,
  };
}
