import { type DType, type NativeTensor, native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import type { Device } from '../../lib/tensor/device.ts';
import { placed } from './both-devices.ts';
import { randomFloats } from './random-data.ts';

// Problems of attention, to be run on two devices.

interface Sizes {
  rows: number;
  queries: number;
  keys: number;
  heads: number;
  headDim: number;
}

export interface Case extends Sizes {
  dtype: DType;
  self: boolean;
  causal?: boolean;
  starts: number[];
  ends: number[];
  skew?: number;
}

function ranges(rows: number, keys: number, seed: number) {
  const random = new Random(seed);
  const starts = Array.from({ length: rows }, (_, r) => (r === 0 ? 0 : random.integer(keys + 1)));
  const ends = starts.map((start, r) => (r === 0 ? keys : start + random.integer(keys - start + 1)));
  return { starts, ends };
}

/** A self-attention case. */
export function own(
  rows: number,
  positions: number,
  heads: number,
  headDim: number,
  dtype: DType,
  causal: boolean,
): Case {
  const sizes = { rows, queries: positions, keys: positions, heads, headDim };
  return { ...sizes, dtype, causal, self: true, ...ranges(rows, positions, positions + headDim) };
}

/** A cross-attention case. */
export function other(rows: number, queries: number, keys: number, heads: number, headDim: number, dtype: DType): Case {
  return { rows, queries, keys, heads, headDim, dtype, self: false, ...ranges(rows, keys, queries + keys) };
}

/** Forward and backward of a case: [out, lse, gradients …]. */
export function run(on: Device, c: Case, backward: boolean): NativeTensor[] {
  const { rows, queries, keys, heads, headDim, dtype, skew = 0 } = c;
  const random = new Random(queries + keys + headDim);
  const floats = (shape: number[]) =>
    placed(
      on,
      randomFloats(
        random,
        shape.reduce((a, b) => a * b, 1),
        1.5,
      ),
      shape,
      { dtype, skew },
    );
  const ints = (values: number[]) => placed(on, Int32Array.from(values), [values.length]);
  const [starts, ends] = [ints(c.starts), ints(c.ends)];
  if (c.self) {
    const qkv = floats([rows, queries, 3, heads, headDim]);
    const [out, lse] = native.attentionForward(qkv, starts, ends, c.causal ?? false);
    if (!backward) return [out, lse];
    const gradOut = floats([rows, queries, heads * headDim]);
    return [out, lse, native.attentionBackward(qkv, starts, ends, c.causal ?? false, out, lse, gradOut)];
  }
  const q = floats([rows, queries, heads, headDim]);
  const kv = floats([rows, keys, 2, heads, headDim]);
  const [out, lse] = native.crossAttentionForward(q, kv, starts, ends);
  if (!backward) return [out, lse];
  const gradOut = floats([rows, queries, heads * headDim]);
  return [out, lse, ...native.crossAttentionBackward(q, kv, starts, ends, out, lse, gradOut)];
}

export const tolerance = (dtype: DType) => (dtype === 'bfloat16' ? 2 ** -7 : 4e-6);
// Tensor cores take weights and their gradients rounded to bfloat16, up to 2^-9 of every term of a sum; that sum, where
// few keys are seen, is several times the root mean square over all keys.
export const gradientTolerance = (dtype: DType) => (dtype === 'bfloat16' ? 3 * 2 ** -7 : 8e-6);
