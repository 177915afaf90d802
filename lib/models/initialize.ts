import { hostArray } from '../host-arrays.ts';
import type { Random } from '../random.ts';

let wanted = true;

/** Runs `body`, whose weights start as zeros: they are about to be replaced, and random numbers take their time. */
export function uninitialized<R>(body: () => R): R {
  const outer = wanted;
  wanted = false;
  try {
    return body();
  } finally {
    wanted = outer;
  }
}

/** Whether weights start as random numbers. */
export const initializes = (): boolean => wanted;

/** `count` draws from a normal distribution (Box and Muller, 1958). */
export function normal(random: Random, count: number, deviation: number): Float32Array {
  const values = hostArray('float32', count, 'random numbers');
  for (let i = 0; i < count; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log(1 - random.uniform()));
    const angle = 2 * Math.PI * random.uniform();
    values[i] = radius * Math.cos(angle);
    if (i + 1 < count) values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}

/** Sinusoidal positions [positions, width] (Vaswani et al., 2017): sines in the first half, cosines in the second. */
export function sinusoids(positions: number, width: number): Float32Array {
  const table = hostArray('float32', positions * width, 'sinusoidal positions');
  const half = Math.ceil(width / 2);
  for (let p = 0; p < positions; p++) {
    for (let i = 0; i < width; i++) {
      const angle = p * 10000 ** (-(i % half) / half);
      table[p * width + i] = i < half ? Math.sin(angle) : Math.cos(angle);
    }
  }
  return table;
}
