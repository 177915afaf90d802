import { native } from '../../../internals.mjs';
import { floats, spread } from '../inputs.mjs';

/** @type {import('../cases.mjs').Cases} */
export const matmul = (at) => {
  const shapes = at(
    [
      [512, 768, 2304],
      [300, 257, 131],
      [2, 768, 3072],
      [1, 64, 1000],
      [129, 1, 65],
    ],
    [
      [5, 17, 33],
      [2, 8, 16],
    ],
  );
  return shapes.flatMap(([m, k, n]) =>
    [0, 1, 2, 3].map((which) => {
      const [transposeA, transposeB] = [which % 2 === 1, which >= 2];
      const a = transposeA ? [k, m] : [m, k];
      const b = transposeB ? [n, k] : [k, n];
      return {
        name: `matmul [${m}, ${k}, ${n}]${transposeA ? ' Aᵀ' : ''}${transposeB ? ' Bᵀ' : ''}`,
        inputs: { a: spread(a), b: spread(b), bias: floats([n]), into: spread([m, n]) },
        // Sums of k products of numbers up to 1: the root mean square of the sum grows as its error's does.
        tolerance: 2e-5,
        run: ({ a, b, bias, into }) => {
          native.matmul(a, b, transposeA, transposeB, null, into);
          return [
            native.matmul(a, b, transposeA, transposeB, bias, null),
            native.matmul(a, b, transposeA, transposeB, null, null, true),
            into,
          ];
        },
      };
    }),
  );
};
