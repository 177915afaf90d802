import type { Command } from 'commander';
import { ContrastiveTrainer } from '../../embedders/contrastive-trainer.ts';
import type { ComputeType } from '../../tensor/tensor.ts';
import { checkHeads, integer, oneOf, option, seed } from '../options.ts';
import { DEFAULT_COMPUTE, deviceOption, type PlacementFlags, placementOptions } from '../placement.ts';
import { taskMetadata } from '../provenance.ts';
import { action, type Result, type Session } from '../session.ts';
import type { EmbedderSettings } from '../tasks/task.ts';
import { defaultText, TASK_NAMES, taskList, taskNamed } from '../tasks.ts';
import { pick, STATE_FILES, type TrainingOptions, TrainingRun, trainingOptions } from '../training-run.ts';

type Settings = EmbedderSettings & { task: string; seed: number; compute: ComputeType };
type Options = Partial<Settings> & TrainingOptions & PlacementFlags;

const OUTPUT = 'embedder.safetensors';
const SETTINGS = ['task', 'seed', 'compute', 'steps', 'depth', 'width', 'heads', 'dimensions', 'batchSize'] as const;

export function trainEmbedderCommand(program: Command): void {
  const size = integer(1, 65_536);
  const command = program
    .command('train-embedder')
    .summary('train the embedder that measures and rewards diversity')
    .description(
      'Trains a bidirectional encoder by contrast: two views of one item are to be close, other items far. How far apart ' +
        'two generations lie in it is their diversity. Use the seed of the base model, so that both hold out the same prompts.',
    )
    .addOption(option('--task <name>', `the task: ${taskList()}`, oneOf(TASK_NAMES)))
    .addOption(
      option('--seed <n>', 'of the split into training and held-out prompts and of the training (default: 1)', seed),
    )
    .addOption(option('--steps <n>', `updates ${defaultText((t) => t.defaults.embedder.steps)}`, integer(1)))
    .addOption(option('--depth <n>', `transformer blocks ${defaultText((t) => t.defaults.embedder.depth)}`, size))
    .addOption(option('--width <n>', `width of the encoder ${defaultText((t) => t.defaults.embedder.width)}`, size))
    .addOption(option('--heads <n>', `attention heads ${defaultText((t) => t.defaults.embedder.heads)}`, size))
    .addOption(
      option('--dimensions <n>', `width of the embedding ${defaultText((t) => t.defaults.embedder.dimensions)}`, size),
    )
    .addOption(
      option(
        '--batch-size <n>',
        `items per update, each the others' negative ${defaultText((t) => t.defaults.embedder.batchSize)}`,
        integer(2),
      ),
    );
  for (const made of [...placementOptions(), ...trainingOptions(OUTPUT)]) command.addOption(made);
  action<Options>(command, { stopping: 'Stopping: the run will be saved.', body: trainEmbedder });
}

async function trainEmbedder(options: Options, session: Session): Promise<Result> {
  const given = pick<Settings>(options, SETTINGS);
  const device = await deviceOption(options);
  const paths = { ...options, output: options.output ?? OUTPUT };
  const run = await TrainingRun.open('train-embedder', paths, given, (known) => {
    const entry = taskNamed(known.task);
    const settings: Settings = {
      task: entry.name,
      seed: 1,
      compute: DEFAULT_COMPUTE,
      ...entry.defaults.embedder,
      ...known,
    };
    checkHeads(settings);
    return settings;
  });
  const { settings, output } = run;
  const task = taskNamed(settings.task).open(settings.seed);
  const file = run.file(STATE_FILES.embedder);
  const fresh = task.embedderTrainer(settings, { device, compute: settings.compute });
  const trainer = run.resuming ? await ContrastiveTrainer.resume(file, fresh.options) : fresh;
  const { last, seconds } = await run.train(session, {
    title: 'Embedder',
    steps: settings.steps,
    trainer,
    run: (steps, signal) => trainer.run({ steps, signal }),
    save: () => trainer.save(file),
    detail: ({ loss }) => `loss ${loss.toFixed(3)}`,
  });
  const { encoder } = trainer.options;
  await encoder.save(output, { metadata: taskMetadata(task) });
  await run.close();
  const { retrievalAt1, candidates } = await task.retrieval(task.embedder(encoder));
  const percent = (100 * retrievalAt1).toFixed(1);
  return {
    json: {
      command: 'train-embedder',
      output,
      device: device.id,
      settings,
      step: trainer.step,
      seconds,
      metrics: last,
      retrieval: { retrievalAt1, candidates },
    },
    text:
      `${output}: ${trainer.step} steps${last ? `, loss ${last.loss.toFixed(3)}` : ''}; ` +
      `finds a held-out item by its other view among ${candidates} in ${percent} % of the cases`,
  };
}
