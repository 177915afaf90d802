import { native } from '../../../internals.mjs';
import { exactly, floats, integers, spread } from '../inputs.mjs';

const EPSILON = 1e-5;

function norms(rows, n) {
  const x = spread([rows, n], 3);
  const gradY = spread([rows, n]);
  const gain = floats([n]);
  // Gradients of gain and bias are sums over the rows.
  const common = { tolerance: 3e-5, bfloat16Tolerance: 1 / 64 };
  return [
    {
      name: `layerNorm [${rows}, ${n}]`,
      inputs: { x, gradY, gain, bias: floats([n]) },
      ...common,
      run: ({ x, gradY, gain, bias }) => {
        const [y, mean, inverseStd] = native.layerNormForward(x, gain, bias, EPSILON);
        const [plain] = native.layerNormForward(x, gain, null, EPSILON);
        return [y, mean, inverseStd, plain, ...native.layerNormBackward(gradY, x, gain, mean, inverseStd, true)];
      },
    },
    {
      name: `rmsNorm [${rows}, ${n}]`,
      inputs: { x, gradY, gain },
      ...common,
      run: ({ x, gradY, gain }) => {
        const [y, inverseRms] = native.rmsNormForward(x, gain, EPSILON);
        return [y, inverseRms, ...native.rmsNormBackward(gradY, x, gain, inverseRms)];
      },
    },
    {
      name: `l2Normalize [${rows}, ${n}]`,
      inputs: { x, gradY },
      ...common,
      dtypes: ['float32'],
      run: ({ x, gradY }) => {
        const [y, inverseNorm] = native.l2NormalizeForward(x);
        return [y, inverseNorm, native.l2NormalizeBackward(gradY, y, inverseNorm)];
      },
    },
  ];
}

/** @type {import('../cases.mjs').Cases} */
export const layers = (at) => {
  const [tokens, vocab, width] = at([20_011, 5_003, 257], [61, 13, 9]);
  const [rows, positions, n] = at([33, 500, 384], [4, 7, 10]);
  const [wide, inner] = at([2_049, 1_536], [5, 11]);
  return [
    ...at(
      [
        [4_097, 768],
        [513, 4_100],
        [70_001, 16],
        [2, 33_000],
      ],
      [
        [9, 33],
        [2, 7],
      ],
    ).flatMap(([r, c]) => norms(r, c)),
    {
      name: 'embedding',
      inputs: { table: floats([vocab, width]), ids: integers([tokens], 0, vocab), gradOut: spread([tokens, width]) },
      tolerance: 1e-5,
      run: ({ table, ids, gradOut }, dtype) => [
        native.embeddingForward(table, ids, dtype),
        native.embeddingBackward(gradOut, ids, vocab),
      ],
    },
    {
      name: 'embedding, one token everywhere',
      inputs: { table: floats([3, width]), ids: exactly(new Array(tokens).fill(1)), gradOut: spread([tokens, width]) },
      tolerance: 1e-4,
      run: ({ table, ids, gradOut }, dtype) => [
        native.embeddingForward(table, ids, dtype),
        native.embeddingBackward(gradOut, ids, 3),
      ],
    },
    {
      name: 'maskedMean',
      inputs: {
        x: spread([rows, positions, n]),
        gradOut: floats([rows, n]),
        starts: exactly(Array.from({ length: rows }, (_, r) => r % 3)),
        ends: exactly(Array.from({ length: rows }, (_, r) => (r % 5 === 0 ? 0 : positions - (r % 4)))),
      },
      tolerance: 1e-5,
      run: ({ x, gradOut, starts, ends }, dtype) => [
        native.maskedMeanForward(x, starts, ends),
        native.maskedMeanBackward(gradOut, starts, ends, positions, dtype),
      ],
    },
    ...['gelu', 'gelu-tanh', 'silu'].flatMap((kind) => [
      {
        name: `activation ${kind}`,
        inputs: { x: spread([wide, inner], 6), gradY: spread([wide, inner]) },
        tolerance: 1e-5,
        run: ({ x, gradY }) => [native.activationForward(kind, x), native.activationBackward(kind, x, gradY)],
      },
      {
        name: `gated ${kind}`,
        inputs: { x: spread([wide, 2 * inner], 6), gradY: spread([wide, inner]) },
        tolerance: 1e-5,
        run: ({ x, gradY }) => [native.gatedForward(kind, x), native.gatedBackward(kind, x, gradY)],
      },
    ]),
  ];
};
