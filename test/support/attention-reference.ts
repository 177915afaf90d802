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

export interface CrossSizes {
  rows: number;
  queries: number;
  keys: number;
  heads: number;
  headDim: number;
}

export interface CrossInput extends CrossSizes {
  /** [rows, queries, heads, headDim] */
  q: ArrayLike<number>;
  /** [rows, keys, 2, heads, headDim] */
  kv: ArrayLike<number>;
  starts: readonly number[];
  ends: readonly number[];
}

/** Where an element of queries, keys or values lies in its array. */
type Place = (row: number, position: number, head: number, d: number) => number;

interface Views extends CrossSizes {
  q: ArrayLike<number>;
  kv: ArrayLike<number>;
  places: { q: Place; k: Place; v: Place };
  starts: readonly number[];
  ends: readonly number[];
  causal: boolean;
}

/** Index of (row, position, 0 query | 1 key | 2 value, head, dimension). */
export function qkvIndex({ positions, heads, headDim }: Sizes) {
  return (r: number, i: number, part: number, h: number, d: number) =>
    (((r * positions + i) * 3 + part) * heads + h) * headDim + d;
}

function packed(p: AttentionInput): Views {
  const at = qkvIndex(p);
  const place =
    (part: number): Place =>
    (r, i, h, d) =>
      at(r, i, part, h, d);
  const places = { q: place(0), k: place(1), v: place(2) };
  return { ...p, queries: p.positions, keys: p.positions, q: p.qkv, kv: p.qkv, places };
}

function crossed(p: CrossInput): Views {
  const place =
    (part: number): Place =>
    (r, j, h, d) =>
      (((r * p.keys + j) * 2 + part) * p.heads + h) * p.headDim + d;
  const q: Place = (r, i, h, d) => ((r * p.queries + i) * p.heads + h) * p.headDim + d;
  return { ...p, places: { q, k: place(0), v: place(1) }, causal: false };
}

/** Calls `each` for every row, head and query with its keys and their weights. */
function eachQuery(
  p: Views,
  each: (row: number, head: number, i: number, keys: number[], weights: number[], lse: number) => void,
): void {
  for (let r = 0; r < p.rows; r++) {
    for (let h = 0; h < p.heads; h++) {
      for (let i = 0; i < p.queries; i++) {
        const keys: number[] = [];
        for (let j = p.starts[r]!; j < p.ends[r]! && (!p.causal || j <= i); j++) keys.push(j);
        const scores = keys.map((j) => {
          let dot = 0;
          for (let d = 0; d < p.headDim; d++) dot += p.q[p.places.q(r, i, h, d)]! * p.kv[p.places.k(r, j, h, d)]!;
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

function forward(p: Views): { out: Float64Array; lse: Float64Array } {
  const out = new Float64Array(p.rows * p.queries * p.heads * p.headDim);
  const lse = new Float64Array(p.rows * p.heads * p.queries);
  eachQuery(p, (r, h, i, keys, weights, logSum) => {
    lse[(r * p.heads + h) * p.queries + i] = logSum;
    for (let d = 0; d < p.headDim; d++) {
      out[((r * p.queries + i) * p.heads + h) * p.headDim + d] = keys.reduce(
        (sum, j, index) => sum + weights[index]! * p.kv[p.places.v(r, j, h, d)]!,
        0,
      );
    }
  });
  return { out, lse };
}

/** Adds the gradients of Σ out · gradOut to those in q and in kv, which may be one array. */
function addGradient(p: Views, gradOut: ArrayLike<number>, gradQ: Float64Array, gradKv: Float64Array): void {
  const scale = 1 / Math.sqrt(p.headDim);
  eachQuery(p, (r, h, i, keys, weights) => {
    const outAt = ((r * p.queries + i) * p.heads + h) * p.headDim;
    const gradWeights = keys.map((j) => {
      let sum = 0;
      for (let d = 0; d < p.headDim; d++) sum += gradOut[outAt + d]! * p.kv[p.places.v(r, j, h, d)]!;
      return sum;
    });
    const mean = gradWeights.reduce((sum, g, index) => sum + g * weights[index]!, 0);
    for (const [index, j] of keys.entries()) {
      const gradScore = weights[index]! * (gradWeights[index]! - mean) * scale;
      for (let d = 0; d < p.headDim; d++) {
        gradQ[p.places.q(r, i, h, d)]! += gradScore * p.kv[p.places.k(r, j, h, d)]!;
        gradKv[p.places.k(r, j, h, d)]! += gradScore * p.q[p.places.q(r, i, h, d)]!;
        gradKv[p.places.v(r, j, h, d)]! += weights[index]! * gradOut[outAt + d]!;
      }
    }
  });
}

export function attentionReference(p: AttentionInput): { out: Float64Array; lse: Float64Array } {
  return forward(packed(p));
}

/** Gradient in qkv of Σ out · gradOut. */
export function attentionGradient(p: AttentionInput, gradOut: ArrayLike<number>): Float64Array {
  const grad = new Float64Array(p.qkv.length);
  addGradient(packed(p), gradOut, grad, grad);
  return grad;
}

export function crossAttentionReference(p: CrossInput): { out: Float64Array; lse: Float64Array } {
  return forward(crossed(p));
}

/** Gradients in q and kv of Σ out · gradOut. */
export function crossAttentionGradient(
  p: CrossInput,
  gradOut: ArrayLike<number>,
): { gradQ: Float64Array; gradKv: Float64Array } {
  const [gradQ, gradKv] = [new Float64Array(p.q.length), new Float64Array(p.kv.length)];
  addGradient(crossed(p), gradOut, gradQ, gradKv);
  return { gradQ, gradKv };
}
