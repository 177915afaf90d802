// What is compared with peers: the computation, its inputs, and our way. Bytes are those that must move.
import {
  distillationLoss,
  diversityReward,
  guidedLogits,
  lerp,
  sampleGuided,
  weightedAverage,
} from '../../cfgdistill.mjs';
import { normals } from '../../data.mjs';

const LOGITS = [
  [64, 2048],
  [64, 32768],
  [256, 131072],
];
const SMALL_LOGITS = [[3, 257]];
const ELEMENTS = [[65536], [2 ** 26]]; // of one array: 256 KiB and 256 MiB
const SMALL_ELEMENTS = [[1031]];
const EMBEDDINGS = [
  [1024, 8, 512],
  [8, 256, 1024],
];
const SMALL_EMBEDDINGS = [[3, 5, 67]];

export const SCALE = 3;
export const WEIGHT = 0.3;
export const WEIGHTS = [1, 2, 3];

/** Arrays of normal numbers, half a million of them repeated: as good as all distinct, and made in a moment. */
function arrays(count, length, deviation) {
  const some = normals(Math.min(length, 2 ** 19 + 1), deviation, 1);
  return Array.from({ length: count }, (_, k) => {
    const values = new Float32Array(length);
    for (let at = 0; at < length; at += some.length) values.set(some.subarray(0, length - at), at);
    return values.map((value, i) => value + 0.1 * ((i * (k + 3)) % 7));
  });
}

function branches([rows, vocab]) {
  const [cond, uncond] = arrays(2, rows * vocab, 2);
  return { rows, vocab, cond, uncond, out: new Float32Array(rows * vocab) };
}

function drawing(options) {
  return {
    make: branches,
    shapes: LOGITS,
    small: SMALL_LOGITS,
    bytes: ([rows, vocab]) => 8 * rows * vocab,
    options,
    ours: ({ cond, uncond, vocab }) => {
      const all = { vocab, scale: SCALE, seed: 1, ...options };
      return () => sampleGuided(cond, uncond, all).tokens;
    },
  };
}

/** By name. `ours` makes a function that computes once and returns its result; peers do the same (see the others here). */
export const COMPARISONS = {
  guidedLogits: {
    shapes: LOGITS,
    small: SMALL_LOGITS,
    bytes: ([rows, vocab]) => 12 * rows * vocab,
    make: branches,
    ours:
      ({ cond, uncond, vocab, out }) =>
      () =>
        guidedLogits(cond, uncond, SCALE, { vocab, out }),
  },
  sampleGuided: drawing({}),
  'sampleGuided, top-k 50': drawing({ topK: 50 }),
  'sampleGuided, top-p 0.9': drawing({ topP: 0.9 }),
  distillationLoss: {
    shapes: LOGITS,
    small: SMALL_LOGITS,
    bytes: ([rows, vocab]) => 16 * rows * vocab,
    make([rows, vocab]) {
      const [student, cond, uncond] = arrays(3, rows * vocab, 2);
      return { rows, vocab, student, cond, uncond, out: new Float32Array(rows * vocab) };
    },
    ours:
      ({ student, cond, uncond, vocab, out }) =>
      () =>
        distillationLoss(student, cond, uncond, { vocab, scale: SCALE, out }).grad,
  },
  diversityReward: {
    shapes: EMBEDDINGS,
    small: SMALL_EMBEDDINGS,
    bytes: ([prompts, samples, dimensions]) => 4 * prompts * samples * dimensions,
    make([prompts, samples, dimensions]) {
      return { prompts, samples, dimensions, embeddings: arrays(1, prompts * samples * dimensions, 1)[0] };
    },
    ours:
      ({ embeddings, ...shape }) =>
      () =>
        diversityReward(embeddings, shape).reward,
  },
  lerp: {
    shapes: ELEMENTS,
    small: SMALL_ELEMENTS,
    bytes: ([n]) => 12 * n,
    make([n]) {
      const [a, b] = arrays(2, n, 1);
      return { n, a, b, out: new Float32Array(n) };
    },
    ours:
      ({ a, b, out }) =>
      () =>
        lerp(a, b, WEIGHT, { out }),
  },
  'weightedAverage of 3': {
    shapes: ELEMENTS,
    small: SMALL_ELEMENTS,
    bytes: ([n]) => 16 * n,
    make([n]) {
      const [a, b, c] = arrays(3, n, 1);
      return { n, a, b, c, out: new Float32Array(n) };
    },
    ours:
      ({ a, b, c, out }) =>
      () =>
        weightedAverage([a, b, c], WEIGHTS, { out }),
  },
};
