import { type Activation, native } from '../native.ts';
import { alias, recorded, wantsGradient } from './autograd.ts';
import { Tensor } from './tensor.ts';

/** Differentiable operations on float32 tensors. Shapes are checked natively, when called. */

type Ids = Tensor<'int32'>;
const wrap = (handle: ReturnType<typeof native.add>): Tensor => new Tensor(handle, 'float32');

/** a + b, of one shape. */
export function add(a: Tensor, b: Tensor): Tensor {
  return recorded(wrap(native.add(a.handle, b.handle)), [a, b], (g) => [alias(g), alias(g)]);
}

/** x · factor. */
export function scale(x: Tensor, factor: number): Tensor {
  return recorded(wrap(native.scale(x.handle, factor)), [x], (g) => [wrap(native.scale(g.handle, factor))]);
}

/** The same elements under another shape; one dimension may be −1. */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  return recorded(x.reshape(shape), [x], (g) => [g.reshape(x.shape)]);
}

/** op(a) · op(b) + bias over matrices; op transposes when asked. bias: [columns]. */
export function matmul(
  a: Tensor,
  b: Tensor,
  {
    transposeA = false,
    transposeB = false,
    bias = null,
  }: { transposeA?: boolean; transposeB?: boolean; bias?: Tensor | null } = {},
): Tensor {
  const wantA = wantsGradient(a);
  const wantB = wantsGradient(b);
  const y = native.matmul(a.handle, b.handle, transposeA, transposeB, bias?.handle ?? null, null);
  return recorded(wrap(y), [a, b, bias], (g) => [
    wantA
      ? wrap(
          transposeA
            ? native.matmul(b.handle, g.handle, transposeB, true, null, null)
            : native.matmul(g.handle, b.handle, false, !transposeB, null, null),
        )
      : null,
    wantB
      ? wrap(
          transposeB
            ? native.matmul(g.handle, a.handle, true, transposeA, null, null)
            : native.matmul(a.handle, g.handle, !transposeA, false, null, null),
        )
      : null,
    bias ? wrap(native.sumRows(g.handle)) : null,
  ]);
}

/** Rows of `table` [vocab, n] by ids [...]: [..., n]. */
export function embedding(table: Tensor, ids: Ids): Tensor {
  const vocab = table.shape[0] as number;
  return recorded(wrap(native.embeddingForward(table.handle, ids.handle)), [table], (g) => [
    wrap(native.embeddingBackward(g.handle, ids.handle, vocab)),
  ]);
}

/** LayerNorm of the rows of x [rows, n] (Ba, Kiros, Hinton, 2016), with gain [n] and bias [n]. */
export function layerNorm(x: Tensor, gain: Tensor, bias: Tensor | null, epsilon: number): Tensor {
  const [y, mean, inverseStd] = native.layerNormForward(x.handle, gain.handle, bias?.handle ?? null, epsilon);
  const saved = [wrap(mean), wrap(inverseStd)] as const;
  return recorded(wrap(y), [x, gain, bias], (g) => {
    const [gradX, gradGain, gradBias] = native.layerNormBackward(
      g.handle,
      x.handle,
      gain.handle,
      saved[0].handle,
      saved[1].handle,
      bias !== null,
    );
    return [wrap(gradX), wrap(gradGain), gradBias ? wrap(gradBias) : null];
  });
}

/** RMSNorm of the rows of x [rows, n] (Zhang and Sennrich, 2019), with gain [n]. */
export function rmsNorm(x: Tensor, gain: Tensor, epsilon: number): Tensor {
  const [y, inverseRms] = native.rmsNormForward(x.handle, gain.handle, epsilon);
  const saved = wrap(inverseRms);
  return recorded(wrap(y), [x, gain], (g) =>
    native.rmsNormBackward(g.handle, x.handle, gain.handle, saved.handle).map(wrap),
  );
}

/** Rows of x [rows, n] divided by their Euclidean length; a zero row stays zero. */
export function l2Normalize(x: Tensor): Tensor {
  const [y, inverseNorm] = native.l2NormalizeForward(x.handle);
  const output = wrap(y);
  const saved = wrap(inverseNorm);
  return recorded(output, [x], (g) => [wrap(native.l2NormalizeBackward(g.handle, output.handle, saved.handle))]);
}

/**
 * Scaled dot-product attention over packed qkv [rows, positions, 3, heads, headDim]: query i of a row sees the keys j with
 * starts ≤ j < ends, and j ≤ i when causal. → [rows, positions, heads · headDim]
 */
export function attention(qkv: Tensor, starts: Ids, ends: Ids, causal: boolean): Tensor {
  const [out, lse] = native.attentionForward(qkv.handle, starts.handle, ends.handle, causal);
  const output = wrap(out);
  const saved = wrap(lse);
  return recorded(output, [qkv], (g) => [
    wrap(
      native.attentionBackward(qkv.handle, starts.handle, ends.handle, causal, output.handle, saved.handle, g.handle),
    ),
  ]);
}

/**
 * Scaled dot-product attention of queries q [rows, queries, heads, headDim] to the keys and values of another sequence,
 * kv [rows, keys, 2, heads, headDim]: every query of a row sees the keys j with starts ≤ j < ends.
 * → [rows, queries, heads · headDim], 0 where a row has no keys.
 */
export function crossAttention(q: Tensor, kv: Tensor, starts: Ids, ends: Ids): Tensor {
  const [out, lse] = native.crossAttentionForward(q.handle, kv.handle, starts.handle, ends.handle);
  const output = wrap(out);
  const saved = wrap(lse);
  return recorded(output, [q, kv], (g) =>
    native
      .crossAttentionBackward(q.handle, kv.handle, starts.handle, ends.handle, output.handle, saved.handle, g.handle)
      .map(wrap),
  );
}

/** Rotary position embedding (Su et al., 2021) of the queries and keys in packed qkv, by positions [rows, positions]. */
export function rotary(qkv: Tensor, positions: Ids, base: number): Tensor {
  return recorded(wrap(native.rotary(qkv.handle, positions.handle, base, false)), [qkv], (g) => [
    wrap(native.rotary(g.handle, positions.handle, base, true)),
  ]);
}

/** GELU or SiLU, element by element. */
export function activation(kind: Activation, x: Tensor): Tensor {
  return recorded(wrap(native.activationForward(kind, x.handle)), [x], (g) => [
    wrap(native.activationBackward(kind, x.handle, g.handle)),
  ]);
}

/** Gated activation (Shazeer, 2020) of x [rows, 2n]: activation of the first half times the second. → [rows, n] */
export function gated(kind: Activation, x: Tensor): Tensor {
  return recorded(wrap(native.gatedForward(kind, x.handle)), [x], (g) => [
    wrap(native.gatedBackward(kind, x.handle, g.handle)),
  ]);
}

/** Sets elements to 0 with this probability and divides the others by 1 − probability; `stream` picks the mask. */
export function dropout(x: Tensor, probability: number, seed: number, stream: number): Tensor {
  if (probability === 0) return x;
  return recorded(wrap(native.dropout(x.handle, probability, seed, stream)), [x], (g) => [
    wrap(native.dropout(g.handle, probability, seed, stream)),
  ]);
}

/** Mean of x [rows, positions, n] over the positions starts ≤ j < ends of each row. → [rows, n] */
export function maskedMean(x: Tensor, starts: Ids, ends: Ids): Tensor {
  const positions = x.shape[1] as number;
  return recorded(wrap(native.maskedMeanForward(x.handle, starts.handle, ends.handle)), [x], (g) => [
    wrap(native.maskedMeanBackward(g.handle, starts.handle, ends.handle, positions)),
  ]);
}
