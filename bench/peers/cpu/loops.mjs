// The same in plain loops over typed arrays, as one would write them in a Node project without this library.
import { uniforms } from '../../data.mjs';
import { SCALE, WEIGHT, WEIGHTS } from './comparisons.mjs';

export const name = 'loops';

function guide(cond, uncond, out) {
  for (let i = 0; i < out.length; i++) out[i] = uncond[i] + SCALE * (cond[i] - uncond[i]);
  return out;
}

/** Weights e^(x − max) of a row in place; returns their sum. */
function exponentials(row) {
  let best = -Infinity;
  for (let t = 0; t < row.length; t++) if (row[t] > best) best = row[t];
  let total = 0;
  for (let t = 0; t < row.length; t++) total += row[t] = Math.exp(row[t] - best);
  return total;
}

function pick(weights, target, order) {
  const count = order?.length ?? weights.length;
  for (let i = 0; i < count; i++) {
    const t = order ? order[i] : i;
    target -= weights[t];
    if (target < 0) return t;
  }
  return order ? order[count - 1] : count - 1;
}

/** `choose(weights, total)` gives the tokens that stay, or null for all, and their mass. */
function draw(choose) {
  return ({ rows, vocab, cond, uncond }) => {
    const uniform = uniforms(1);
    const row = new Float32Array(vocab);
    return () => {
      const tokens = new Int32Array(rows);
      for (let r = 0; r < rows; r++) {
        guide(cond.subarray(r * vocab, (r + 1) * vocab), uncond.subarray(r * vocab, (r + 1) * vocab), row);
        const total = exponentials(row);
        const [order, mass] = choose(row, total);
        tokens[r] = pick(row, uniform() * mass, order);
      }
      return tokens;
    };
  };
}

/** Tokens by falling weight: float32 keys above 0 order as integers, and typed arrays sort numbers fast. */
function descending(weights) {
  const bits = new Uint32Array(weights.buffer, weights.byteOffset, weights.length);
  const keys = new Float64Array(weights.length);
  for (let t = 0; t < keys.length; t++) keys[t] = bits[t] * 2 ** 20 + (2 ** 20 - 1 - t);
  keys.sort();
  return Int32Array.from(keys, (_, i) => 2 ** 20 - 1 - (keys[keys.length - 1 - i] % 2 ** 20));
}

function topK(k) {
  return (weights) => {
    const order = descending(weights).subarray(0, k);
    let mass = 0;
    for (const t of order) mass += weights[t];
    return [order, mass];
  };
}

function topP(p) {
  return (weights, total) => {
    const order = descending(weights);
    let mass = 0;
    let count = 0;
    while (mass < p * total) mass += weights[order[count++]];
    return [order.subarray(0, count), mass];
  };
}

function distill({ rows, vocab, student, cond, uncond, out }) {
  const [p, q] = [new Float32Array(vocab), new Float32Array(vocab)];
  return () => {
    for (let r = 0; r < rows; r++) {
      const at = r * vocab;
      const z = student.subarray(at, at + vocab);
      p.set(z);
      guide(cond.subarray(at, at + vocab), uncond.subarray(at, at + vocab), q);
      const grad = out.subarray(at, at + vocab);
      let [zMax, gMax] = [-Infinity, -Infinity];
      for (let t = 0; t < vocab; t++) {
        if (z[t] > zMax) zMax = z[t];
        if (q[t] > gMax) gMax = q[t];
        grad[t] = z[t] - q[t];
      }
      const [student_, teacher] = [exponentials(p), exponentials(q)];
      const shift = gMax + Math.log(teacher) - zMax - Math.log(student_);
      let divergence = 0;
      for (let t = 0; t < vocab; t++) {
        grad[t] += shift;
        divergence += (p[t] / student_) * grad[t];
      }
      for (let t = 0; t < vocab; t++) grad[t] = (p[t] / student_) * (grad[t] - divergence);
    }
    return out;
  };
}

function diversity({ prompts, samples, dimensions, embeddings }) {
  return () => {
    const reward = new Float32Array(prompts * samples);
    for (let p = 0; p < prompts; p++) {
      for (let i = 0; i < samples; i++) {
        const a = (p * samples + i) * dimensions;
        for (let j = i + 1; j < samples; j++) {
          const b = (p * samples + j) * dimensions;
          let [product, aa, bb] = [0, 0, 0];
          for (let d = 0; d < dimensions; d++) {
            const [x, y] = [embeddings[a + d], embeddings[b + d]];
            product += x * y;
            aa += x * x;
            bb += y * y;
          }
          const distance = (1 - product / Math.sqrt(aa * bb)) / (samples - 1);
          reward[p * samples + i] += distance;
          reward[p * samples + j] += distance;
        }
      }
    }
    return reward;
  };
}

export async function load() {
  return {
    about: `plain loops, Node ${process.version}`,
    cases: {
      guidedLogits:
        ({ cond, uncond, out }) =>
        () =>
          guide(cond, uncond, out),
      sampleGuided: draw((_, total) => [null, total]),
      'sampleGuided, top-k 50': draw(topK(50)),
      'sampleGuided, top-p 0.9': draw(topP(0.9)),
      distillationLoss: distill,
      diversityReward: diversity,
      lerp:
        ({ a, b, out }) =>
        () => {
          for (let i = 0; i < out.length; i++) out[i] = (1 - WEIGHT) * a[i] + WEIGHT * b[i];
          return out;
        },
      'weightedAverage of 3': ({ a, b, c, out }) => {
        const total = WEIGHTS[0] + WEIGHTS[1] + WEIGHTS[2];
        const [x, y, z] = WEIGHTS.map((weight) => weight / total);
        return () => {
          for (let i = 0; i < out.length; i++) out[i] = x * a[i] + y * b[i] + z * c[i];
          return out;
        };
      },
    },
  };
}
