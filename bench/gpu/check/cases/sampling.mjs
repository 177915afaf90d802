import { native } from '../../../internals.mjs';
import { between, exactly, integers, spread } from '../inputs.mjs';

const FILTERS = [
  ['plain', undefined, undefined],
  ['top-k 50', 50, undefined],
  ['top-p 0.9', undefined, 0.9],
  ['top-k 40, top-p 0.8', 40, 0.8],
];

function draws([rows, vocab]) {
  const inputs = {
    cond: spread([rows, vocab], 6),
    uncond: spread([rows, vocab], 6),
    scales: between([rows], 0, 3),
    counters: integers([rows], 0, 1_000_000),
  };
  // A draw whose number lies within rounding of the border between two tokens may take either.
  const common = { inputs, tolerance: 1e-4, bfloat16Tolerance: 1e-4, drawn: true };
  return [
    ...FILTERS.map(([name, topK, topP]) => ({
      name: `sampleGuided [${rows}, ${vocab}] ${name}`,
      ...common,
      run: ({ cond, uncond, scales, counters }) => [
        ...native.sampleGuided(cond, uncond, scales, 0.99, topK, topP, 7, counters),
        ...native.sampleGuided(cond, null, 1, 1.3, topK, topP, 8, 1_000),
      ],
    })),
    {
      name: `sampleGuided [${rows}, ${vocab}] temperature 0`,
      ...common,
      run: ({ cond, uncond }) => native.sampleGuided(cond, uncond, 3, 0, undefined, undefined, 7, 0),
    },
  ];
}

/** Bits of which about half are set, and of every row's the first. */
const masks = (rows, vocab) => {
  const words = Math.ceil(vocab / 32);
  const bits = Array.from({ length: rows * words }, (_, i) => Math.imul(i + 1, 0x9e3779b1) | Number(i % words === 0));
  return { ...exactly(bits), shape: [rows, words] };
};

function masked([rows, vocab]) {
  return {
    name: `sampleGuided [${rows}, ${vocab}] of allowed tokens`,
    inputs: { cond: spread([rows, vocab], 6), uncond: spread([rows, vocab], 6), allowed: masks(rows, vocab) },
    tolerance: 1e-4,
    bfloat16Tolerance: 1e-4,
    drawn: true,
    run: ({ cond, uncond, allowed }) =>
      FILTERS.flatMap(([, topK, topP]) => native.sampleGuided(cond, uncond, 3, 0.99, topK, topP, 7, 0, allowed)),
  };
}

function decodeSample([rows, vocab], branches, states = 0) {
  const positions = 6;
  const zeros = (count) => exactly(new Array(count).fill(0));
  return {
    name: `decodeSample [${rows}, ${vocab}], ${branches} branch${branches > 1 ? 'es' : ''}${states ? ', kept to an automaton' : ''}`,
    inputs: {
      logits: spread([branches * rows, vocab], 6),
      scales: between([rows], 0, 3),
      streams: integers([rows], 0, 10_000),
      position: zeros(1),
      finished: exactly(Array.from({ length: rows }, (_, r) => (r % 7 === 3 ? 1 : 0))),
      unfinished: zeros(1),
      next: zeros(branches * rows),
      history: { ...zeros(rows * positions), shape: [rows, positions] },
      logProbs: { ...between([rows, positions], 0, 1) },
      ...(states && {
        state: integers([rows], 0, states),
        allowed: masks(states, vocab),
        transitions: integers([states, vocab], 0, states),
      }),
    },
    tolerance: 1e-4,
    bfloat16Tolerance: 1e-4,
    drawn: true,
    run: (t) => {
      const books = [t.position, t.finished, t.unfinished, t.next, t.history, t.logProbs];
      const automaton = states ? [t.state, t.allowed, t.transitions] : [];
      for (let step = 0; step < 3; step++)
        native.decodeSample(t.logits, t.scales, t.streams, 0.99, 50, 0.95, 11, 5, ...books, ...automaton);
      return [...books, ...automaton.slice(0, 1)];
    },
  };
}

/** @type {import('../cases.mjs').Cases} */
export const sampling = (at) => {
  const shapes = at(
    [
      [64, 32_768],
      [700, 2_048],
      [5, 131_072],
      [301, 77],
    ],
    [
      [5, 61],
      [3, 130],
    ],
  );
  return [
    ...shapes.map(([rows, vocab]) => ({
      name: `guidedLogits [${rows}, ${vocab}]`,
      inputs: { cond: spread([rows, vocab], 6), uncond: spread([rows, vocab], 6), scales: between([rows], 0, 4) },
      run: ({ cond, uncond, scales }) => [
        native.guidedLogits(cond, uncond, 3),
        native.guidedLogits(cond, uncond, scales),
      ],
    })),
    ...shapes.flatMap(draws),
    ...shapes.flatMap((shape) => [decodeSample(shape, 1), decodeSample(shape, 2)]),
    ...shapes.flatMap((shape) => [masked(shape), decodeSample(shape, 1, 5), decodeSample(shape, 2, 5)]),
  ];
};
