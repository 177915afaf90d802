import { CheckpointError } from '../errors.ts';
import { fillParameters, storedParameters } from '../models/model-file.ts';
import type { Parameter } from '../models/parameter.ts';
import { loadSafetensors, type StoredTensor, saveSafetensors } from '../models/safetensors.ts';
import type { Optimizer } from './optimizer.ts';

/** What a training file says besides its tensors. */
export interface TrainingHeader {
  /** Which trainer wrote it. */
  kind: string;
  /** Updates made. */
  step: number;
  /** The trainer's options that are plain data. */
  options: unknown;
}

export interface TrainingFile extends TrainingHeader {
  tensors: ReadonlyMap<string, StoredTensor>;
}

const PREFIX = 'model.';

/** Writes weights, moments and step as one file, atomically: whatever happens, the file is of one moment. */
export async function saveTraining(
  path: string,
  { kind, options }: Omit<TrainingHeader, 'step'>,
  parameters: Iterable<Parameter>,
  optimizer: Optimizer,
): Promise<void> {
  const step = optimizer.steps;
  const [weights, moments] = await Promise.all([storedParameters(parameters, { prefix: PREFIX }), optimizer.state()]);
  await saveSafetensors(path, [...weights, ...moments], {
    format: 'cfgdistill',
    kind,
    step: String(step),
    options: JSON.stringify(options, (_, value) => (value === Infinity ? 'Infinity' : value)),
  });
}

/** Reads what `saveTraining` wrote. Rejects with CheckpointError when it is damaged or of another kind. */
export async function loadTraining(path: string, kind: string): Promise<TrainingFile> {
  const { tensors, metadata } = await loadSafetensors(path);
  const step = Number(metadata.step);
  if (metadata.kind !== kind || !Number.isSafeInteger(step) || step < 0 || metadata.options === undefined) {
    const got = metadata.kind ? `one of kind '${metadata.kind}'` : 'a file without training state';
    throw new CheckpointError(`${path}: expected a training checkpoint of kind '${kind}', got ${got}`, path);
  }
  try {
    return {
      kind,
      step,
      options: JSON.parse(metadata.options, (_, value) => (value === 'Infinity' ? Infinity : value)),
      tensors,
    };
  } catch (cause) {
    throw new CheckpointError(`${path}: the options in the metadata are not valid JSON`, path, { cause });
  }
}

/** Puts a file's weights and moments in place. */
export function restoreTraining(
  file: TrainingFile,
  path: string,
  parameters: Iterable<Parameter>,
  optimizer: Optimizer,
): void {
  fillParameters(parameters, file.tensors, path, PREFIX);
  optimizer.restore(file.tensors, file.step, path);
}
