// One helper thread of the copy yardstick (copy.mjs).
import { workerData } from 'node:worker_threads';
import { awaitChange, CALLS, COMMAND, EXIT, FLOATS, ITERATIONS, RELEASE, RUNNING } from './copy-control.mjs';

const { control, index } = workerData;
let from = new Float32Array(0);
let to = from;

for (let seen = 0; ; ) {
  seen = awaitChange(control, CALLS + index, seen);
  const command = Atomics.load(control, COMMAND);
  if (command === EXIT) break;
  if (command === RELEASE) {
    from = to = new Float32Array(0);
  } else {
    const floats = Atomics.load(control, FLOATS);
    if (from.length < floats) {
      from = new Float32Array(floats).fill(1);
      to = new Float32Array(floats).fill(2);
    }
    const share = from.subarray(0, floats);
    const iterations = Atomics.load(control, ITERATIONS);
    for (let i = 0; i < iterations; i++) to.set(share);
  }
  if (Atomics.sub(control, RUNNING, 1) === 1) Atomics.notify(control, RUNNING);
}
