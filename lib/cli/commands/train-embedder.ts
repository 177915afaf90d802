import type { Command } from 'commander';
import { type EncoderOptions, encoderOptions, trainEncoders } from '../encoder-command.ts';
import { UsageError } from '../failure.ts';
import { oneOf, option } from '../options.ts';
import { action, type Result, type Session } from '../session.ts';
import type { EmbedderKind, EmbedderSettings, TaskEntry } from '../tasks/task.ts';
import { TASKS } from '../tasks.ts';
import { STATE_FILES } from '../training-run.ts';

type Options = EncoderOptions & { kind?: EmbedderKind };

const OUTPUT = 'embedder.safetensors';
const KINDS = ['symbolic', 'audio'] as const satisfies readonly EmbedderKind[];

export function trainEmbedderCommand(program: Command): void {
  const command = program
    .command('train-embedder')
    .summary('train the embedder that measures and rewards diversity')
    .description(
      'Trains a bidirectional encoder by contrast: two views of one item are to be close, other items far. How far apart ' +
        'two generations lie in it is their diversity. Use the seed of the base model, so that both hold out the same prompts.',
    )
    .addOption(
      option(
        '--kind <name>',
        'what it reads of a generation: its tokens (symbolic) or, for tunes, its sound (audio) (default: symbolic)',
        oneOf(KINDS),
      ),
    );
  encoderOptions(command, { output: OUTPUT, byDefault });
  action<Options>(command, { stopping: 'Stopping: the run will be saved.', body: trainEmbedder });
}

/** A remark for an option's help: its default in every task, for every kind of embedder. */
function byDefault(key: keyof EmbedderSettings): string {
  const told = TASKS.flatMap(({ name, defaults }) =>
    KINDS.flatMap((kind) => {
      const settings = defaults.embedder[kind];
      return settings ? [`${settings[key]} for ${name}${kind === 'audio' ? ' by sound' : ''}`] : [];
    }),
  );
  return `(default: ${told.join(', ')})`;
}

function trainEmbedder(options: Options, session: Session): Promise<Result> {
  return trainEncoders<{ kind: EmbedderKind }>(options, options.kind ? { kind: options.kind } : {}, session, {
    name: 'train-embedder',
    output: OUTPUT,
    stateFile: STATE_FILES.embedder,
    title: 'Embedder',
    complete: (entry, { kind = 'symbolic' }) => ({ own: { kind }, defaults: defaultsOf(entry, kind) }),
    training: (task, settings, placement, resumed) =>
      task.embedderTraining(settings.kind, settings, placement, resumed),
    finds: 'finds a held-out item by its other view',
  });
}

function defaultsOf({ name, defaults }: TaskEntry, kind: EmbedderKind): EmbedderSettings {
  const found = defaults.embedder[kind];
  if (found) return found;
  const kinds = KINDS.filter((own) => defaults.embedder[own]);
  throw new UsageError(`--kind: task '${name}' has embedders of kind ${kinds.join(', ')}, got ${kind}`);
}
