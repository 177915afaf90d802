import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { CheckpointError, DTypeError, ValueError } from './errors.ts';
import { lerp, weightedAverage } from './kernels/index.ts';
import {
  fromFloat32,
  loadSafetensors,
  type Safetensors,
  type StoredTensor,
  saveSafetensors,
  toFloat32,
} from './models/safetensors.ts';

export interface MergeOptions {
  /** The quality-focused checkpoint (safetensors), λ = 0. */
  quality: string;
  /** The diversity-focused checkpoint, λ = 1: the same tensors, finetuned from the same initialisation. */
  diverse: string;
  /** One output per λ. Outside [0, 1] extrapolates. */
  weights: readonly number[];
  /** Where to write; '{weight}' is replaced by λ and is required for more than one. */
  output: string;
  /** Entries of the outputs' metadata, in place of the quality-focused end's of the same names. */
  metadata?: Readonly<Record<string, string>>;
  signal?: AbortSignal | undefined;
}

export interface MergedCheckpoint {
  weight: number;
  path: string;
}

export interface AverageOptions {
  /** Checkpoints (safetensors) of the same tensors. */
  checkpoints: readonly string[];
  /** One per checkpoint. Default: uniform. */
  weights?: readonly number[];
  output: string;
  signal?: AbortSignal | undefined;
}

const FLOATS: ReadonlySet<string> = new Set(['F32', 'F16', 'BF16']);
/** Element types without fractions: nothing to interpolate. */
const WHOLE: ReadonlySet<string> = new Set(['BOOL', 'U8', 'I8', 'U16', 'I16', 'U32', 'I32', 'U64', 'I64']);

/**
 * Interpolates two checkpoints, θ = (1 − λ) θ_q + λ θ_d over all floating-point tensors (arXiv 2410.06084), and writes one
 * file per λ, each atomically. λ = 0 and 1 give the inputs bit for bit; arithmetic is float32 with one rounding back.
 * Tensors of whole numbers and the metadata come from the quality-focused end.
 *
 * @returns the files, in the order of the weights
 * Rejects with CheckpointError when the files do not hold the same tensors or are models of different configs, with
 * DTypeError for floating-point types other than F32, F16 and BF16, and with ValueError for weights that are not finite,
 * no '{weight}' where it is needed, or an output that is one of the inputs. Nothing is written then.
 */
export async function mergeCheckpoints(options: MergeOptions): Promise<MergedCheckpoint[]> {
  const { quality, diverse, weights, output, signal } = options;
  if (weights.length === 0) throw new ValueError('weights: expected at least one, got none', 'weights');
  for (const weight of weights) {
    if (!Number.isFinite(weight)) throw new ValueError(`weights: expected finite numbers, got ${weight}`, 'weights');
  }
  const targets = weights.map((weight) => ({ weight, path: output.replaceAll('{weight}', String(weight)) }));
  await checkTargets(
    targets.map(({ path }) => path),
    [quality, diverse],
  );
  const [a, b] = await Promise.all([loadSafetensors(quality), loadSafetensors(diverse)]);
  checkMergeable(a, quality);
  checkSameTensors(a, quality, b, diverse);
  for (const { weight, path } of targets) {
    signal?.throwIfAborted();
    const merged = [...a.tensors].map(([name, tensor]): [string, StoredTensor] => {
      const other = b.tensors.get(name) as StoredTensor;
      if (weight === 0 || !FLOATS.has(tensor.dtype)) return [name, tensor];
      if (weight === 1) return [name, other];
      return [name, combined(tensor, lerp(toFloat32(tensor, name), toFloat32(other, name), weight))];
    });
    await mkdir(dirname(path), { recursive: true });
    const merged_from = JSON.stringify({ quality, diverse, weight });
    await saveSafetensors(path, merged, { ...a.metadata, ...options.metadata, merged_from });
  }
  return targets;
}

/**
 * Averages checkpoints that were finetuned from one initialisation, and writes the result atomically. A weight of 1
 * beside zeros gives that checkpoint bit for bit.
 *
 * Rejects as `mergeCheckpoints` does.
 */
export async function averageCheckpoints(options: AverageOptions): Promise<void> {
  const { checkpoints, output, signal } = options;
  const weights = options.weights ?? checkpoints.map(() => 1 / checkpoints.length);
  if (checkpoints.length === 0) throw new ValueError('checkpoints: expected at least one, got none', 'checkpoints');
  if (weights.length !== checkpoints.length || !weights.every(Number.isFinite)) {
    throw new ValueError(
      `weights: expected ${checkpoints.length} finite numbers, got [${weights.join(', ')}]`,
      'weights',
    );
  }
  await checkTargets([output], checkpoints);
  const files = await Promise.all(checkpoints.map(loadSafetensors));
  const [first] = files as [Safetensors];
  checkMergeable(first, checkpoints[0] as string);
  files.forEach((file, i) => {
    checkSameTensors(first, checkpoints[0] as string, file, checkpoints[i] as string);
  });
  signal?.throwIfAborted();
  const averaged = [...first.tensors].map(([name, tensor]): [string, StoredTensor] => {
    if (!FLOATS.has(tensor.dtype)) return [name, tensor];
    const arrays = files.map(({ tensors }) => toFloat32(tensors.get(name) as StoredTensor, name));
    return [name, combined(tensor, weightedAverage(arrays, weights))];
  });
  await mkdir(dirname(output), { recursive: true });
  await saveSafetensors(output, averaged, { ...first.metadata, merged_from: JSON.stringify({ checkpoints, weights }) });
}

/** Values in the type of the tensor they replace. */
function combined(like: StoredTensor, values: Float32Array): StoredTensor {
  return fromFloat32(values, like.shape, like.dtype as 'F32' | 'F16' | 'BF16');
}

async function checkTargets(targets: readonly string[], inputs: readonly string[]): Promise<void> {
  if (new Set(targets.map((target) => resolve(target))).size !== targets.length) {
    throw new ValueError(
      `output: expected '{weight}' in it, so that the outputs differ, got ${targets[0]} twice`,
      'output',
    );
  }
  const existing = await Promise.all(inputs.map(fileIdentity));
  for (const target of targets) {
    const own = await fileIdentity(target);
    if (own !== null && existing.includes(own))
      throw new ValueError(`output: expected a file of its own, got the input ${target}`, 'output');
  }
}

/** What two paths share when they lead to one file, however they are spelt; null where there is none. */
async function fileIdentity(path: string): Promise<string | null> {
  try {
    const { dev, ino } = await stat(path, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    return null;
  }
}

function checkMergeable({ tensors }: Safetensors, path: string): void {
  for (const [name, { dtype }] of tensors) {
    if (FLOATS.has(dtype) || WHOLE.has(dtype)) continue;
    throw new DTypeError(`${path}: tensor '${name}': expected F32, F16, BF16 or whole numbers, got ${dtype}`, name);
  }
}

function checkSameTensors(a: Safetensors, aPath: string, b: Safetensors, bPath: string): void {
  const refuse = (expected: string, got: string): never => {
    throw new CheckpointError(`${bPath}: expected ${expected} like ${aPath}, got ${got}`, bPath);
  };
  for (const [name, { shape, dtype }] of a.tensors) {
    const other = b.tensors.get(name);
    if (!other) refuse(`a tensor '${name}'`, 'none');
    const { shape: s, dtype: d } = other as StoredTensor;
    if (s.length !== shape.length || s.some((n, i) => n !== shape[i]) || d !== dtype) {
      refuse(`'${name}' ${dtype} [${shape.join(', ')}]`, `${d} [${s.join(', ')}]`);
    }
  }
  // Shapes alone do not tell a model with 4 heads from one with 2.
  for (const key of ['kind', 'config']) {
    const [own, other] = [a.metadata[key], b.metadata[key]];
    if (own !== undefined && other !== undefined && own !== other) refuse(`the ${key} ${own}`, other);
  }
  for (const name of b.tensors.keys()) if (!a.tensors.has(name)) refuse('the same tensors', `a further one, '${name}'`);
}
