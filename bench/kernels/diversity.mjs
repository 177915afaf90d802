// diversityReward.
import { diversityReward } from '../cfgdistill.mjs';
import { bytesOf, DTYPES, elements, placesOf, setsOf } from './arrays.mjs';

const SHAPES = [
  [1024, 8, 512],
  [8, 256, 1024],
];

function rewarding(dtype, { rows: prompts, sets }, samples, dimensions) {
  const embeddings = setsOf(elements(dtype, prompts * sets * samples * dimensions, 0), sets);
  const options = { prompts, samples, dimensions, ...(dtype === 'f32' ? {} : { dtype }) };
  return () => {
    for (let s = 0; s < sets; s++) diversityReward(embeddings[s], options);
  };
}

/** @returns {import('./index.mjs').KernelCase[]} */
export function cases({ quick }) {
  return SHAPES.flatMap(([wanted, samples, dimensions]) =>
    DTYPES.flatMap((dtype) => {
      const bytes = samples * dimensions * bytesOf(dtype); // of a prompt
      return placesOf(wanted, bytes, quick).map((place) => ({
        kernel: 'diversityReward',
        dtype,
        shape: `[${place.rows}, ${samples}, ${dimensions}]`,
        place: place.place,
        bytes: bytes * place.rows * place.sets,
        yardstick: 'read',
        make: () => rewarding(dtype, place, samples, dimensions),
      }));
    }),
  );
}
