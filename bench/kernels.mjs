// The fused kernels over typed arrays, in GB/s of the bytes that must move, beside a copy of as many bytes.
import { distillationLoss, diversityReward, guidedLogits, lerp, sampleGuided, weightedAverage } from './cfgdistill.mjs';
import { Copy, HOW_COPIED } from './copy.mjs';
import { normals } from './data.mjs';
import { threadCounts, useThreads } from './machine.mjs';
import { interleave, rate, ratio, repeated, spread } from './measure.mjs';
import { duration, figure, ranged, table } from './table.mjs';

const SHAPES = [
  [64, 2048],
  [64, 32768],
  [256, 32768],
];
const SAMPLES = 4; // generations per prompt of the diversity reward: its prompts · samples are the shape's rows
const LARGE = 256 * 2 ** 20; // bytes per array of the merging kernels' largest case

/** Every kernel with how many [rows, vocab] arrays it must read and write; what is one number per row is not counted. */
const LOGIT_KERNELS = [
  {
    name: 'guidedLogits',
    arrays: 3,
    make: ({ a, b, out, vocab }) => {
      return () => guidedLogits(a, b, 3, { vocab, out });
    },
  },
  ...[
    ['sampleGuided', {}],
    ['sampleGuided, top-k 50', { topK: 50 }],
    ['sampleGuided, top-p 0.9', { topP: 0.9 }],
  ].map(([name, options]) => ({
    name,
    arrays: 2,
    make: ({ a, b, vocab }) => {
      const all = { vocab, scale: 3, temperature: 0.99, seed: 1, ...options };
      return () => sampleGuided(a, b, all);
    },
  })),
  {
    name: 'distillationLoss',
    arrays: 4,
    make: ({ a, b, c, out, rows, vocab }) => {
      const tokens = new Int32Array(rows).fill(1);
      const policy = { tokens, coefficients: new Float32Array(rows).fill(0.1) };
      return () => distillationLoss(a, b, c, { vocab, scale: 3, temperature: 0.99, policy, out });
    },
  },
  {
    name: 'diversityReward',
    arrays: 1,
    make: ({ a, rows, vocab }) => {
      return () => diversityReward(a, { prompts: rows / SAMPLES, samples: SAMPLES, dimensions: vocab });
    },
  },
];

const MERGE_KERNELS = [
  {
    name: 'lerp',
    arrays: 3,
    make: ({ a, b, out }) => {
      return () => lerp(a, b, 0.3, { out });
    },
  },
  {
    name: 'weightedAverage of 3',
    arrays: 4,
    make: ({ a, b, c, out }) => {
      return () => weightedAverage([a, b, c], [1, 2, 3], { out });
    },
  },
];

function inputs(rows, vocab) {
  const length = rows * vocab;
  // Half a million distinct numbers, repeated: as good as all distinct, and made in a moment.
  const some = normals(2 ** 19 + 1, 2, 1);
  const [a, b, c] = [0, 1, 2].map((k) => {
    const values = new Float32Array(length);
    for (let at = 0; at < length; at += some.length) values.set(some.subarray(0, length - at), at);
    // The arrays differ, and so do the guided branches.
    return values.map((value, i) => value + 0.1 * ((i * (k + 3)) % 7));
  });
  return { a, b, c, out: new Float32Array(length).fill(1), rows, vocab };
}

/**
 * @param {{ quick: boolean, onProgress: (what: string) => void }} options
 */
export async function run({ quick, onProgress }) {
  const threads = threadCounts();
  const copy = new Copy(Math.max(...threads));
  await copy.started();
  const timing = quick ? { rounds: 5, seconds: 0.01 } : { rounds: 15, seconds: 0.03 };
  const results = [];

  const compare = async (kernels, arrays, shape) => {
    for (const { name, arrays: moved, make } of kernels) {
      onProgress(`${name} ${shape}`);
      const bytes = moved * 4 * arrays.a.length;
      const once = make(arrays);
      copy.resize(bytes);
      const cases = {};
      for (const count of threads) {
        cases[`copy ${count}`] = { run: (iterations) => copy.run(count, iterations) };
        cases[`kernel ${count}`] = repeated(once, useThreads(count));
      }
      const times = await interleave(cases, timing);
      for (const count of threads) {
        const [own, copied] = [times[`kernel ${count}`], times[`copy ${count}`]];
        results.push({
          kernel: name,
          shape,
          threads: count,
          bytes,
          seconds: spread(own),
          gigabytesPerSecond: rate(bytes / 1e9, own),
          copyGigabytesPerSecond: rate(bytes / 1e9, copied),
          shareOfCopy: ratio(copied, own),
        });
      }
    }
  };

  try {
    for (const [rows, vocab] of quick ? SHAPES.slice(0, 2) : SHAPES) {
      await compare([...LOGIT_KERNELS, ...MERGE_KERNELS], inputs(rows, vocab), `[${rows}, ${vocab}]`);
    }
    if (!quick) {
      const arrays = inputs(1, LARGE / 4);
      await compare(MERGE_KERNELS.slice(0, 1), arrays, '256 MiB');
    }
  } finally {
    useThreads(Math.max(...threads))();
    await copy.close();
  }
  return { how: HOW_COPIED, ...timing, results };
}

export function print({ how, rounds, results }) {
  const head = ['kernel', 'shape', 'threads', 'time', 'GB/s', 'copy GB/s', 'of the copy (range)'];
  const rows = results.map((r) => [
    r.kernel,
    r.shape,
    r.threads,
    duration(r.seconds.median),
    figure(r.gigabytesPerSecond.median),
    figure(r.copyGigabytesPerSecond.median),
    ranged(r.shareOfCopy),
  ]);
  return `${table(head, rows, 2)}\n${how}. ${rounds} rounds.`;
}
