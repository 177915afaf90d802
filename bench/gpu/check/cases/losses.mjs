import { native } from '../../../internals.mjs';
import { between, floats, integers, spread } from '../inputs.mjs';

const shapes = (at) =>
  at(
    [
      [300, 2_048],
      [64, 32_768],
      [9, 131_072],
      [1_001, 333],
    ],
    [
      [7, 33],
      [3, 130],
    ],
  );

function distillation([rows, vocab]) {
  return ['reverse', 'forward', 'jsd'].flatMap((divergence) =>
    [true, false].map((guided) => ({
      name: `distillationLoss [${rows}, ${vocab}] ${divergence}${guided ? '' : ', one branch'}`,
      inputs: {
        student: spread([rows, vocab], 4),
        cond: spread([rows, vocab], 4),
        uncond: spread([rows, vocab], 4),
        scale: between([rows], 0, 4),
        weights: { ...floats([rows]), value: (uniform, r) => (r % 3 === 0 ? 0 : uniform()) },
        tokens: integers([rows], 0, vocab),
        coefficients: floats([rows]),
      },
      tolerance: 1e-5,
      run: ({ student, cond, uncond, scale, weights, tokens, coefficients }) =>
        native.distillationLoss(
          student,
          cond,
          guided ? uncond : null,
          guided ? scale : 1,
          0.9,
          divergence,
          0.3,
          weights,
          tokens,
          coefficients,
        ),
    })),
  );
}

/** @type {import('../cases.mjs').Cases} */
export const losses = (at) => [
  ...shapes(at).flatMap(distillation),
  ...shapes(at).map(([rows, vocab]) => ({
    name: `crossEntropy [${rows}, ${vocab}]`,
    inputs: {
      logits: spread([rows, vocab], 5),
      targets: integers([rows], -1, vocab),
      weights: between([rows], 0, 2),
    },
    tolerance: 1e-5,
    run: ({ logits, targets, weights }) => [
      ...native.crossEntropy(logits, targets, weights, 0.25),
      ...native.crossEntropy(logits, targets, null, 1 / rows),
    ],
  })),
  ...at(
    [
      [64, 4, 512],
      [5, 17, 130],
      [300, 2, 64],
    ],
    [
      [3, 4, 9],
      [2, 2, 5],
    ],
  ).map(([prompts, samples, dimensions]) => ({
    name: `diversityReward [${prompts}, ${samples}, ${dimensions}]`,
    inputs: { embeddings: spread([prompts, samples, dimensions]), baselines: between([prompts], 0, 1) },
    tolerance: 1e-5,
    run: ({ embeddings, baselines }) => [
      ...native.diversityReward(embeddings, undefined),
      ...native.diversityReward(embeddings, baselines),
    ],
  })),
];
