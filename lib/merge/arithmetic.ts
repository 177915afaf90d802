import { ValueError } from '../errors.ts';
import { lerp, weightedAverage } from '../kernels/index.ts';
import type { FloatDType } from '../models/safetensors/floats.ts';
import { fromFloat32, toFloat32 } from '../models/safetensors.ts';
import type { Mix } from './recipe.ts';

// The one place where the merging of files meets the kernels.

/** [a · a, b · b, a · b], in double. */
export type Products = [number, number, number];

/**
 * Mixes a piece of a tensor. The pieces are of one length, in the tensor's type, and aligned to its elements.
 *
 * @param inputs one per checkpoint; null where the mix does not need it
 * @param slerp what the arc makes of the two, where the mix is one
 */
export function mixInto(
  out: Uint8Array,
  mix: Exclude<Mix, { kind: 'take' }>,
  dtype: FloatDType,
  inputs: readonly (Uint8Array | null)[],
  slerp: readonly number[] | null,
): void {
  const values = inputs.flatMap((bytes) => (bytes ? [floats(bytes, dtype)] : []));
  let mixed: Float32Array;
  if (mix.kind === 'lerp') mixed = lerp(values[0]!, values[1]!, mix.weight);
  else if (mix.kind === 'average')
    mixed = weightedAverage(
      values,
      mix.weights.filter((weight) => weight !== 0),
    );
  else mixed = Float32Array.from(values[0]!, (a, i) => slerp![0]! * a + slerp![1]! * values[1]![i]!);
  out.set(fromFloat32(mixed, [mixed.length], dtype).data);
}

/** The products of a piece of two tensors. */
export function productsOf(a: Uint8Array, b: Uint8Array, dtype: FloatDType): Products {
  const [x, y] = [floats(a, dtype), floats(b, dtype)];
  const sums: Products = [0, 0, 0];
  x.forEach((value, i) => {
    sums[0] += value * value;
    sums[1] += y[i]! * y[i]!;
    sums[2] += value * y[i]!;
  });
  return sums;
}

/** Below this sine of the angle the arc and the line are the same to every type here. */
const STRAIGHT = 1e-6;

/**
 * What the two ends are multiplied with on the arc between them: sin((1 − λ) Ω) / sin Ω and sin(λ Ω) / sin Ω for an angle
 * Ω (Shoemake 1985), the lengths included as they are. Where an end is zero, or both point the same way or opposite
 * ways, there is no arc, and the line is taken: 1 − λ and λ.
 *
 * @param tensor what errors call it
 * @throws ValueError for values that are not finite
 */
export function slerpCoefficients([aa, bb, ab]: Products, weight: number, tensor: string): [number, number] {
  if (!Number.isFinite(aa) || !Number.isFinite(bb) || !Number.isFinite(ab)) {
    throw new ValueError(`method: slerp needs finite values, tensor '${tensor}' holds others`, 'method');
  }
  const cosine = Math.max(-1, Math.min(1, ab / Math.sqrt(aa) / Math.sqrt(bb)));
  const angle = Math.acos(cosine);
  const sine = Math.sin(angle);
  if (!(sine > STRAIGHT)) return [1 - weight, weight];
  return [Math.sin((1 - weight) * angle) / sine, Math.sin(weight * angle) / sine];
}

function floats(bytes: Uint8Array, dtype: FloatDType): Float32Array {
  const count = bytes.byteLength / (dtype === 'F32' ? 4 : 2);
  return toFloat32({ dtype, shape: [count], data: bytes });
}
