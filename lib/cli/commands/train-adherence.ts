import type { Command } from 'commander';
import { type EncoderOptions, encoderOptions, trainEncoders } from '../encoder-command.ts';
import { UsageError } from '../failure.ts';
import { action, type Result, type Session } from '../session.ts';
import type { CliTask, EmbedderSettings, TaskEntry } from '../tasks/task.ts';
import { TASKS } from '../tasks.ts';
import { STATE_FILES } from '../training-run.ts';

const OUTPUT = 'adherence.safetensors';

export function trainAdherenceCommand(program: Command): void {
  const command = program
    .command('train-adherence')
    .summary('train the model that scores how well a tune does what its prompt asks for')
    .description(
      'Trains two encoders by contrast, one of prompts and one of tunes: a tune is to lie close to its own prompt and far ' +
        'from others. The cosine between the two is the quality that evaluate measures. For chords a rule says what is valid.',
    );
  encoderOptions(command, { output: OUTPUT, byDefault });
  action<EncoderOptions>(command, { stopping: 'Stopping: the run will be saved.', body: trainAdherence });
}

function byDefault(key: keyof EmbedderSettings): string {
  const told = TASKS.flatMap(({ name, defaults: { adherence } }) => {
    return adherence ? [`${adherence[key]} for ${name}`] : [];
  });
  return `(default: ${told.join(', ')})`;
}

function trainAdherence(options: EncoderOptions, session: Session): Promise<Result> {
  return trainEncoders<Record<never, never>>(options, {}, session, {
    name: 'train-adherence',
    output: OUTPUT,
    stateFile: STATE_FILES.adherence,
    title: 'Adherence',
    complete: (entry) => ({ own: {}, defaults: defaultsOf(entry) }),
    training: (task, settings, placement, resumed) => trainingOf(task)(settings, placement, resumed),
    finds: "finds a held-out tune's prompt",
  });
}

function defaultsOf({ name, defaults }: TaskEntry): EmbedderSettings {
  if (defaults.adherence) return defaults.adherence;
  const names = TASKS.filter((task) => task.defaults.adherence).map((task) => task.name);
  throw new UsageError(`--task: expected one whose quality a model measures (${names.join(', ')}), got '${name}'`);
}

function trainingOf(task: CliTask): NonNullable<CliTask['adherenceTraining']> {
  if (task.adherenceTraining) return task.adherenceTraining.bind(task);
  throw new UsageError(`--task: task '${task.name}' has no model of adherence`);
}
