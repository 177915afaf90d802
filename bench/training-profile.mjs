// Where the time of a training step goes, by operation.
import { native } from './internals.mjs';
import { median } from './measure.mjs';
import { figure, table } from './table.mjs';

/** Flops per second of multiply-adds that wait for nothing, on all threads: the fastest of some short runs. */
function measurePeak() {
  const rounds = 200_000;
  let best = 0;
  for (let i = 0; i < 10; i++) {
    const begin = performance.now();
    const flops = native.multiplyAdds(rounds);
    best = Math.max(best, flops / ((performance.now() - begin) / 1000));
  }
  return best;
}

/**
 * Profiles some steps.
 *
 * @param {() => Promise<unknown>} step
 * @param {number} steps
 */
export async function profileSteps(step, steps) {
  const peaks = [measurePeak()];
  const seconds = [];
  native.profile(true);
  for (let i = 0; i < steps; i++) {
    const begin = performance.now();
    await step();
    seconds.push((performance.now() - begin) / 1000);
    peaks.push(measurePeak());
  }
  const operations = native.profile(false).map((operation) => ({
    ...operation,
    calls: operation.calls / steps,
    seconds: operation.seconds / steps,
    flops: operation.flops / steps,
    bytes: operation.bytes / steps,
  }));
  const mean = seconds.reduce((a, b) => a + b, 0) / steps;
  return { steps, secondsPerStep: mean, peak: median(peaks), operations };
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** @param {Awaited<ReturnType<typeof profileSteps>>} profile */
export function printProfile({ steps, secondsPerStep, peak, operations }) {
  const head = ['operation', 'shape', 'calls', 'ms', 'of the step', 'GFLOP/s', 'of the peak', 'GB/s'];
  const row = ({ name, shape, calls, seconds, flops, bytes }) => [
    name,
    shape,
    calls,
    (1000 * seconds).toFixed(2),
    percent(seconds / secondsPerStep),
    flops ? figure(flops / seconds / 1e9) : '',
    flops ? percent(flops / seconds / peak) : '',
    bytes ? figure(bytes / seconds / 1e9) : '',
  ];
  const total = (name, list) => {
    const sum = (key) => list.reduce((all, operation) => all + operation[key], 0);
    return row({ name, shape: '', calls: sum('calls'), seconds: sum('seconds'), flops: sum('flops'), bytes: 0 });
  };
  const products = operations.filter(({ name }) => name === 'matmul');
  const rows = [...operations.map(row), total('all matmul', products), total('all operations', operations)];
  return `${table(head, rows, 2)}
A step: ${(1000 * secondsPerStep).toFixed(1)} ms, mean of ${steps}; per step. Peak: ${figure(peak / 1e9)} GFLOP/s of multiply-adds that wait for
nothing, measured between the steps. Causal attention counts half of each matrix.`;
}
