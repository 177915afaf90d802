// Merging: the shape of the arrays does not matter, only the size.
import { lerp, slerp, weightedAverage } from '../cfgdistill.mjs';
import { bytesOf, DTYPES, elements, placesOf, setsOf } from './arrays.mjs';

const ROW = 2048;

const average = (inputs) => [
  `weightedAverage of ${inputs}`,
  { inputs, passes: inputs + 1 },
  (arrays, out, option) => weightedAverage(arrays, [1, 2, 3, 1, 2, 3, 1, 2].slice(0, inputs), { out, ...option }),
];

/** `passes`: how often the elements of an array are moved. slerp reads its inputs once for the angle and once more. */
const KERNELS = [
  ['lerp', { inputs: 2, passes: 3 }, ([a, b], out, option) => lerp(a, b, 0.3, { out, ...option })],
  ...[2, 3, 8].map(average),
  ['slerp', { inputs: 2, passes: 5 }, ([a, b], out, option) => slerp(a, b, 0.3, { out, ...option })],
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
  return KERNELS.flatMap(([kernel, { inputs, passes }, call]) =>
    DTYPES.flatMap((dtype) => {
      const bytes = (inputs + 1) * bytesOf(dtype) * ROW; // of the arrays' rows
      const rows = quick ? 1024 : Math.ceil((256 * 2 ** 20) / bytes);
      return placesOf(rows, bytes, quick).map((place) => ({
        kernel,
        dtype,
        shape: `[${place.rows * ROW}]`,
        place: place.place,
        bytes: passes * bytesOf(dtype) * ROW * place.rows * place.sets,
        yardstick: 'copy',
        make: () => merging(dtype, place, inputs, call),
      }));
    }),
  );
}
