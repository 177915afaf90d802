// How everything here is timed: the cases of a comparison take turns, round after round, so that whatever else the
// machine does hits all of them; what is reported are medians, and ratios taken within a round.

/**
 * @typedef {object} Case
 * @property {(iterations: number) => void | Promise<void>} run the work, so many times
 * @property {() => void} [before] puts the machine into this case's state (a number of threads, say); not timed
 */

/** @typedef {{ median: number, min: number, max: number }} Spread */

/**
 * A case that calls `once` so many times.
 *
 * @param {() => unknown} once synchronous
 * @param {() => void} [before]
 * @returns {Case}
 */
export function repeated(once, before) {
  return {
    before,
    run(iterations) {
      for (let i = 0; i < iterations; i++) once();
    },
  };
}

/**
 * A case that awaits `once` so many times.
 *
 * @param {() => Promise<unknown>} once
 * @param {() => void} [before]
 * @returns {Case}
 */
export function repeatedAsync(once, before) {
  return {
    before,
    async run(iterations) {
      for (let i = 0; i < iterations; i++) await once();
    },
  };
}

async function timed(case_, iterations) {
  case_.before?.();
  const begin = performance.now();
  await case_.run(iterations);
  return (performance.now() - begin) / 1000;
}

/** How many iterations last about `seconds`, found after a first, cold one, and how long they last. */
async function turnOf(case_, seconds) {
  await timed(case_, 1);
  for (let iterations = 1; ; ) {
    let took = await timed(case_, iterations);
    // One interruption must not pass for a slow case: the fastest of three counts.
    for (let again = 0; again < 2 && took < 2 * seconds; again++) {
      took = Math.min(took, await timed(case_, iterations));
    }
    if (took >= seconds / 2) {
      const fitting = Math.max(1, Math.round((iterations * seconds) / took));
      return { iterations: fitting, lasts: (took / iterations) * fitting };
    }
    iterations = Math.ceil(iterations * Math.min(10, Math.max(2, (0.75 * seconds) / Math.max(took, 1e-6))));
  }
}

const FEWEST_ROUNDS = 5;

/**
 * Times the cases in turns. Every second round goes through them backwards, so that a steady drift of the machine's
 * speed favours none.
 *
 * @template {string} Name
 * @param {Record<Name, Case>} cases
 * @param {object} options
 * @param {number} options.rounds
 * @param {number} options.seconds about how long one case's turn lasts, unless one iteration lasts longer
 * @param {number} [options.budget] seconds that all rounds together should not exceed: slow cases get fewer rounds, at
 *   least five
 * @returns {Promise<Record<Name, number[]>>} seconds per iteration, one per round
 */
export async function interleave(cases, { rounds, seconds, budget = Infinity }) {
  const turns = [];
  for (const [name, case_] of Object.entries(cases)) {
    turns.push({ name, case_, ...(await turnOf(case_, seconds)) });
  }
  const aRound = turns.reduce((sum, { lasts }) => sum + lasts, 0);
  const affordable = Math.min(rounds, Math.max(FEWEST_ROUNDS, Math.floor(budget / aRound)));
  const times = Object.fromEntries(turns.map(({ name }) => [name, []]));
  for (let round = 0; round < affordable; round++) {
    for (const { name, case_, iterations } of round % 2 ? turns.toReversed() : turns) {
      times[name].push((await timed(case_, iterations)) / iterations);
    }
  }
  return times;
}

/** @param {readonly number[]} values at least one */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * @param {readonly number[]} values at least one
 * @returns {Spread}
 */
export function spread(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * `amount` per second, from seconds per iteration.
 *
 * @returns {Spread}
 */
export function rate(amount, seconds) {
  return spread(seconds.map((s) => amount / s));
}

/**
 * a / b, round by round.
 *
 * @returns {Spread}
 */
export function ratio(a, b) {
  return spread(a.map((value, round) => value / b[round]));
}
