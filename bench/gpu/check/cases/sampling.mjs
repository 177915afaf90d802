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

function decodeSample([rows, vocab], branches) {
  const positions = 6;
  const zeros = (count) => exactly(new Array(count).fill(0));
  return {
    name: `decodeSample [${rows}, ${vocab}], ${branches} branch${branches > 1 ? 'es' : ''}`,
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
    },
    tolerance: 1e-4,
    bfloat16Tolerance: 1e-4,
    drawn: true,
    run: (t) => {
      const state = [t.position, t.finished, t.unfinished, t.next, t.history, t.logProbs];
      for (let step = 0; step < 3; step++)
        native.decodeSample(t.logits, t.scales, t.streams, 0.99, 50, 0.95, 11, 5, ...state);
      return state;
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
  ];
};
