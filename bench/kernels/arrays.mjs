// What the kernels are measured on: arrays of the three types of element, and where they lie.
import { normals } from '../data.mjs';

export const DTYPES = ['f32', 'bf16', 'f16'];
export const bytesOf = (dtype) => (dtype === 'f32' ? 4 : 2);

/** Together with code and stack still in a core's second-level cache of 512 KiB. */
const CACHED = 384 * 2 ** 10;
/** Far beyond every cache. */
const MEMORY = 256 * 2 ** 20;

/**
 * Where a kernel is measured that moves `bytes` per row: on as many rows as fit the second-level cache, the same at
 * every call (left out where none fits), and on the whole shape, calls taking turns over sets of arrays that are
 * together beyond every cache.
 *
 * @returns {{ place: string, rows: number, sets: number }[]}
 */
export function placesOf(rows, bytes, quick) {
  const cached = Math.min(rows, Math.floor(CACHED / bytes));
  const inMemory = { place: 'memory', rows, sets: quick ? 1 : Math.ceil(MEMORY / (rows * bytes)) };
  return cached > 0 ? [{ place: 'L2', rows: cached, sets: 1 }, inMemory] : [inMemory];
}

function bfloat16(values) {
  const bits = new Uint32Array(values.buffer);
  return Uint16Array.from(bits, (b) => (b + 0x7fff + ((b >>> 16) & 1)) >>> 16);
}

/** For magnitudes from 2^−14 to 65504; smaller ones become 0. */
function float16(values) {
  const bits = new Uint32Array(values.buffer);
  return Uint16Array.from(bits, (b) => {
    const magnitude = b & 0x7fffffff;
    const sign = (b >>> 16) & 0x8000;
    return magnitude < 0x38800000 ? sign : sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  });
}

const ENCODERS = { f32: (values) => values, bf16: bfloat16, f16: float16 };
const SOME = 2 ** 19 + 1;

/**
 * Elements of mean 0.3 and deviation 2: half a million distinct numbers, repeated, which is as good as all distinct and
 * made in a moment. Arrays of different `kind` differ by up to 0.6 at an index, as two branches of logits do.
 */
export function elements(dtype, length, kind) {
  const some = ENCODERS[dtype](normals(SOME, 2, 1).map((value, i) => value + 0.1 * ((i * (kind + 3)) % 7)));
  const array = new some.constructor(length);
  for (let at = 0; at < length; at += SOME) array.set(some.subarray(0, length - at), at);
  return array;
}

/** The parts of an array that make up its sets. */
export function setsOf(array, sets) {
  const size = array.length / sets;
  return Array.from({ length: sets }, (_, s) => array.subarray(s * size, (s + 1) * size));
}
