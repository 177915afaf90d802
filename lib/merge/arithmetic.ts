import { ValueError } from '../errors.ts';
import { lerp, weightedAverage } from '../kernels/index.ts';
import type { FloatDType } from '../models/safetensors/floats.ts';
import { native } from '../native.ts';
import type { Mix } from './recipe.ts';

// The one place where the merging of files meets the kernels.

/** [a · a, a · b, b · b], in double. */
export type Products = [aa: number, ab: number, bb: number];

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
    native.weightedSumNow(
      used.map((input) => elements(input, dtype)),
      slerp!,
      elements(out, dtype),
      NATIVE[dtype],
    );
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

/** The products of a piece of two tensors. */
export function productsOf(a: Uint8Array, b: Uint8Array, dtype: FloatDType): Products {
  return native.scalarProductsNow(elements(a, dtype), elements(b, dtype), NATIVE[dtype]);
}

/** Below this sine of the angle the arc and the line are the same to every type here. */
const STRAIGHT = 1e-6;

/**
 * What the two ends are multiplied with on the arc between them: sin((1 − λ) Ω) / sin Ω and sin(λ Ω) / sin Ω for an angle
 * Ω (Shoemake 1985), the lengths included as they are. Where an end is zero, or both point the same way or opposite
 * ways, there is no arc, and the line is taken: 1 − λ and λ. (The kernel refuses opposite ways; in a checkpoint they
 * occur, in every tensor of one number whose sign changed.)
 *
 * @param tensor what errors call it
 * @throws ValueError for values that are not finite
 */
export function slerpCoefficients([aa, ab, bb]: Products, weight: number, tensor: string): [number, number] {
  if (!Number.isFinite(aa) || !Number.isFinite(bb) || !Number.isFinite(ab)) {
    throw new ValueError(`method: slerp needs finite values, tensor '${tensor}' holds others`, 'method');
  }
  const cosine = Math.max(-1, Math.min(1, ab / Math.sqrt(aa) / Math.sqrt(bb)));
  const angle = Math.acos(cosine);
  const sine = Math.sin(angle);
  if (!(sine > STRAIGHT)) return [1 - weight, weight];
  return [Math.sin((1 - weight) * angle) / sine, Math.sin(weight * angle) / sine];
}

const HALF = { BF16: 'bf16', F16: 'f16' } as const;
const NATIVE = { F32: 'float32', BF16: 'bfloat16', F16: 'float16' } as const;

function elements(bytes: Uint8Array, dtype: FloatDType): Float32Array | Uint16Array {
  return dtype === 'F32' ? floats(bytes) : halves(bytes);
}

function floats({ buffer, byteOffset, byteLength }: Uint8Array): Float32Array {
  return new Float32Array(buffer, byteOffset, byteLength / 4);
}

function halves({ buffer, byteOffset, byteLength }: Uint8Array): Uint16Array {
  return new Uint16Array(buffer, byteOffset, byteLength / 2);
}
