// distillationLoss with its gradient and the policy term.
import { distillationLoss } from '../cfgdistill.mjs';
import { bytesOf, DTYPES, elements, placesOf, setsOf } from './arrays.mjs';

const SHAPES = [
  [64, 2048],
  [64, 32768],
  [256, 131072],
];
const ARRAYS = 4; // student, cond and uncond are read, the gradient is written

function withGradient(dtype, { rows, sets }, vocab) {
  const length = rows * sets * vocab;
  const [students, conds, unconds, grads] = [0, 1, 2, 3].map((kind) => setsOf(elements(dtype, length, kind), sets));
  const policy = { tokens: new Int32Array(rows).fill(1), coefficients: new Float32Array(rows).fill(0.1) };
  const options = grads.map((out) => {
    return { vocab, scale: 3, temperature: 0.99, policy, out, ...(dtype === 'f32' ? {} : { dtype }) };
  });
  return () => {
    for (let s = 0; s < sets; s++) distillationLoss(students[s], conds[s], unconds[s], options[s]);
  };
}

/** @returns {import('./index.mjs').KernelCase[]} */
export function cases({ quick }) {
  return (quick ? SHAPES.slice(0, 2) : SHAPES).flatMap(([wanted, vocab]) =>
    DTYPES.flatMap((dtype) => {
      const bytes = ARRAYS * bytesOf(dtype) * vocab;
      return placesOf(wanted, bytes, quick).map((place) => ({
        kernel: 'distillationLoss',
        dtype,
        shape: `[${place.rows}, ${vocab}]`,
        place: place.place,
        bytes: bytes * place.rows * place.sets,
        yardstick: 'copy',
        make: () => withGradient(dtype, place, vocab),
      }));
    }),
  );
}
