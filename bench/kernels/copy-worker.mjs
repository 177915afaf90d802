// One helper thread of the copy yardstick (copy.mjs).
import { workerData } from 'node:worker_threads';
import { awaitChange, CALLS, COMMAND, copyPair, EXIT, FLOATS, ITERATIONS, RELEASE, RUNNING } from './copy-control.mjs';

const { control, index } = workerData;
let { from, to } = copyPair(0);

for (let seen = 0; ; ) {
  seen = awaitChange(control, CALLS + index, seen);
  const command = Atomics.load(control, COMMAND);
  if (command === EXIT) break;
  if (command === RELEASE) {
    ({ from, to } = copyPair(0));
  } else {
    const floats = Atomics.load(control, FLOATS);
    if (from.length < floats) {
      ({ from, to } = copyPair(floats));
    }
    const share = from.subarray(0, floats);
    const iterations = Atomics.load(control, ITERATIONS);
    for (let i = 0; i < iterations; i++) to.set(share);
  }
  if (Atomics.sub(control, RUNNING, 1) === 1) Atomics.notify(control, RUNNING);
}
