// lerp and weightedAverage: the shape of the arrays does not matter to them, only the size.
import { lerp, weightedAverage } from '../cfgdistill.mjs';
import { bytesOf, DTYPES, elements, placesOf, setsOf } from './arrays.mjs';

const ROW = 2048;

const KERNELS = [
  ['lerp', 2, ([a, b], out, option) => lerp(a, b, 0.3, { out, ...option })],
  ['weightedAverage of 3', 3, (arrays, out, option) => weightedAverage(arrays, [1, 2, 3], { out, ...option })],
];

function merging(dtype, { rows, sets }, inputs, call) {
  const length = rows * sets * ROW;
  const arrays = Array.from({ length: inputs + 1 }, (_, kind) => setsOf(elements(dtype, length, kind), sets));
  const option = dtype === 'f32' ? {} : { dtype };
  const calls = Array.from({ length: sets }, (_, s) => arrays.map((array) => array[s]));
  return () => {
    for (const all of calls) call(all.slice(0, inputs), all[inputs], option);
  };
}

/** @returns {import('./index.mjs').KernelCase[]} */
export function cases({ quick }) {
  return KERNELS.flatMap(([kernel, inputs, call]) =>
    DTYPES.flatMap((dtype) => {
      const bytes = (inputs + 1) * bytesOf(dtype) * ROW;
      const rows = quick ? 1024 : Math.ceil((256 * 2 ** 20) / bytes);
      return placesOf(rows, bytes, quick).map((place) => ({
        kernel,
        dtype,
        shape: `[${place.rows * ROW}]`,
        place: place.place,
        bytes: bytes * place.rows * place.sets,
        yardstick: 'copy',
        make: () => merging(dtype, place, inputs, call),
      }));
    }),
  );
}
