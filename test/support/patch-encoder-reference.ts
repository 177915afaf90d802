import type { PatchEncoderConfig } from '../../lib/models/patch-encoder.ts';

/**
 * The patch encoder and its loss in float64, written for being obviously right: one sequence at a time, unpadded, arrays
 * of rows.
 */

type Row = number[];
/** By the library's names; matrices are [inputs, outputs], row-major. */
export type Weights = ReadonlyMap<string, Float64Array>;

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
};
const plus = (a: Row, b: ArrayLike<number>): Row => a.map((x, i) => x + b[i]!);
const unit = (a: Row): Row => a.map((x) => x / Math.sqrt(dot(a, a)));

/** The error function by its Maclaurin series, which converges everywhere. */
function erf(x: number): number {
  if (Math.abs(x) > 5) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-18; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}
const gelu = (x: number): number => (x / 2) * (1 + erf(x / Math.SQRT2));
const silu = (x: number): number => x / (1 + Math.exp(-x));

function linear(w: Weights, name: string, x: Row): Row {
  const weight = w.get(`${name}.weight`)!;
  const outputs = weight.length / x.length;
  const bias = w.get(`${name}.bias`);
  const y: Row = [];
  for (let o = 0; o < outputs; o++) {
    let sum = bias?.[o] ?? 0;
    for (let i = 0; i < x.length; i++) sum += x[i]! * weight[i * outputs + o]!;
    y.push(sum);
  }
  return y;
}

function normalized(w: Weights, name: string, x: Row, kind: string): Row {
  const gain = w.get(`${name}.gain`)!;
  const bias = w.get(`${name}.bias`);
  const mean = kind === 'layer' ? x.reduce((a, b) => a + b, 0) / x.length : 0;
  const centred = x.map((v) => v - mean);
  const scale = 1 / Math.sqrt(dot(centred, centred) / x.length + 1e-5);
  return centred.map((v, i) => v * scale * gain[i]! + (bias?.[i] ?? 0));
}

/** Elements i and i + half as one complex number, turned by place · 10000^(−i / half). */
function rotated(x: Row, place: number): Row {
  const half = x.length / 2;
  return x.map((v, i) => {
    const angle = place * 10000 ** (-(i % half) / half);
    const other = x[(i + half) % x.length]!;
    return v * Math.cos(angle) + (i < half ? -other : other) * Math.sin(angle);
  });
}

function attended(w: Weights, name: string, x: Row[], { heads, headWidth, positions }: PatchEncoderConfig): Row[] {
  const qkv = x.map((row) => linear(w, `${name}.qkv`, row));
  const part = (place: number, which: number, head: number): Row => {
    const begin = (which * heads + head) * headWidth;
    const all = qkv[place]!.slice(begin, begin + headWidth);
    return positions === 'rotary' && which < 2 ? rotated(all, place) : all;
  };
  const mixed = x.map(() => [] as Row);
  for (let head = 0; head < heads; head++) {
    const [queries, keys, values] = [0, 1, 2].map((which) => x.map((_, i) => part(i, which, head))) as [
      Row[],
      Row[],
      Row[],
    ];
    for (const [i, query] of queries.entries()) {
      const weights = keys.map((key) => Math.exp(dot(query, key) / Math.sqrt(headWidth)));
      const total = weights.reduce((a, b) => a + b, 0);
      for (let d = 0; d < headWidth; d++)
        mixed[i]!.push(
          dot(
            weights,
            values.map((value) => value[d]!),
          ) / total,
        );
    }
  }
  return mixed.map((row) => linear(w, `${name}.out`, row));
}

function fedForward(w: Weights, name: string, x: Row, { gated, activation }: PatchEncoderConfig): Row {
  const act = activation === 'silu' ? silu : gelu;
  const inner = linear(w, `${name}.in`, x);
  const half = inner.length / 2;
  return linear(
    w,
    `${name}.out`,
    gated ? inner.slice(0, half).map((v, i) => act(v) * inner[half + i]!) : inner.map(act),
  );
}

/** The embedding of one sequence of patches, of length 1. */
export function referenceEmbedding(w: Weights, config: PatchEncoderConfig, sequence: Float32Array): Row {
  const { patchSize, width, mean, deviation, depth, norm } = config;
  let x = Array.from({ length: sequence.length / patchSize }, (_, place) => {
    const patch = [...sequence.slice(place * patchSize, (place + 1) * patchSize)].map((v) => (v - mean) / deviation);
    const row = linear(w, 'input', patch);
    if (config.positions === 'learned') {
      return plus(row, w.get('positions.weight')!.slice(place * width, (place + 1) * width));
    }
    return row;
  });
  for (let block = 0; block < depth; block++) {
    const name = `blocks.${block}`;
    const before = x.map((row) => normalized(w, `${name}.attention.norm`, row, norm));
    const middle = attended(w, `${name}.attention`, before, config).map((row, i) => plus(row, x[i]!));
    x = middle.map((row) => {
      const y = normalized(w, `${name}.feedForward.norm`, row, norm);
      return plus(row, fedForward(w, `${name}.feedForward`, y, config));
    });
  }
  const final = x.map((row) => normalized(w, 'norm', row, norm));
  const pooled = final.reduce((a, b) => plus(a, b)).map((v) => v / final.length);
  return unit(linear(w, 'projection', pooled));
}

/** Symmetric InfoNCE of the pairs, nats. */
export function referenceLoss(
  w: Weights,
  config: PatchEncoderConfig,
  pairs: readonly (readonly [Float32Array, Float32Array])[],
  temperature: number,
): number {
  const [a, b] = [0, 1].map((side) => pairs.map((pair) => referenceEmbedding(w, config, pair[side]!))) as [
    Row[],
    Row[],
  ];
  const scores = a.map((x) => b.map((y) => dot(x, y) / temperature));
  const logSum = (row: Row): number => Math.log(row.reduce((sum, s) => sum + Math.exp(s), 0));
  const losses = scores.map((row, i) => {
    const column = scores.map((other) => other[i]!);
    return (logSum(row) - row[i]! + logSum(column) - column[i]!) / 2;
  });
  return losses.reduce((x, y) => x + y, 0) / pairs.length;
}

/** The gradient of a loss in every weight, by central differences. */
export function centralDifferences(w: Weights, loss: (w: Weights) => number, step = 1e-5): Map<string, Float64Array> {
  const gradients = new Map<string, Float64Array>();
  for (const [name, values] of w) {
    gradients.set(
      name,
      values.map((value, i) => {
        values[i] = value + step;
        const above = loss(w);
        values[i] = value - step;
        const below = loss(w);
        values[i] = value;
        return (above - below) / (2 * step);
      }),
    );
  }
  return gradients;
}
