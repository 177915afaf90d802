// guidedLogits and sampleGuided.
import { guidedLogits, sampleGuided } from '../cfgdistill.mjs';
import { bytesOf, DTYPES, elements, placesOf, setsOf } from './arrays.mjs';

const SHAPES = [
  [64, 2048],
  [64, 32768],
  [256, 131072],
];

const DRAWS = [
  ['sampleGuided', {}],
  ['sampleGuided, top-k 50', { topK: 50 }],
  ['sampleGuided, top-p 0.9', { topP: 0.9 }],
];

const dtypeOption = (dtype) => (dtype === 'f32' ? {} : { dtype });

function combining(dtype, { rows, sets }, vocab) {
  const length = rows * sets * vocab;
  const [conds, unconds, outs] = [0, 1, 2].map((kind) => setsOf(elements(dtype, length, kind), sets));
  const options = outs.map((out) => ({ vocab, out, ...dtypeOption(dtype) }));
  return () => {
    for (let s = 0; s < sets; s++) guidedLogits(conds[s], unconds[s], 3, options[s]);
  };
}

function drawing(dtype, { rows, sets }, vocab, how) {
  const length = rows * sets * vocab;
  const [conds, unconds] = [0, 1].map((kind) => setsOf(elements(dtype, length, kind), sets));
  const options = { vocab, scale: 3, temperature: 0.99, seed: 1, ...how, ...dtypeOption(dtype) };
  return () => {
    for (let s = 0; s < sets; s++) sampleGuided(conds[s], unconds[s], options);
  };
}

/** @returns {import('./index.mjs').KernelCase[]} */
export function cases({ quick }) {
  const result = [];
  const add = (kernel, yardstick, arrays, dtype, [wanted, vocab], make) => {
    const bytes = arrays * bytesOf(dtype) * vocab;
    for (const place of placesOf(wanted, bytes, quick)) {
      const { rows, sets } = place;
      result.push({
        kernel,
        dtype,
        shape: `[${rows}, ${vocab}]`,
        place: place.place,
        bytes: bytes * rows * sets,
        yardstick,
        make: () => make(place, vocab),
      });
    }
  };
  for (const shape of quick ? SHAPES.slice(0, 2) : SHAPES) {
    for (const dtype of DTYPES) {
      add('guidedLogits', 'copy', 3, dtype, shape, (place, vocab) => combining(dtype, place, vocab));
      for (const [kernel, how] of DRAWS) {
        add(kernel, 'read', 2, dtype, shape, (place, vocab) => drawing(dtype, place, vocab, how));
      }
    }
  }
  return result;
}
