import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { ComputeType } from '../tensor/tensor.ts';
import { checkHeads, integer, oneOf, option, seed } from './options.ts';
import {
  DEFAULT_COMPUTE,
  deviceOption,
  type ModelPlacement,
  type PlacementFlags,
  placementOptions,
} from './placement.ts';
import { taskMetadata } from './provenance.ts';
import type { Result, Session } from './session.ts';
import { type DataSettings, dataOption, dataSettings, openWithData } from './task-data.ts';
import type { CliTask, EmbedderSettings, EncoderTraining, TaskEntry } from './tasks/task.ts';
import { TASK_NAMES, taskList, taskNamed } from './tasks.ts';
import { trainedJson } from './trained-json.ts';
import { pick, type Setting, type TrainingOptions, TrainingRun, trainingOptions } from './training-run.ts';

/** The settings of a command that trains encoders by contrast. */
export interface EncoderRunSettings extends EmbedderSettings, DataSettings {
  seed: number;
  compute: ComputeType;
}

export type EncoderOptions = Partial<EncoderRunSettings> & TrainingOptions & PlacementFlags;

const SHAPE = ['steps', 'depth', 'width', 'heads', 'dimensions', 'batchSize'] as const;
const SETTINGS = ['task', 'data', 'seed', 'compute', ...SHAPE] as const;

/**
 * The options that such commands share.
 *
 * @param byDefault a remark on a setting's default
 */
export function encoderOptions(
  command: Command,
  { output, byDefault }: { output: string; byDefault: (key: keyof EmbedderSettings) => string },
): void {
  const size = integer(1, 65_536);
  command
    .addOption(option('--task <name>', `the task: ${taskList()}`, oneOf(TASK_NAMES)))
    .addOption(dataOption())
    .addOption(
      option('--seed <n>', 'of the split into training and held-out prompts and of the training (default: 1)', seed),
    )
    .addOption(option('--steps <n>', `updates ${byDefault('steps')}`, integer(1)))
    .addOption(option('--depth <n>', `transformer blocks ${byDefault('depth')}`, size))
    .addOption(option('--width <n>', `width of the encoder ${byDefault('width')}`, size))
    .addOption(option('--heads <n>', `attention heads ${byDefault('heads')}`, size))
    .addOption(option('--dimensions <n>', `width of the embedding ${byDefault('dimensions')}`, size))
    .addOption(
      option('--batch-size <n>', `items per update, each the others' negative ${byDefault('batchSize')}`, integer(2)),
    );
  for (const made of [...placementOptions(), ...trainingOptions(output)]) command.addOption(made);
}

/** What a command trains, and how it tells of it. */
export interface EncoderCommand<Own extends Record<keyof Own, Setting>> {
  name: string;
  output: string;
  /** The file of the unfinished run's state. */
  stateFile: string;
  title: string;
  /** The command's own settings, and the defaults of the shared ones; throws UsageError where the task has no such model. */
  complete(entry: TaskEntry, own: Partial<Own>): { own: Own; defaults: EmbedderSettings };
  training(
    task: CliTask,
    settings: EmbedderSettings & Own,
    placement: ModelPlacement,
    resumed: string | null,
  ): Promise<EncoderTraining>;
  /** What the share of finds says: "finds a held-out item by its other view". */
  finds: string;
}

/** Trains encoders, saves them, and measures their retrieval on what is held out. */
export async function trainEncoders<Own extends Record<keyof Own, Setting>>(
  options: EncoderOptions,
  own: Partial<Own>,
  session: Session,
  command: EncoderCommand<Own>,
): Promise<Result> {
  type Settings = EncoderRunSettings & Own;
  const shared = pick<EncoderRunSettings>(options, SETTINGS);
  if (shared.data) shared.data = resolve(shared.data);
  const given = { ...shared, ...own } as Partial<Settings>;
  const device = await deviceOption(options);
  const paths = { ...options, output: options.output ?? command.output };
  const run = await TrainingRun.open<Settings>(command.name, paths, given, async (known) => {
    const entry = taskNamed(known.task);
    const completed = command.complete(entry, known);
    const settings = { seed: 1, compute: DEFAULT_COMPUTE, ...completed.defaults, ...known, ...completed.own };
    checkHeads(settings);
    const task = await openWithData(entry, { seed: settings.seed, data: known.data ?? undefined }, session);
    return { settings: { ...settings, ...dataSettings(task) }, task };
  });
  const { settings, task, output } = run;
  const file = run.file(command.stateFile);
  const placement = { device, compute: settings.compute };
  const training = await command.training(task, settings, placement, run.resuming ? file : null);
  const { trainer } = training;
  const { last, seconds } = await run.train(session, {
    title: command.title,
    steps: settings.steps,
    trainer,
    run: (steps, signal) => trainer.run({ steps, signal }),
    save: () => trainer.save(file),
    detail: ({ loss }) => `loss ${loss.toFixed(3)}`,
  });
  await training.save(output, taskMetadata(task));
  await run.close();
  const retrieval = task.heldOutPrompts.length > 0 ? await training.retrieval() : null;
  const found = retrieval
    ? `${command.finds} among ${retrieval.candidates} in ${(100 * retrieval.retrievalAt1).toFixed(1)} % of the cases`
    : 'nothing is held out that it could be measured on';
  return {
    json: {
      ...trainedJson({ command: command.name, output, device, settings, task, trainer, seconds, last }),
      retrieval,
    },
    text: `${output}: ${trainer.step} steps${last ? `, loss ${last.loss.toFixed(3)}` : ''}; ${found}`,
  };
}
