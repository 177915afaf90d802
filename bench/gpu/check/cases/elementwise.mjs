import { native } from '../../../internals.mjs';
import { between, exactly, floats, integers, spread } from '../inputs.mjs';

/** @type {import('../cases.mjs').Cases} */
export const elementwise = (at) => {
  const n = at(3_000_017, 1_003);
  const [rows, width] = [at(4_099, 9), at(771, 37)];
  return [
    { name: 'add', inputs: { a: spread([n]), b: spread([n]) }, run: ({ a, b }) => [native.add(a, b)] },
    {
      name: 'scale',
      inputs: { x: spread([n]) },
      run: ({ x }) => [native.scale(x, -1.7)],
    },
    {
      name: 'accumulate',
      inputs: { target: spread([n]), source: spread([n]) },
      run: ({ target, source }) => {
        native.accumulate(target, source, 0.3);
        return [target];
      },
    },
    {
      name: 'fill',
      inputs: { a: spread([n]), b: integers([n], 0, 9) },
      run: ({ a, b }) => {
        native.fill(a, 0.1);
        native.fill(b, -3);
        return [a, b];
      },
    },
    {
      name: 'sumRows',
      inputs: { x: spread([rows, width]) },
      tolerance: 1e-5,
      run: ({ x }) => [native.sumRows(x)],
    },
    {
      name: 'sumAll',
      inputs: { x: between([n], 0, 1) },
      dtypes: ['float32'],
      tolerance: 1e-5,
      run: ({ x }) => [native.sumAll(x)],
    },
    {
      name: 'repeatRows',
      inputs: { x: spread([rows, width]), i: integers([rows], 0, 1000) },
      run: ({ x, i }) => [native.repeatRows(x, 3), native.repeatRows(i, 2)],
    },
    { name: 'dropout', inputs: { x: spread([n]) }, run: ({ x }) => [native.dropout(x, 0.3, 12_345, 6)] },
    {
      name: 'rowPositions, advance',
      inputs: { starts: integers([rows], 0, 40), position: exactly([20]) },
      dtypes: ['float32'],
      run: ({ starts, position }) => {
        native.advance(position, 3);
        return [native.rowPositions(starts, position), position];
      },
    },
    {
      name: 'cast',
      inputs: { x: floats([n], 100) },
      dtypes: ['float32'],
      run: ({ x }) => {
        const halves = ['bfloat16', 'float16'].map((dtype) => native.cast(x, dtype));
        return [...halves, ...halves.map((half) => native.cast(half, 'float32'))];
      },
    },
  ];
};
