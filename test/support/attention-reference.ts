// Attention in float64, straight from its definition.

export interface Sizes {
  rows: number;
  positions: number;
  heads: number;
  headDim: number;
}

export interface AttentionInput extends Sizes {
  qkv: ArrayLike<number>;
  starts: readonly number[];
  ends: readonly number[];
  causal: boolean;
}

/** Calls `each` for every row, head and query with its keys and their weights. */
function eachQuery(
  p: AttentionInput,
  each: (row: number, head: number, i: number, keys: number[], weights: number[], lse: number) => void,
): void {
  const at = qkvIndex(p);
  for (let r = 0; r < p.rows; r++) {
    for (let h = 0; h < p.heads; h++) {
      for (let i = 0; i < p.positions; i++) {
        const keys: number[] = [];
        for (let j = p.starts[r]!; j < p.ends[r]! && (!p.causal || j <= i); j++) keys.push(j);
        const scores = keys.map((j) => {
          let dot = 0;
          for (let d = 0; d < p.headDim; d++) dot += p.qkv[at(r, i, 0, h, d)]! * p.qkv[at(r, j, 1, h, d)]!;
          return dot / Math.sqrt(p.headDim);
        });
        const highest = Math.max(...scores);
        const sum = scores.reduce((s, x) => s + Math.exp(x - highest), 0);
        const weights = scores.map((x) => Math.exp(x - highest) / sum);
        each(r, h, i, keys, weights, keys.length ? highest + Math.log(sum) : Number.NEGATIVE_INFINITY);
      }
    }
  }
}

/** Index of (row, position, 0 query | 1 key | 2 value, head, dimension). */
export function qkvIndex({ positions, heads, headDim }: Sizes) {
  return (r: number, i: number, part: number, h: number, d: number) =>
    (((r * positions + i) * 3 + part) * heads + h) * headDim + d;
}

export function attentionReference(p: AttentionInput): { out: Float64Array; lse: Float64Array } {
  const out = new Float64Array(p.rows * p.positions * p.heads * p.headDim);
  const lse = new Float64Array(p.rows * p.heads * p.positions);
  const at = qkvIndex(p);
  eachQuery(p, (r, h, i, keys, weights, logSum) => {
    lse[(r * p.heads + h) * p.positions + i] = logSum;
    for (let d = 0; d < p.headDim; d++) {
      out[((r * p.positions + i) * p.heads + h) * p.headDim + d] = keys.reduce(
        (sum, j, index) => sum + weights[index]! * p.qkv[at(r, j, 2, h, d)]!,
        0,
      );
    }
  });
  return { out, lse };
}

/** Gradient in qkv of Σ out · gradOut. */
export function attentionGradient(p: AttentionInput, gradOut: ArrayLike<number>): Float64Array {
  const grad = new Float64Array(p.qkv.length);
  const at = qkvIndex(p);
  const scale = 1 / Math.sqrt(p.headDim);
  eachQuery(p, (r, h, i, keys, weights) => {
    const outAt = ((r * p.positions + i) * p.heads + h) * p.headDim;
    const gradWeights = keys.map((j) => {
      let sum = 0;
      for (let d = 0; d < p.headDim; d++) sum += gradOut[outAt + d]! * p.qkv[at(r, j, 2, h, d)]!;
      return sum;
    });
    const mean = gradWeights.reduce((sum, g, index) => sum + g * weights[index]!, 0);
    for (const [index, j] of keys.entries()) {
      const gradScore = weights[index]! * (gradWeights[index]! - mean) * scale;
      for (let d = 0; d < p.headDim; d++) {
        grad[at(r, i, 0, h, d)]! += gradScore * p.qkv[at(r, j, 1, h, d)]!;
        grad[at(r, j, 1, h, d)]! += gradScore * p.qkv[at(r, i, 0, h, d)]!;
        grad[at(r, j, 2, h, d)]! += weights[index]! * gradOut[outAt + d]!;
      }
    }
  });
  return grad;
}
