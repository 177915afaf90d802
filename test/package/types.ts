// What the types of the public kernels promise; compiled, never run. Checked against the sources with the other tests, and
// against the packed declarations in every module mode by scripts/check-package.mjs.
import {
  type Device,
  type DeviceError,
  type DistillationResult,
  device,
  distillationLoss,
  diversityReward,
  guidedLogits,
  lerp,
  type Random,
  sampleGuided,
  scope,
  slerp,
  Tensor,
  TransformerLM,
  tokenMask,
  weightedAverage,
} from 'cfgdistill';
import { KEYS } from 'cfgdistill/tasks/chords';

/** Assignable both ways, and neither of them `any`. */
type Equal<A, B> = 0 extends 1 & A ? false : 0 extends 1 & B ? false : [A, B] extends [B, A] ? true : false;
/** Fails to compile unless the value is of exactly this type. */
function expectType<T>() {
  return function check<U>(value: U, ..._same: Equal<T, U> extends true ? [] : ['a type other than expected', U]): U {
    return value;
  };
}

declare const floats: Float32Array;
declare const ints: Int32Array;
declare const bits: Uint16Array;
declare const words: Uint32Array;
declare const tensor: Tensor;
declare const half: Tensor<'bfloat16'>;
declare const stored: Tensor<'float16'>;
declare const tokens: Tensor<'int32'>;

// Typed arrays in, typed arrays out.
expectType<Float32Array>()(guidedLogits(floats, floats, 3, { vocab: 8, out: floats }));
expectType<Float32Array>()(guidedLogits(floats, floats, floats, { vocab: 8 }));
expectType<{ tokens: Int32Array; logProbs: Float32Array }>()(
  sampleGuided(floats, null, { vocab: 8, seed: 1, topK: 5, topP: 0.9, temperature: 0.5, offset: ints }),
);
expectType<Uint32Array>()(tokenMask([1, 5], { vocab: 8 }));
expectType<Int32Array>()(sampleGuided(bits, null, { vocab: 8, dtype: 'bf16', seed: 1, allowed: words }).tokens);
expectType<DistillationResult<number, Float32Array>>()(
  distillationLoss(floats, floats, null, { vocab: 8, policy: { tokens: ints, coefficients: floats } }),
);
expectType<number>()(distillationLoss(floats, floats, floats, { vocab: 8, scale: 2, divergence: 'jsd' }).loss);
expectType<Float32Array>()(diversityReward(floats, { prompts: 2, samples: 4, dimensions: 8 }).advantage);
expectType<Float32Array>()(lerp(floats, floats, 0.5));
expectType<Float32Array>()(weightedAverage([floats, floats], [0.5, 0.5], { out: floats }));

// Of 16 bits, too, if it is said of which kind.
expectType<Uint16Array>()(guidedLogits(bits, bits, 3, { vocab: 8, dtype: 'bf16' }));
expectType<Uint16Array>()(slerp(bits, bits, 0.5, { dtype: 'f16', out: bits }));
expectType<Uint16Array>()(weightedAverage([bits, bits], [1, 2], { dtype: 'bf16' }));
expectType<DistillationResult<number, Float32Array, Uint16Array>>()(
  distillationLoss(bits, bits, null, { vocab: 8, dtype: 'bf16' }),
);
expectType<Float32Array>()(distillationLoss(bits, bits, null, { vocab: 8, dtype: 'bf16', out: floats }).grad);

// Tensors in, Tensors out, of the same element type.
expectType<Tensor<'float32'>>()(guidedLogits(tensor, tensor, tensor));
expectType<Tensor<'bfloat16'>>()(guidedLogits(half, half, 3));
expectType<Tensor<'int32'>>()(sampleGuided(half, null, { seed: 1, offset: tokens, allowed: tokens }).tokens);
expectType<Tensor<'bfloat16'>>()(distillationLoss(half, half, null, {}).grad);
expectType<Tensor<'float32'>>()(distillationLoss(half, half, null, {}).loss);
expectType<Tensor<'float16'>>()(lerp(stored, stored, 0.5));
expectType<Tensor<'float32'>>()(weightedAverage([tensor, tensor], [0.5, 0.5]));

// What must not compile.
// @ts-expect-error 16-bit arrays of no kind
lerp(bits, bits, 0.5);
// @ts-expect-error arrays of two kinds
guidedLogits(floats, bits, 3, { vocab: 8 });
// @ts-expect-error Tensors of two types
guidedLogits(tensor, half, 3);
// @ts-expect-error: the vocabulary of typed arrays is not known
guidedLogits(floats, floats, 3);
// @ts-expect-error: a Tensor and a typed array do not mix
guidedLogits(tensor, floats, 3);
// @ts-expect-error: logits are not float16
guidedLogits(stored, stored, 3);
// @ts-expect-error: numbers of double precision
guidedLogits(new Float64Array(8), floats, 3, { vocab: 8 });
// @ts-expect-error: a draw needs a seed
sampleGuided(floats, null, { vocab: 8 });
// @ts-expect-error: a mask of signed integers
sampleGuided(floats, null, { vocab: 8, seed: 1, allowed: ints });
// @ts-expect-error: a Tensor's mask is one, too
sampleGuided(tensor, null, { seed: 1, allowed: words });
// @ts-expect-error: `out` is a typed array's option
guidedLogits(tensor, tensor, 3, { out: floats });
// @ts-expect-error: no such divergence
distillationLoss(floats, floats, null, { vocab: 8, divergence: 'chi' });
// @ts-expect-error: a misspelt option
sampleGuided(floats, null, { vocab: 8, seed: 1, topk: 5 });
// @ts-expect-error: integers are not merged
lerp(tokens, tokens, 0.5);

// The rest of the face, roughly.
export async function rest(random: Random, error: DeviceError): Promise<string> {
  const on: Device = await device('auto');
  const model: TransformerLM<'bfloat16'> = await TransformerLM.load('model.safetensors', {
    device: 'cpu',
    compute: 'bfloat16',
  });
  using made = scope(() => Tensor.from(new Float32Array(4), [2, 2]));
  return `${KEYS[0]} ${on.name} ${model.vocabularySize} ${made.shape} ${random} ${error.code satisfies string}`;
}
