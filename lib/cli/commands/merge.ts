import type { Command } from 'commander';
import { averageCheckpoints, type MergeMethod, type MergeProgress, mergeCheckpoints } from '../../merge.ts';
import { UsageError } from '../failure.ts';
import { integer, listOf, number, oneOf, option, type Parser, repeatable, text } from '../options.ts';
import { type Provenance, readProvenance, required, vocabularyOf } from '../provenance.ts';
import { action, type Result, type Session } from '../session.ts';

interface Options {
  quality?: string;
  diverse?: string;
  average?: string[];
  weights?: number[];
  method?: MergeMethod;
  layer?: Layer[];
  memory?: number;
  output?: string;
}

interface Layer {
  pattern: string;
  weights: number[];
}

const WEIGHTS = [0, 0.25, 0.5, 0.75, 1];

export function mergeCommand(program: Command): void {
  const command = program
    .command('merge')
    .summary('interpolate a quality-focused with a diversity-focused model, or average several')
    .description(
      'Writes one checkpoint per weight λ: all weights of the model are (1 − λ) · quality + λ · diverse. One number so ' +
        'steers between the two. With --average it writes the weighted average of several checkpoints instead. All must ' +
        'have been finetuned from the same base model. A checkpoint is a safetensors file, or the folder or index of a ' +
        'sharded one; what is sharded gives folders sharded in the same way. The files are streamed: memory stays the ' +
        'same whatever their size.',
    )
    .addOption(option('--quality <path>', 'the end at weight 0, such as one distilled with β = 0', text))
    .addOption(option('--diverse <path>', 'the end at weight 1, such as one distilled with a large β', text))
    .option('--average <paths...>', 'checkpoints to average instead')
    .addOption(
      option(
        '--weights <list>',
        `weights between commas; with --average one per checkpoint (default: ${WEIGHTS.join(',')}; --average: equal ones)`,
        listOf(number()),
      ),
    )
    .addOption(
      option(
        '--method <name>',
        'lerp: along the straight line; slerp: each tensor along the arc between its ends (default: lerp)',
        oneOf(['lerp', 'slerp']),
      ),
    )
    .addOption(
      repeatable(
        '--layer <pattern=weight>',
        "another weight for the tensors whose names fit, such as 'blocks.*.attention.*=0.3'; with --average one weight " +
          'per checkpoint between commas; the first that fits decides',
        layer,
      ),
    )
    .addOption(option('--memory <MB>', 'most megabytes that the buffers take (default: 256)', integer(1)))
    .addOption(
      option(
        '-o, --output <path>',
        "where to write; '{weight}' becomes the weight (default: merged-{weight}.safetensors; --average: " +
          'averaged.safetensors; without .safetensors for folders)',
        text,
      ),
    );
  action<Options>(command, { stopping: 'Stopping: nothing is left behind.', body: merge });
}

const layer: Parser<Layer> = {
  expected: "a pattern, '=' and a weight",
  parse: (given) => {
    const at = given.lastIndexOf('=');
    const weights = listOf(number()).parse(given.slice(at + 1));
    return at > 0 && weights && weights.length > 0 ? { pattern: given.slice(0, at), weights } : undefined;
  },
};

async function merge(options: Options, session: Session): Promise<Result> {
  if (options.average) return average(options, options.average, session);
  const quality = required(options.quality, '--quality: expected a checkpoint, got none');
  const diverse = required(options.diverse, '--diverse: expected a checkpoint, got none');
  const { weights = WEIGHTS, method } = options;
  if (weights.length === 0) throw new UsageError('--weights: expected at least one, got none');
  if (weights.length > 1 && options.output?.includes('{weight}') === false) {
    throw new UsageError(`--output: expected '{weight}' in it for ${weights.length} weights, got '${options.output}'`);
  }
  if (new Set(weights).size !== weights.length) {
    throw new UsageError(`--weights: expected weights that differ, got ${weights.join(',')}`);
  }
  const layers = options.layer?.map(({ pattern, weights: own }) => {
    if (own.length === 1) return { pattern, weight: own[0] as number };
    throw new UsageError(`--layer: expected one weight for '${pattern}', got ${own.join(',')}`);
  });
  const ends = await Promise.all([readProvenance(quality), readProvenance(diverse)]);
  const output = options.output ?? `merged-{weight}${ends[0].sharded ? '' : '.safetensors'}`;
  warnOfKinship(ends, session);
  const beta = ends[1].beta ?? ends[1].betas;
  const files = await withProgress(session, (onProgress) =>
    mergeCheckpoints({
      quality,
      diverse,
      weights,
      output,
      ...(method && { method }),
      ...(layers && { layers }),
      ...(beta !== undefined && { metadata: { beta: String(beta) } }),
      ...memoryOf(options),
      onProgress,
      signal: session.signal,
    }),
  );
  return {
    json: { command: 'merge', quality, diverse, files },
    text: files.map(({ path }) => path).join('\n'),
  };
}

async function average(options: Options, checkpoints: string[], session: Session): Promise<Result> {
  const { quality, diverse, weights, method } = options;
  if (quality !== undefined || diverse !== undefined) {
    throw new UsageError('--average: expected without --quality and --diverse');
  }
  if (method === 'slerp') throw new UsageError('--method: expected lerp with --average, got slerp');
  if (weights && weights.length !== checkpoints.length) {
    throw new UsageError(`--weights: expected ${checkpoints.length}, one per checkpoint, got ${weights.length}`);
  }
  for (const { pattern, weights: own } of options.layer ?? []) {
    if (own.length !== checkpoints.length) {
      throw new UsageError(
        `--layer: expected ${checkpoints.length} weights for '${pattern}', one per checkpoint, got ${own.length}`,
      );
    }
  }
  const files = await Promise.all(checkpoints.map(readProvenance));
  const output = options.output ?? `averaged${files[0]?.sharded ? '' : '.safetensors'}`;
  warnOfKinship(files, session);
  await withProgress(session, (onProgress) =>
    averageCheckpoints({
      checkpoints,
      ...(weights && { weights }),
      ...(options.layer && { layers: options.layer }),
      output,
      ...memoryOf(options),
      onProgress,
      signal: session.signal,
    }),
  );
  return { json: { command: 'merge', checkpoints, weights: weights ?? null, files: [{ path: output }] }, text: output };
}

function memoryOf({ memory }: Options): { memoryBytes?: number } {
  return memory === undefined ? {} : { memoryBytes: memory * 1e6 };
}

/** Shows the megabytes written and the tensor that is worked on. */
async function withProgress<T>(
  { progress }: Session,
  work: (onProgress: (progress: MergeProgress) => void) => Promise<T>,
): Promise<T> {
  const megabytes = (bytes: number) => Math.round(bytes / 1e6);
  let started = false;
  try {
    return await work(({ done, total, tensor }) => {
      if (!started) progress.start('Merging, MB written', megabytes(total));
      started = true;
      progress.update(megabytes(done), tensor);
    });
  } finally {
    if (started) progress.stop();
  }
}

/**
 * Merging works because the models share their origin: says so where the files tell that they do not. Throws
 * CheckpointError when they speak different vocabularies.
 */
function warnOfKinship(files: readonly Provenance[], { note }: Session): void {
  vocabularyOf(files);
  const differ = (of: (file: Provenance) => unknown) => {
    return new Set(files.map(of).filter((value) => value !== undefined)).size > 1;
  };
  if (differ((file) => file.base))
    note('Note: these were finetuned from different base models; their merge may be useless.');
  if (differ((file) => file.task)) note('Note: these were trained on different tasks.');
  if (differ((file) => file.data)) note('Note: these were trained on different data.');
  if (differ((file) => file.splitSeed)) {
    note('Note: these were trained on different splits, so that no prompt is held out from all of them.');
  }
}
