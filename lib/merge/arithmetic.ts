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
  const used = inputs.filter((input) => input !== null);
  if (mix.kind === 'slerp') {
    addInto(out, slerp!, dtype, used);
    return;
  }
  const weights = mix.kind === 'average' ? mix.weights.filter((weight) => weight !== 0) : null;
  if (dtype === 'F32') {
    const [values, target] = [used.map(floats), floats(out)];
    if (weights) weightedAverage(values, weights, { out: target });
    else lerp(values[0]!, values[1]!, (mix as { weight: number }).weight, { out: target });
  } else {
    const [values, target, type] = [used.map(halves), halves(out), HALF[dtype]];
    if (weights) weightedAverage(values, weights, { dtype: type, out: target });
    else lerp(values[0]!, values[1]!, (mix as { weight: number }).weight, { dtype: type, out: target });
  }
}

const HALF = { BF16: 'bf16', F16: 'f16' } as const;

function floats({ buffer, byteOffset, byteLength }: Uint8Array): Float32Array {
  return new Float32Array(buffer, byteOffset, byteLength / 4);
}

function halves({ buffer, byteOffset, byteLength }: Uint8Array): Uint16Array {
  return new Uint16Array(buffer, byteOffset, byteLength / 2);
}

function addInto(out: Uint8Array, coefficients: readonly number[], dtype: FloatDType, inputs: readonly Uint8Array[]) {
  const [x, y] = inputs.map((bytes) => widened(bytes, dtype)) as [Float32Array, Float32Array];
  const mixed = Float32Array.from(x, (a, i) => coefficients[0]! * a + coefficients[1]! * y[i]!);
  out.set(fromFloat32(mixed, [mixed.length], dtype).data);
}

/** The products of a piece of two tensors. */
export function productsOf(a: Uint8Array, b: Uint8Array, dtype: FloatDType): Products {
  const [x, y] = [widened(a, dtype), widened(b, dtype)];
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

function widened(bytes: Uint8Array, dtype: FloatDType): Float32Array {
  const count = bytes.byteLength / (dtype === 'F32' ? 4 : 2);
  return toFloat32({ dtype, shape: [count], data: bytes });
}
