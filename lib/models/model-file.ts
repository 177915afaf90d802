import { CheckpointError, OutOfMemoryError, ShapeError } from '../errors.ts';
import { native } from '../native.ts';
import { allOrNothing } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Turns } from '../turns.ts';
import { uninitialized } from './initialize.ts';
import type { Parameter } from './parameter.ts';
import { fromFloat32, loadSafetensors, type StoredTensor, saveSafetensors, toFloat32 } from './safetensors.ts';
import { configFromMetadata } from './transformer-config.ts';

export interface SaveOptions {
  /** Type in which the weights are stored. Default 'float32', which loads back bit for bit. */
  dtype?: 'float32' | 'float16' | 'bfloat16';
  /** Further entries for the file's metadata. */
  metadata?: Readonly<Record<string, string>>;
}

const STORED = { float32: 'F32', float16: 'F16', bfloat16: 'BF16' } as const;

/** Reads parameters to the host, as safetensors entries; all of them as they are at the call. */
export async function storedParameters(
  parameters: Iterable<Parameter>,
  { dtype = 'float32', prefix = '' }: { dtype?: 'float32' | 'float16' | 'bfloat16'; prefix?: string } = {},
): Promise<[string, StoredTensor][]> {
  const reads = [...parameters].map(({ name, tensor }) => ({ name, shape: tensor.shape, values: tensor.read() }));
  for (const { values } of reads) values.catch(() => {}); // the first to fail is enough
  const stored: [string, StoredTensor][] = [];
  const turns = new Turns();
  for (const { name, shape, values } of reads) {
    stored.push([prefix + name, fromFloat32(await values, shape, STORED[dtype])]);
    await turns.pause();
  }
  return stored;
}

/**
 * Writes stored tensors into parameters of the same names and shapes, all of them or none. `source` names the file in
 * errors.
 */
export function fillParameters(
  parameters: Iterable<Parameter>,
  tensors: ReadonlyMap<string, StoredTensor>,
  source: string,
  prefix = '',
): void {
  const values = matched(parameters, tensors, source, prefix).map(({ tensor, stored, name }) => {
    return { tensor, data: toFloat32(stored, name) };
  });
  for (const { tensor, data } of values) tensor.write(data);
}

/** Each parameter with what is stored for it, whose shape and type are right. */
function matched(
  parameters: Iterable<Parameter>,
  tensors: ReadonlyMap<string, StoredTensor>,
  source: string,
  prefix = '',
): { tensor: Tensor; stored: StoredTensor; name: string }[] {
  const refuse = (message: string): never => {
    throw new CheckpointError(`${source}: ${message}`, source);
  };
  return [...parameters].map(({ name, tensor }) => {
    const full = prefix + name;
    const stored = tensors.get(full) ?? refuse(`expected a tensor '${full}', got none`);
    const { dtype, shape } = stored;
    if (shape.length !== tensor.shape.length || shape.some((d, i) => d !== tensor.shape[i])) {
      refuse(`tensor '${full}': expected [${tensor.shape.join(', ')}], got [${shape.join(', ')}]`);
    }
    if (!(Object.values(STORED) as string[]).includes(dtype)) {
      refuse(`tensor '${full}': expected F32, F16 or BF16, got ${dtype}`);
    }
    return { tensor, stored, name: full };
  });
}

/** Saves weights with the kind and config of their model in the metadata. */
export async function saveModel(
  path: string,
  kind: string,
  config: object,
  parameters: Iterable<Parameter>,
  { dtype = 'float32', metadata = {} }: SaveOptions,
): Promise<void> {
  const tensors = await storedParameters(parameters, { dtype });
  await saveSafetensors(path, tensors, { ...metadata, format: 'cfgdistill', kind, config: JSON.stringify(config) });
}

/** Makes a model from a file's config by `make`, and fills in its weights. */
export async function loadModel<M extends { parameters(): Iterable<Parameter>; dispose(): void }>(
  path: string,
  kind: string,
  make: (config: unknown) => M,
): Promise<M> {
  const { tensors, metadata } = await loadSafetensors(path);
  const config = configFromMetadata(metadata, kind, path);
  let model: M;
  try {
    model = uninitialized(() => make(config));
  } catch (cause) {
    if (cause instanceof OutOfMemoryError) throw cause;
    throw new CheckpointError(`${path}: the config in the metadata is not usable: ${(cause as Error).message}`, path, {
      cause,
    });
  }
  try {
    const turns = new Turns();
    for (const { tensor, stored, name } of matched(model.parameters(), tensors, path)) {
      tensor.write(toFloat32(stored, name));
      await turns.pause();
    }
  } catch (error) {
    model.dispose();
    throw error;
  }
  return model;
}

type Parameters = { parameters(): Iterable<Parameter> };

/** A model that `make` makes, with the weights of another of its shape, bit for bit. */
export function copyOf<M extends Parameters>(model: M, make: () => M): M {
  return allOrNothing(() => {
    const copy = uninitialized(make);
    copyWeights(model, copy);
    return copy;
  });
}

/** Copies weights between two models of one shape, on the device. */
function copyWeights(from: Parameters, to: Parameters): void {
  const targets = [...to.parameters()];
  [...from.parameters()].forEach(({ name, tensor }, i) => {
    const target = targets[i];
    if (target?.name !== name)
      throw new ShapeError(`model: expected a parameter '${name}', got '${target?.name}'`, 'model');
    native.fill(target.tensor.handle, -0); // to which a -0 adds up to -0
    native.accumulate(target.tensor.handle, tensor.handle, 1);
  });
}
