// How late a timer of 10 ms is while something else goes on: what a server would feel that works beside it.

/** Between two ticks, ms. */
export const PERIOD = 10;

/**
 * Lateness of the ticks of a fixed schedule while `work` runs, ms, sorted. Every tick counts, also those that a long
 * stretch of synchronous code lets pass: one of 200 ms makes twenty ticks late, and not one.
 *
 * @param {(goesOn: () => boolean) => Promise<void>} work may end when `goesOn()` is false
 * @param {number} seconds that it should last
 * @returns {Promise<Float64Array>}
 */
export async function lateness(work, seconds) {
  const late = [];
  const begin = performance.now();
  let due = begin + PERIOD;
  let timer;
  const tick = () => {
    const now = performance.now();
    for (; due <= now; due += PERIOD) late.push(now - due);
    // The timers of Node count whole milliseconds and may fire up to one early.
    timer = setTimeout(tick, Math.max(1, Math.ceil(due - performance.now())));
  };
  timer = setTimeout(tick, PERIOD);
  try {
    await work(() => performance.now() < begin + 1000 * seconds);
  } finally {
    clearTimeout(timer);
  }
  const end = performance.now();
  for (; due <= end; due += PERIOD) late.push(end - due);
  return Float64Array.from(late).sort();
}

/** @param {Float64Array} sorted */
export function percentile(sorted, share) {
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] : Number.NaN;
}
