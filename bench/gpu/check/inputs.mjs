// Inputs of the operation checks: described by shape and kind, filled from a seed, placed on a device.

import { uniforms } from '../../data.mjs';
import { native } from '../../internals.mjs';

/**
 * @typedef {object} Input
 * @property {'element' | 'float32' | 'int32'} kind 'element': of the case's element type
 * @property {readonly number[]} shape
 * @property {(uniform: () => number, at: number) => number} value
 */

const elements = (shape) => shape.reduce((a, b) => a * b, 1);

/** Numbers spread evenly over [−size, size), as the case's element type. */
export const spread = (shape, size = 1) => ({ kind: 'element', shape, value: (uniform) => (2 * uniform() - 1) * size });

/** The same, always float32. */
export const floats = (shape, size = 1) => ({ ...spread(shape, size), kind: 'float32' });

/** float32 numbers of [low, high). */
export const between = (shape, low, high) => ({
  kind: 'float32',
  shape,
  value: (uniform) => low + (high - low) * uniform(),
});

/** Integers from low to high − 1. */
export const integers = (shape, low, high) => ({
  kind: 'int32',
  shape,
  value: (uniform) => low + Math.floor(uniform() * (high - low)),
});

/** Given integers. */
export const exactly = (values, shape = [values.length]) => ({
  kind: 'int32',
  shape,
  value: (_, at) => values[at],
});

/** float32 rounded to bfloat16 (nearest, ties to even), as bits. */
function toBfloat16(values) {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) halves[i] = (bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) >>> 16;
  return halves;
}

/** Numbers from what a tensor of this type reads as. */
export function numbers(dtype, data) {
  if (dtype !== 'bfloat16') return data;
  const bits = new Uint32Array(data.length);
  for (let i = 0; i < data.length; i++) bits[i] = data[i] << 16;
  return new Float32Array(bits.buffer);
}

/** The values of all inputs of a case, by name. `seed` picks them. */
export function filled(inputs, dtype, seed) {
  const uniform = uniforms(seed);
  for (let i = 0; i < 16; i++) uniform(); // near seeds begin alike
  return Object.entries(inputs).map(([name, { kind, shape, value }]) => {
    const type = kind === 'element' ? dtype : kind;
    const data = new (kind === 'int32' ? Int32Array : Float32Array)(elements(shape));
    for (let i = 0; i < data.length; i++) data[i] = value(uniform, i);
    return { name, type, shape, data: type === 'bfloat16' ? toBfloat16(data) : data };
  });
}

/** Native tensors on a device, by name. */
export function placed(device, values) {
  return Object.fromEntries(
    values.map(({ name, type, shape, data }) => [name, native.createTensor(device.id, type, shape, data)]),
  );
}
