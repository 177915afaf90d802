import { native } from '../../../internals.mjs';
import { between, floats } from '../inputs.mjs';

const named = (prefix, shapes, make) => Object.fromEntries(shapes.map((shape, i) => [`${prefix}${i}`, make(shape)]));
const all = (tensors, prefix, count) => Array.from({ length: count }, (_, i) => tensors[`${prefix}${i}`]);

/** @type {import('../cases.mjs').Cases} */
export const mergeAndOptimizer = (at) => {
  const n = at(2_000_003, 1_003);
  const shapes = at([[1_000_003], [768, 257], [1], [130], [4_097], [2_048, 300]], [[33], [1], [7, 5]]);
  const count = shapes.length;
  const optimizer = (name, norm, maxNorm) => ({
    name,
    inputs: {
      ...named('p', shapes, (shape) => floats(shape)),
      ...named('g', shapes, (shape) => floats(shape)),
      ...named('m', shapes, (shape) => floats(shape, 0.1)),
      ...named('v', shapes, (shape) => between(shape, 0, 0.1)),
    },
    dtypes: ['float32'],
    tolerance: 1e-5,
    run: (t) => {
      const [p, g, m, v] = ['p', 'g', 'm', 'v'].map((prefix) => all(t, prefix, count));
      const decays = p.map((_, i) => (i % 2 ? 0.1 : 0));
      const length = norm ? native.globalNorm(g) : null;
      native.adamw(p, g, m, v, decays, 1e-2, 0.9, 0.95, 1e-8, 3, length, maxNorm);
      return [...p, ...m, ...v, ...(length ? [length] : [])];
    },
  });
  return [
    {
      name: 'lerp',
      inputs: { a: floats([n]), b: floats([n]) },
      dtypes: ['float32'],
      run: ({ a, b }) => [native.lerp(a, b, 0.3), native.lerp(a, b, 0), native.lerp(a, b, 1), native.lerp(a, b, 1.5)],
    },
    {
      name: 'weightedAverage',
      inputs: named('a', new Array(5).fill([n]), (shape) => floats(shape)),
      dtypes: ['float32'],
      run: (t) => [
        native.weightedAverage(all(t, 'a', 3), [0.5, 0.2, 0.3]),
        native.weightedAverage(all(t, 'a', 5), [0, 1, -2, 0.25, 3]),
        native.weightedAverage(all(t, 'a', 1), [1]),
      ],
    },
    {
      name: 'slerp',
      inputs: { a: floats([n]), b: floats([n]) },
      dtypes: ['float32'],
      tolerance: 1e-5,
      run: ({ a, b }) => [native.slerp(a, b, 0.3)],
    },
    optimizer('adamw, globalNorm, clipped', true, 1),
    optimizer('adamw', false, Number.POSITIVE_INFINITY),
  ];
};
