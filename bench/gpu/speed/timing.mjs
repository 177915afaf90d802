// How the GPU is timed: between two points of its queue, over several calls at once, on inputs that take turns so that
// none of them is still in the L2 cache.
import { spread } from '../../measure.mjs';

/** More than twice the L2 cache of today's GPUs (50 MB on an H100). */
const BEYOND_CACHE = 256 * 2 ** 20;
const ROUNDS = 15;
const SECONDS = 1;
/** A round's length in ms that launching does not disturb. */
const ROUND = 4;
const MOST_CALLS = 64;

/** How many sets of inputs of this many bytes are needed for none to be in the cache at its turn. */
export function setsOf(bytes, small) {
  return small ? 2 : Math.max(1, Math.ceil(BEYOND_CACHE / bytes));
}

/**
 * Device milliseconds of one call: the median over rounds, with the lowest and the highest. `call(set)` enqueues the work
 * on one set of inputs, and disposes what comes out.
 *
 * @returns {Promise<{ ms: number, lowest: number, highest: number, rounds: number }>}
 */
export async function timed(gpu, sets, call) {
  let next = 0;
  const round = (calls) =>
    gpu.time(() => {
      for (let i = 0; i < calls; i++) call(sets[next++ % sets.length]);
    });
  for (const _ of sets) await round(1);
  await gpu.synchronize(); // rejects when a call has failed, which the time of it would not tell
  const once = Math.min(await round(1), await round(1));
  const calls = Math.min(MOST_CALLS, Math.max(1, Math.round(ROUND / Math.max(once, 1e-3))));
  const times = [];
  const begin = performance.now();
  while (times.length < 3 || (times.length < ROUNDS && performance.now() - begin < 1000 * SECONDS))
    times.push((await round(calls)) / calls);
  const { median, min, max } = spread(times);
  return { ms: median, lowest: min, highest: max, rounds: times.length };
}

/** Host milliseconds of one awaited call, after `warmUp` calls. */
export async function timedOnHost(call, { warmUp = 2, rounds = 7, seconds = 12 } = {}) {
  for (let i = 0; i < warmUp; i++) await call();
  const times = [];
  const begin = performance.now();
  while (times.length < 2 || (times.length < rounds && performance.now() - begin < 1000 * seconds)) {
    const start = performance.now();
    await call();
    times.push(performance.now() - start);
  }
  const { median, min, max } = spread(times);
  return { ms: median, lowest: min, highest: max, rounds: times.length };
}

/** Bytes that `call` needs at its peak beyond what is in use before it. */
export async function peakOf(gpu, call) {
  await gpu.synchronize();
  await gpu.trimMemory();
  const { used } = gpu.memory({ resetPeak: true });
  call();
  await gpu.synchronize();
  return gpu.memory().peak - used;
}
