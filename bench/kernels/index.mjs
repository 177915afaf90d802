// The fused kernels over typed arrays, in GB/s of the bytes that must move, beside a copy or a read of as many bytes.
import { threadCounts, useThreads } from '../machine.mjs';
import { interleave, rate, ratio, repeated, spread } from '../measure.mjs';
import { duration, figure, ranged, table } from '../table.mjs';
import { Copy, HOW_COPIED } from './copy.mjs';
import * as distill from './distill.mjs';
import * as diversity from './diversity.mjs';
import * as guidance from './guidance.mjs';
import * as merge from './merge.mjs';
import * as optim from './optim.mjs';
import { HOW_READ, Read } from './read.mjs';

/**
 * @typedef {object} KernelCase
 * @property {string} kernel
 * @property {string} dtype of the elements
 * @property {string} shape of one call
 * @property {string} place where the arrays lie
 * @property {number} bytes that one iteration must move, each once
 * @property {'copy' | 'read'} yardstick
 * @property {() => (() => void) | import('../measure.mjs').Case} make allocates; what it returns is one iteration
 */

const FAMILIES = { guidance, distill, diversity, merge, optim };

function labelled(case_) {
  const { kernel, dtype, shape, place } = case_;
  return { ...case_, label: `${kernel} ${dtype} ${shape} ${place}` };
}

/**
 * @param {{ quick: boolean, match: readonly string[], onProgress: (what: string) => void }} options `match`: only cases
 *   whose label "kernel dtype shape place" contains all of these
 */
export async function run({ quick, match, onProgress }) {
  const threads = threadCounts();
  const copy = new Copy(Math.max(...threads));
  const read = new Read();
  await copy.started();
  const timing = quick ? { rounds: 5, seconds: 0.01 } : { rounds: 15, seconds: 0.03, budget: 4 };
  const results = [];

  const compare = async ({ label, make, kernel, dtype, shape, place, bytes, yardstick }) => {
    onProgress(label);
    const made = make();
    copy.resize(yardstick === 'copy' ? bytes : 0);
    read.resize(yardstick === 'read' ? bytes : 0);
    const cases = {};
    for (const count of threads) {
      const before = useThreads(count);
      cases[`yardstick ${count}`] =
        yardstick === 'copy'
          ? { run: (iterations) => copy.run(count, iterations) }
          : { before, run: (iterations) => read.run(iterations) };
      cases[`kernel ${count}`] = typeof made === 'function' ? repeated(made, before) : { before, ...made };
    }
    const times = await interleave(cases, timing);
    for (const count of threads) {
      const [own, beside] = [times[`kernel ${count}`], times[`yardstick ${count}`]];
      results.push({
        kernel,
        dtype,
        shape,
        place,
        threads: count,
        bytes,
        seconds: spread(own),
        gigabytesPerSecond: rate(bytes / 1e9, own),
        yardstick,
        yardstickGigabytesPerSecond: rate(bytes / 1e9, beside),
        share: ratio(beside, own),
      });
    }
  };

  try {
    for (const family of Object.values(FAMILIES)) {
      for (const case_ of family.cases({ quick }).map(labelled)) {
        if (match.every((part) => case_.label.includes(part))) await compare(case_);
      }
    }
  } finally {
    useThreads(Math.max(...threads))();
    await copy.close();
  }
  return { how: `${HOW_COPIED}.\n${HOW_READ}`, ...timing, results };
}

export function print({ how, rounds, results }) {
  const head = ['kernel', 'type', 'shape', 'from', 'beside', 'threads', 'time', 'GB/s', 'beside', 'share (range)'];
  const rows = results.map((r) => [
    r.kernel,
    r.dtype,
    r.shape,
    r.place,
    r.yardstick,
    r.threads,
    duration(r.seconds.median),
    figure(r.gigabytesPerSecond.median),
    figure(r.yardstickGigabytesPerSecond.median),
    ranged(r.share),
  ]);
  return `${table(head, rows, 5)}\n${how}.\nUp to ${rounds} rounds.`;
}
