// Large random tensors, made on the device from a small random one: what the arithmetic is timed on.

import { uniforms } from '../../data.mjs';
import { native } from '../../internals.mjs';

export const BYTES = { float32: 4, bfloat16: 2 };

/** A native tensor [rows, columns] of numbers of about [−size, size); up to 16 different rows. */
export function random(device, [rows, columns], { dtype = 'float32', size = 4, seed = 1 } = {}) {
  const uniform = uniforms(seed * 7919 + 13);
  for (let i = 0; i < 16; i++) uniform();
  let different = Math.min(rows, 16);
  while (rows % different !== 0) different--;
  const data = new Float32Array(different * columns);
  for (let i = 0; i < data.length; i++) data[i] = (2 * uniform() - 1) * size;
  const few = native.createTensor(device.id, 'float32', [different, columns], data);
  if (dtype === 'float32') return repeated(few, rows / different);
  const cast = native.cast(few, dtype);
  few.dispose();
  return repeated(cast, rows / different);
}

function repeated(few, times) {
  if (times === 1) return few;
  const all = native.repeatRows(few, times);
  few.dispose();
  return all;
}

/** Disposes tensors in any nesting of lists and objects. */
export function disposeAll(things) {
  if (typeof things?.dispose === 'function') things.dispose();
  else if (things && typeof things === 'object') for (const thing of Object.values(things)) disposeAll(thing);
}
