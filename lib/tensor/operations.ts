import { type Activation, type NativeTensor, native } from '../native.ts';
import { alias, recorded, wantsGradient } from './autograd.ts';
import { weightAs } from './compute-weights.ts';
import { type ComputeType, Tensor } from './tensor.ts';

/**
 * Differentiable operations on float32 or bfloat16 tensors, of one type within an operation. Parameters are float32
 * always, and so are their gradients. Shapes and types are checked natively, when called.
 */

type Ids = Tensor<'int32'>;
const wrap = <C extends ComputeType>(handle: NativeTensor, dtype: C): Tensor<C> => new Tensor(handle, dtype);
const float = (handle: NativeTensor): Tensor => new Tensor(handle, 'float32');

/** a + b, of one shape. */
export function add<C extends ComputeType>(a: Tensor<C>, b: Tensor<C>): Tensor<C> {
  return recorded(wrap(native.add(a.handle, b.handle), a.dtype), [a, b], (g) => [alias(g), alias(g)]);
}

/** x · factor. */
export function scale<C extends ComputeType>(x: Tensor<C>, factor: number): Tensor<C> {
  return recorded(wrap(native.scale(x.handle, factor), x.dtype), [x], (g) => [
    wrap(native.scale(g.handle, factor), x.dtype),
  ]);
}

/** The same elements as another type, rounded to the nearest; x itself when it has that type. */
export function cast<C extends ComputeType>(x: Tensor<ComputeType>, dtype: C): Tensor<C> {
  if (x.dtype === dtype) return x as Tensor<C>;
  return recorded(wrap(native.cast(x.handle, dtype), dtype), [x], (g) => [
    wrap(native.cast(g.handle, x.dtype), x.dtype),
  ]);
}

/** The same elements under another shape; one dimension may be −1. */
export function reshape<C extends ComputeType>(x: Tensor<C>, shape: readonly number[]): Tensor<C> {
  return recorded(x.reshape(shape), [x], (g) => [g.reshape(x.shape)]);
}

/** op(a) · op(b) + bias over matrices; op transposes when asked. bias: [columns], float32. */
export function matmul<C extends ComputeType>(
  a: Tensor<C>,
  b: Tensor<C>,
  {
    transposeA = false,
    transposeB = false,
    bias = null,
  }: { transposeA?: boolean; transposeB?: boolean; bias?: Tensor | null } = {},
): Tensor<C> {
  const wantA = wantsGradient(a);
  const wantB = wantsGradient(b);
  const y = native.matmul(a.handle, b.handle, transposeA, transposeB, bias?.handle ?? null, null);
  return recorded(wrap(y, a.dtype), [a, b, bias], (g) => [
    wantA
      ? wrap(
          transposeA
            ? native.matmul(b.handle, g.handle, transposeB, true, null, null)
            : native.matmul(g.handle, b.handle, false, !transposeB, null, null),
          a.dtype,
        )
      : null,
    wantB
      ? wrap(
          transposeB
            ? native.matmul(g.handle, a.handle, true, transposeA, null, null)
            : native.matmul(a.handle, g.handle, !transposeA, false, null, null),
          b.dtype,
        )
      : null,
    bias ? float(native.sumRows(g.handle)) : null,
  ]);
}

/**
 * x · W + bias with the float32 parameter W [inputs, outputs], or x · Wᵀ with W [outputs, inputs] when transposed. For
 * a bfloat16 x the product is of W rounded to bfloat16; the gradient of W is float32 and not rounded.
 */
export function linear<C extends ComputeType>(
  x: Tensor<C>,
  weight: Tensor,
  { transpose = false, bias = null }: { transpose?: boolean; bias?: Tensor | null } = {},
): Tensor<C> {
  const wantX = wantsGradient(x);
  const wantWeight = wantsGradient(weight);
  const w = weightAs(weight, x.dtype);
  const y = native.matmul(x.handle, w.handle, false, transpose, bias?.handle ?? null, null);
  return recorded(wrap(y, x.dtype), [x, weight, bias], (g) => [
    wantX ? wrap(native.matmul(g.handle, w.handle, false, !transpose, null, null), x.dtype) : null,
    wantWeight
      ? float(
          transpose
            ? native.matmul(g.handle, x.handle, true, false, null, null, true)
            : native.matmul(x.handle, g.handle, true, false, null, null, true),
        )
      : null,
    bias ? float(native.sumRows(g.handle)) : null,
  ]);
}

/** Rows of the float32 `table` [vocab, n] by ids [...], as the type asked for: [..., n]. */
export function embedding<C extends ComputeType = 'float32'>(
  table: Tensor,
  ids: Ids,
  dtype: C = 'float32' as C,
): Tensor<C> {
  const vocab = table.shape[0] as number;
  return recorded(wrap(native.embeddingForward(table.handle, ids.handle, dtype), dtype), [table], (g) => [
    float(native.embeddingBackward(g.handle, ids.handle, vocab)),
  ]);
}

/** LayerNorm of the rows of x [rows, n] (Ba, Kiros, Hinton, 2016), with gain [n] and bias [n]. */
export function layerNorm<C extends ComputeType>(
  x: Tensor<C>,
  gain: Tensor,
  bias: Tensor | null,
  epsilon: number,
): Tensor<C> {
  const [y, mean, inverseStd] = native.layerNormForward(x.handle, gain.handle, bias?.handle ?? null, epsilon);
  const saved = [float(mean), float(inverseStd)] as const;
  return recorded(wrap(y, x.dtype), [x, gain, bias], (g) => {
    const [gradX, gradGain, gradBias] = native.layerNormBackward(
      g.handle,
      x.handle,
      gain.handle,
      saved[0].handle,
      saved[1].handle,
      bias !== null,
    );
    return [wrap(gradX, x.dtype), float(gradGain), gradBias ? float(gradBias) : null];
  });
}

/** RMSNorm of the rows of x [rows, n] (Zhang and Sennrich, 2019), with gain [n]. */
export function rmsNorm<C extends ComputeType>(x: Tensor<C>, gain: Tensor, epsilon: number): Tensor<C> {
  const [y, inverseRms] = native.rmsNormForward(x.handle, gain.handle, epsilon);
  const saved = float(inverseRms);
  return recorded(wrap(y, x.dtype), [x, gain], (g) => {
    const [gradX, gradGain] = native.rmsNormBackward(g.handle, x.handle, gain.handle, saved.handle);
    return [wrap(gradX, x.dtype), float(gradGain)];
  });
}

/** Rows of x [rows, n] divided by their Euclidean length; a zero row stays zero. */
export function l2Normalize(x: Tensor): Tensor {
  const [y, inverseNorm] = native.l2NormalizeForward(x.handle);
  const output = float(y);
  const saved = float(inverseNorm);
  return recorded(output, [x], (g) => [float(native.l2NormalizeBackward(g.handle, output.handle, saved.handle))]);
}

/**
 * Scaled dot-product attention over packed qkv [rows, positions, 3, heads, headDim]: query i of a row sees the keys j with
 * starts ≤ j < ends, and j ≤ i when causal. → [rows, positions, heads · headDim]. On CUDA headDim is at most 256.
 */
export function attention<C extends ComputeType>(qkv: Tensor<C>, starts: Ids, ends: Ids, causal: boolean): Tensor<C> {
  const [out, lse] = native.attentionForward(qkv.handle, starts.handle, ends.handle, causal);
  const output = wrap(out, qkv.dtype);
  const saved = float(lse);
  return recorded(output, [qkv], (g) => [
    wrap(
      native.attentionBackward(qkv.handle, starts.handle, ends.handle, causal, output.handle, saved.handle, g.handle),
      qkv.dtype,
    ),
  ]);
}

/**
 * Scaled dot-product attention of queries q [rows, queries, heads, headDim] to the keys and values of another sequence,
 * kv [rows, keys, 2, heads, headDim]: every query of a row sees the keys j with starts ≤ j < ends.
 * → [rows, queries, heads · headDim], 0 where a row has no keys. On CUDA headDim is at most 256.
 */
export function crossAttention<C extends ComputeType>(q: Tensor<C>, kv: Tensor<C>, starts: Ids, ends: Ids): Tensor<C> {
  const [out, lse] = native.crossAttentionForward(q.handle, kv.handle, starts.handle, ends.handle);
  const output = wrap(out, q.dtype);
  const saved = float(lse);
  return recorded(output, [q, kv], (g) =>
    native
      .crossAttentionBackward(q.handle, kv.handle, starts.handle, ends.handle, output.handle, saved.handle, g.handle)
      .map((gradient) => wrap(gradient, q.dtype)),
  );
}

/** Rotary position embedding (Su et al., 2021) of the queries and keys in packed qkv, by positions [rows, positions]. */
export function rotary<C extends ComputeType>(qkv: Tensor<C>, positions: Ids, base: number): Tensor<C> {
  return recorded(wrap(native.rotary(qkv.handle, positions.handle, base, false), qkv.dtype), [qkv], (g) => [
    wrap(native.rotary(g.handle, positions.handle, base, true), qkv.dtype),
  ]);
}

/** GELU or SiLU, element by element. */
export function activation<C extends ComputeType>(kind: Activation, x: Tensor<C>): Tensor<C> {
  return recorded(wrap(native.activationForward(kind, x.handle), x.dtype), [x], (g) => [
    wrap(native.activationBackward(kind, x.handle, g.handle), x.dtype),
  ]);
}

/** Gated activation (Shazeer, 2020) of x [rows, 2n]: activation of the first half times the second. → [rows, n] */
export function gated<C extends ComputeType>(kind: Activation, x: Tensor<C>): Tensor<C> {
  return recorded(wrap(native.gatedForward(kind, x.handle), x.dtype), [x], (g) => [
    wrap(native.gatedBackward(kind, x.handle, g.handle), x.dtype),
  ]);
}

/** Sets elements to 0 with this probability and divides the others by 1 − probability; `stream` picks the mask. */
export function dropout<C extends ComputeType>(
  x: Tensor<C>,
  probability: number,
  seed: number,
  stream: number,
): Tensor<C> {
  if (probability === 0) return x;
  return recorded(wrap(native.dropout(x.handle, probability, seed, stream), x.dtype), [x], (g) => [
    wrap(native.dropout(g.handle, probability, seed, stream), x.dtype),
  ]);
}

/** Mean of x [rows, positions, n] over the positions starts ≤ j < ends of each row. → [rows, n], float32 */
export function maskedMean(x: Tensor<ComputeType>, starts: Ids, ends: Ids): Tensor {
  const positions = x.shape[1] as number;
  return recorded(float(native.maskedMeanForward(x.handle, starts.handle, ends.handle)), [x], (g) => [
    wrap(native.maskedMeanBackward(g.handle, starts.handle, ends.handle, positions, x.dtype), x.dtype),
  ]);
}
