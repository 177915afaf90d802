import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { Parameter } from '../../lib/models/parameter.ts';
import { loadSafetensors, type StoredTensor, toFloat32 } from '../../lib/models/safetensors.ts';
import type { OptimizerOptions } from '../../lib/training/optimizer.ts';

/** What PyTorch reports of a training step. */
export type GoldenStep = Record<string, number> & { gradientNorm: number; learningRate: number };

/** A file of test/golden: how it was made stands in make.py. */
export interface Golden<Case> {
  case: Case & { runs: Record<string, GoldenStep[]>; optimizer: OptimizerOptions };
  tensors: ReadonlyMap<string, StoredTensor>;
  /** One tensor's elements. */
  values(name: string): Float32Array;
}

export async function readGolden<Case>(name: string): Promise<Golden<Case>> {
  const path = fileURLToPath(new URL(`../golden/${name}.safetensors`, import.meta.url));
  const { tensors, metadata } = await loadSafetensors(path);
  return {
    case: JSON.parse(metadata.case ?? 'null'),
    tensors,
    values: (tensor) => valuesOf(tensors, tensor),
  };
}

function valuesOf(tensors: ReadonlyMap<string, StoredTensor>, name: string): Float32Array {
  const stored = tensors.get(name);
  if (!stored) throw new Error(`no tensor ${name}`);
  return toFloat32(stored, name);
}

/** The largest |actual − expected| by the largest |expected|; infinite for a NaN, another length, or all zeros. */
export function errorByScale(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let scale = 0;
  let worst = 0;
  expected.forEach((e, i) => {
    const error = Math.abs((actual[i] as number) - e);
    scale = Math.max(scale, Math.abs(e));
    worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(worst, error);
  });
  return scale === 0 ? Number.POSITIVE_INFINITY : worst / scale;
}

/** float32 PyTorch itself is off by up to 3e-6 of a tensor's largest element, counting all that the files hold. */
export const TENSOR_TOLERANCE = 1e-5;

/** Compares every one of a model's parameters (weights or gradients) with the tensors of this prefix. */
export function expectParameters<Case>(
  golden: Golden<Case>,
  prefix: string,
  parameters: Iterable<Parameter>,
  actual: (name: string) => Float32Array,
): void {
  const errors = [...parameters].map(({ name }) => {
    return { name, error: errorByScale(actual(name), golden.values(`${prefix}.${name}`)) };
  });
  expect(errors.length).toBeGreaterThan(10);
  expect(errors.filter(({ error }) => !(error <= TENSOR_TOLERANCE))).toEqual([]);
}

/** Compares what each step of a run reports, by relative error: float32 PyTorch is off by up to 1.4e-5. */
export function expectSteps(
  actual: readonly object[],
  expected: readonly GoldenStep[] | undefined,
  keys: readonly string[],
): void {
  expect(actual.length).toBe(expected?.length);
  expected?.forEach((step, i) => {
    const report = actual[i] as Record<string, number>;
    for (const key of keys) {
      const error = Math.abs((report[key] as number) / (step[key] as number) - 1);
      expect(error, `${key} of step ${i + 1}: ${report[key]}, PyTorch: ${step[key]}`).toBeLessThanOrEqual(3e-5);
    }
  });
}

/** An optimiser whose first moments after one step are that step's gradients. */
export const gradientsAsMoments: OptimizerOptions = { learningRate: 1e-3, beta1: 0, maxGradientNorm: Infinity };

/** The first moments that a trainer saves, by parameter. `file` is what the trainer writes, within what it is given. */
export async function savedMoments(
  save: (path: string) => Promise<void>,
  file = '',
): Promise<(name: string) => Float32Array> {
  const folder = await mkdtemp(join(tmpdir(), 'cfgdistill-golden-'));
  try {
    const path = join(folder, 'training');
    await save(path);
    const { tensors } = await loadSafetensors(join(path, file));
    return (name) => valuesOf(tensors, `optimizer.first.${name}`);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** All parameters on the host. */
export async function readParameters(parameters: Iterable<Parameter>): Promise<(name: string) => Float32Array> {
  const values = new Map<string, Float32Array>();
  for (const { name, tensor } of parameters) values.set(name, await tensor.read());
  return (name) => values.get(name) as Float32Array;
}

/**
 * With the keys' biases set to 0. Without rotary positions they change nothing, so that their gradients are rounding
 * errors, which Adam scales up: nothing to compare.
 */
export function withoutKeyBiases(
  positions: string,
  values: (name: string) => Float32Array,
): (name: string) => Float32Array {
  return (name) => {
    const all = values(name);
    if (positions === 'rotary' || !name.endsWith('qkv.bias')) return all;
    return all.map((x, i) => (Math.floor((3 * i) / all.length) === 1 ? 0 : x));
  };
}

/** The items of an async iterable. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
