import { basename } from 'node:path';
import { type Checkpoint, openCheckpoint } from '../models/safetensors/checkpoint.ts';
import { layOut } from '../models/safetensors/layout.ts';
import { checkSameTensors } from './agreement.ts';
import { FileOutput, FolderOutput, type Output } from './output.ts';
import { DEFAULT_MEMORY_BYTES, divide } from './pieces.ts';
import type { Recipe } from './recipe.ts';
import { segmentsOf } from './segments.ts';
import { settled } from './settled.ts';
import { Stream, type Written } from './stream.ts';
import { checkTargets } from './targets.ts';
import type { StreamOptions } from './types.ts';

/** An output that is wanted. */
export interface Target {
  path: string;
  /** Entries of its metadata, in place of the first input's of the same names. */
  metadata: Readonly<Record<string, string>>;
}

/**
 * Merges checkpoints into one output per target, in files arranged as the first input's, in one reading of all.
 *
 * @param inputs paths
 * @param recipeOf the recipe, once the tensors' names are known
 */
export async function merge(
  inputs: readonly string[],
  recipeOf: (names: Iterable<string>) => Recipe,
  targets: readonly Target[],
  options: StreamOptions,
): Promise<void> {
  const { memoryBytes = DEFAULT_MEMORY_BYTES, signal } = options;
  const division = divide(memoryBytes, inputs.length, targets.length);
  signal?.throwIfAborted();
  const checkpoints: Checkpoint[] = [];
  try {
    for (const path of inputs) checkpoints.push(await openCheckpoint(path));
    const [first] = checkpoints as [Checkpoint];
    for (const other of checkpoints.slice(1)) checkSameTensors(first, other);
    const recipe = recipeOf(first.tensors.keys());
    await checkTargets(
      targets.map(({ path }) => path),
      checkpoints,
      first.index !== null,
    );
    signal?.throwIfAborted();
    await write(checkpoints, recipe, targets, new Stream(division, inputs.length, targets.length), options);
  } finally {
    await settled(checkpoints.map((checkpoint) => checkpoint.close()));
  }
}

async function write(
  checkpoints: readonly Checkpoint[],
  recipe: Recipe,
  targets: readonly Target[],
  stream: Stream,
  { onProgress, signal }: StreamOptions,
): Promise<void> {
  const [first] = checkpoints as [Checkpoint];
  const outputs = targets.map((target) => outputOf(first, target));
  let total = 0;
  for (const { begin, end } of first.tensors.values()) total += (end - begin) * outputs.length;
  let done = 0;
  let syncing: Promise<void> = Promise.resolve();
  try {
    for (const { path, entries, metadata } of first.files) {
      const laidOut = targets.map((target) => layOut(entries, { ...metadata, ...target.metadata }));
      const written: Written[] = [];
      for (const [i, { head }] of laidOut.entries()) {
        const file = await outputs[i]!.open(basename(path));
        await file.write(head, 0);
        written.push({ file, start: head.byteLength });
      }
      await stream.run({
        segments: segmentsOf(laidOut[0]!.entries, checkpoints, recipe),
        outputs: written,
        onPiece: ({ segment, bytes }) => {
          done += bytes * outputs.length;
          onProgress?.({ done, total, tensor: segment.name });
        },
        signal,
      });
      // The disk takes one shard while the next is merged; never more than two are open.
      await syncing;
      syncing = settled(written.map(({ file }) => file.sync()));
      // Awaited below, or of no interest after another failure.
      syncing.catch(() => {});
    }
    await syncing;
    for (const output of outputs) await output.seal();
    // From here on there is no way back: what has been published is whole, and the rest follows at once.
    signal?.throwIfAborted();
    for (const output of outputs) await output.publish();
  } catch (error) {
    await syncing.catch(() => {});
    // Backwards, as outputs may share folders that the first of them made.
    for (const output of outputs.toReversed()) await output.discard().catch(() => {});
    throw error;
  }
}

function outputOf({ index, tensors }: Checkpoint, { path, metadata }: Target): Output {
  if (!index) return new FileOutput(path);
  let total_size = 0;
  for (const { begin, end } of tensors.values()) total_size += end - begin;
  const weight_map = Object.fromEntries([...index.weightMap].sort(([a], [b]) => (a < b ? -1 : 1)));
  const content = JSON.stringify({ metadata: { ...index.metadata, ...metadata, total_size }, weight_map }, null, 2);
  return new FolderOutput(path, { name: index.name, content: `${content}\n` });
}
