import { DependencyError } from '../errors.ts';
import { importOptional } from '../optional-package.ts';

/** What is needed of the package onnxruntime-node, version 1.22 or later. */
export interface OnnxRuntime {
  readonly InferenceSession: { create(path: string, options: Readonly<Record<string, unknown>>): Promise<OnnxSession> };
  readonly Tensor: new (type: string, data: OnnxData, shape: readonly number[]) => OnnxTensor;
}

export interface OnnxSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** A dimension that is not fixed has a name or is −1. */
  readonly outputMetadata?: readonly { readonly name: string; readonly shape?: readonly (number | string)[] }[];
  run(feeds: Readonly<Record<string, OnnxTensor>>, fetches: readonly string[]): Promise<Record<string, OnnxTensor>>;
  release(): Promise<void>;
}

export interface OnnxTensor {
  readonly type: string;
  readonly data: unknown;
  readonly dims: readonly number[];
}

/** Elements of an input: float32, float64, int32 or int64. */
export type OnnxData = Float32Array | Float64Array | Int32Array | BigInt64Array;

const PACKAGE = 'onnxruntime-node';

/** Loads the package, which users install themselves. Throws DependencyError where it is missing or another. */
export async function onnxRuntime(): Promise<OnnxRuntime> {
  const found = await importOptional(PACKAGE, 'ONNX models');
  const candidates = [found, (found as { default?: unknown } | null)?.default];
  const runtime = candidates.find(isRuntime);
  if (!runtime) {
    throw new DependencyError(`${PACKAGE}: expected version 1, which has InferenceSession and Tensor`, PACKAGE);
  }
  return runtime;
}

function isRuntime(module: unknown): module is OnnxRuntime {
  if (typeof module !== 'object' || module === null) return false;
  return (
    'InferenceSession' in module &&
    typeof module.InferenceSession === 'function' &&
    'create' in module.InferenceSession &&
    'Tensor' in module &&
    typeof module.Tensor === 'function'
  );
}

/** The name that ONNX Runtime has for an array's elements; null for other arrays. */
export function onnxType(data: unknown): string | null {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Float64Array) return 'float64';
  if (data instanceof Int32Array) return 'int32';
  return data instanceof BigInt64Array ? 'int64' : null;
}
