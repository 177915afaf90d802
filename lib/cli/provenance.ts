import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { CheckpointError, ValueError } from '../errors.ts';
import { openCheckpoint } from '../models/safetensors/checkpoint.ts';
import { TransformerLM } from '../models/transformer-lm.ts';
import type { ComputeType } from '../tensor/tensor.ts';
import { UsageError } from './failure.ts';
import type { ModelPlacement } from './placement.ts';
import type { CliTask } from './tasks/task.ts';
import { taskNamed } from './tasks.ts';

/** What a checkpoint's metadata tells of where it comes from; what it does not tell is undefined. */
export interface Provenance {
  path: string;
  /** Whether it is several files with an index. */
  sharded: boolean;
  task: string | undefined;
  /** Seed of the split into training and held-out prompts. */
  splitSeed: number | undefined;
  /** Diversity weight β it was distilled with; for a merged one, that of its diverse end. Undefined for several. */
  beta: number | undefined;
  /** The same where it was distilled with several rewards: as the file has it, "5,3". */
  betas: string | undefined;
  /** Who wrote the sequences that it was distilled on: 'student', 'teacher' or 'data'. */
  rollouts: string | undefined;
  /** The vocabulary it speaks, as its task writes it. */
  vocabulary: string | undefined;
  /** Digest of the data it was trained on. */
  data: string | undefined;
  /** Guidance scale of its teacher. */
  scale: number | undefined;
  /** Digest of the base model it was finetuned from. */
  base: string | undefined;
  /** Whether it is a merge or an average. */
  merged: boolean;
  /** Interpolation weight λ of a merge of two. */
  lambda: number | undefined;
}

/** The metadata that ties a checkpoint to its task, split, vocabulary and data. */
export function taskMetadata({
  name,
  seed,
  vocabulary,
  data,
}: Pick<CliTask, 'name' | 'seed'> & {
  vocabulary?: string | undefined;
  data?: { digest: string } | null | undefined;
}): Record<string, string> {
  return {
    task: name,
    split_seed: String(seed),
    ...(vocabulary !== undefined && { vocabulary }),
    ...(data && { data: data.digest }),
  };
}

/** Reads a checkpoint's metadata, a file's or a sharded one's. Rejects with CheckpointError when the file is missing or damaged. */
export async function readProvenance(path: string): Promise<Provenance> {
  const { metadata, index, close } = await openCheckpoint(path);
  await close();
  const numberIn = (key: string): number | undefined => {
    const value = Number(metadata[key] ?? 'none');
    return Number.isFinite(value) ? value : undefined;
  };
  return {
    path,
    sharded: index !== null,
    task: metadata.task,
    splitSeed: numberIn('split_seed'),
    beta: numberIn('beta'),
    betas: metadata.beta?.includes(',') ? metadata.beta : undefined,
    rollouts: metadata.rollouts,
    vocabulary: metadata.vocabulary,
    data: metadata.data,
    scale: numberIn('scale'),
    base: metadata.base,
    merged: metadata.merged_from !== undefined,
    lambda: mergeWeight(metadata.merged_from, path),
  };
}

function mergeWeight(mergedFrom: string | undefined, path: string): number | undefined {
  if (mergedFrom === undefined) return undefined;
  try {
    const { weight } = JSON.parse(mergedFrom) as { weight?: unknown };
    return typeof weight === 'number' ? weight : undefined;
  } catch (cause) {
    throw new CheckpointError(`${path}: 'merged_from' in the metadata is not valid JSON`, path, { cause });
  }
}

/** The name of the task that checkpoints are for: the one given, which must not contradict them, or theirs. */
export function taskOf(files: readonly Provenance[], given: string | undefined) {
  const named = files.filter((file) => file.task !== undefined);
  const name = given ?? named[0]?.task;
  const other = named.find(({ task }) => task !== name);
  if (other) throw new ValueError(`${other.path}: expected a checkpoint of task '${name}', got one of '${other.task}'`);
  return taskNamed(name);
}

/**
 * The seed of the split that checkpoints were trained with. Throws ValueError when they differ or do not tell, and
 * none is given: judging a model on prompts that it was trained on would flatter it.
 */
export function splitSeedOf(files: readonly Provenance[], given: number | undefined): number {
  if (given !== undefined) return given;
  const told = files.filter((file) => file.splitSeed !== undefined);
  const [first] = told;
  const other = told.find(({ splitSeed }) => splitSeed !== first?.splitSeed);
  if (first?.splitSeed === undefined) {
    throw new ValueError(
      `${files[0]?.path}: does not tell the seed of its split into training and held-out prompts; give it by --split-seed`,
    );
  }
  if (other) {
    throw new ValueError(
      `${first.path} was trained on the split of seed ${first.splitSeed}, ${other.path} on that of ${other.splitSeed}; ` +
        'use checkpoints of one split, or choose one by --split-seed',
    );
  }
  return first.splitSeed;
}

/** What the vocabularies of checkpoints are, where they tell. Throws CheckpointError when they differ. */
export function vocabularyOf(files: readonly Provenance[]): string | undefined {
  const told = files.filter(({ vocabulary }) => vocabulary !== undefined);
  const other = told.find(({ vocabulary }) => vocabulary !== told[0]?.vocabulary);
  if (!other) return told[0]?.vocabulary;
  throw new CheckpointError(
    `${other.path}: expected the vocabulary of ${told[0]?.path}, got another one: train all on the same data, with the ` +
      'same seed',
    other.path,
  );
}

/** Rejects with CheckpointError when a checkpoint speaks another vocabulary than the task, or another task's language. */
export function checkVocabulary({ path, vocabulary }: Provenance, task: CliTask): void {
  if (vocabulary === task.vocabulary) return;
  const expected = task.vocabulary === undefined ? 'no vocabulary in its metadata' : "the task's vocabulary";
  const got = vocabulary === undefined ? 'none' : 'another one';
  throw new CheckpointError(`${path}: task '${task.name}' expects ${expected}, got ${got}`, path);
}

/** Throws ValueError when a checkpoint was trained on other data than the task has: its split would be another. */
export function checkData(files: readonly Provenance[], { data }: CliTask): void {
  const other = files.find((file) => file.data !== undefined && file.data !== data?.digest);
  if (!other || !data) return;
  throw new ValueError(
    `--data: expected what ${other.path} was trained on, got other data in ${data.path}: what is held out of it may be ` +
      'what the model was trained on',
    'data',
  );
}

/** Loads a language model that fits the task. Rejects with CheckpointError when it does not. */
export async function loadLanguageModel(
  path: string,
  task: CliTask,
  placement: ModelPlacement,
): Promise<TransformerLM<ComputeType>> {
  const model = await TransformerLM.load(path, placement);
  try {
    const needed = task.noPrompt.length + task.maxTokens;
    if (model.vocabularySize !== task.vocabularySize || model.config.maxPositions < needed) {
      throw new CheckpointError(
        `${path}: task '${task.name}' expects ${task.vocabularySize} tokens and at least ${needed} positions, ` +
          `got ${model.vocabularySize} and ${model.config.maxPositions}`,
        path,
      );
    }
    checkVocabulary(await readProvenance(path), task);
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** SHA-256 of a file, in hexadecimal. */
export async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  } catch (cause) {
    throw new CheckpointError(`${path}: cannot be read: ${(cause as Error).message}`, path, { cause });
  }
  return hash.digest('hex');
}

/** `value`, or a UsageError that says which option is missing. */
export function required<T>(value: T | undefined, message: string): T {
  if (value === undefined) throw new UsageError(message);
  return value;
}
