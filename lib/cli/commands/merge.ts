import type { Command } from 'commander';
import { averageCheckpoints, mergeCheckpoints } from '../../merge.ts';
import { UsageError } from '../failure.ts';
import { listOf, number, option, text } from '../options.ts';
import { type Provenance, readProvenance, required } from '../provenance.ts';
import { action, type Result, type Session } from '../session.ts';

interface Options {
  quality?: string;
  diverse?: string;
  average?: string[];
  weights?: number[];
  output?: string;
}

const WEIGHTS = [0, 0.25, 0.5, 0.75, 1];

export function mergeCommand(program: Command): void {
  const command = program
    .command('merge')
    .summary('interpolate a quality-focused with a diversity-focused model, or average several')
    .description(
      'Writes one checkpoint per weight λ: all weights of the model are (1 − λ) · quality + λ · diverse. One number so ' +
        'steers between the two. With --average it writes the weighted average of several checkpoints instead. All must ' +
        'have been finetuned from the same base model.',
    )
    .addOption(option('--quality <file>', 'the end at weight 0, such as one distilled with β = 0', text))
    .addOption(option('--diverse <file>', 'the end at weight 1, such as one distilled with a large β', text))
    .option('--average <files...>', 'checkpoints to average instead')
    .addOption(
      option(
        '--weights <list>',
        `weights between commas; with --average one per checkpoint (default: ${WEIGHTS.join(',')}; --average: equal ones)`,
        listOf(number()),
      ),
    )
    .addOption(
      option(
        '-o, --output <file>',
        "where to write; '{weight}' becomes the weight (default: merged-{weight}.safetensors; --average: averaged.safetensors)",
        text,
      ),
    );
  action<Options>(command, { stopping: 'Stopping.', body: merge });
}

async function merge(options: Options, session: Session): Promise<Result> {
  if (options.average) return average(options, options.average, session);
  const quality = required(options.quality, '--quality: expected a checkpoint, got none');
  const diverse = required(options.diverse, '--diverse: expected a checkpoint, got none');
  const { weights = WEIGHTS, output = 'merged-{weight}.safetensors' } = options;
  if (weights.length === 0) throw new UsageError('--weights: expected at least one, got none');
  if (weights.length > 1 && !output.includes('{weight}')) {
    throw new UsageError(`--output: expected '{weight}' in it for ${weights.length} weights, got '${output}'`);
  }
  if (new Set(weights).size !== weights.length) {
    throw new UsageError(`--weights: expected weights that differ, got ${weights.join(',')}`);
  }
  const ends = await Promise.all([readProvenance(quality), readProvenance(diverse)]);
  warnOfKinship(ends, session);
  const beta = ends[1].beta;
  const files = await mergeCheckpoints({
    quality,
    diverse,
    weights,
    output,
    ...(beta !== undefined && { metadata: { beta: String(beta) } }),
    signal: session.signal,
  });
  return {
    json: { command: 'merge', quality, diverse, files },
    text: files.map(({ path }) => path).join('\n'),
  };
}

async function average(options: Options, checkpoints: string[], session: Session): Promise<Result> {
  const { quality, diverse, weights, output = 'averaged.safetensors' } = options;
  if (quality !== undefined || diverse !== undefined) {
    throw new UsageError('--average: expected without --quality and --diverse');
  }
  if (weights && weights.length !== checkpoints.length) {
    throw new UsageError(`--weights: expected ${checkpoints.length}, one per checkpoint, got ${weights.length}`);
  }
  warnOfKinship(await Promise.all(checkpoints.map(readProvenance)), session);
  await averageCheckpoints({ checkpoints, ...(weights && { weights }), output, signal: session.signal });
  return { json: { command: 'merge', checkpoints, weights: weights ?? null, files: [{ path: output }] }, text: output };
}

/** Merging works because the models share their origin: says so where the files tell that they do not. */
function warnOfKinship(files: readonly Provenance[], { note }: Session): void {
  const differ = (of: (file: Provenance) => unknown) => {
    return new Set(files.map(of).filter((value) => value !== undefined)).size > 1;
  };
  if (differ((file) => file.base))
    note('Note: these were finetuned from different base models; their merge may be useless.');
  if (differ((file) => file.task)) note('Note: these were trained on different tasks.');
  if (differ((file) => file.splitSeed)) {
    note('Note: these were trained on different splits, so that no prompt is held out from all of them.');
  }
}
