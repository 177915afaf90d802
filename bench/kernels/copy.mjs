// The yardstick of the kernels: the C library's memmove, which is what TypedArray.set calls, on one or more threads.
// Every thread copies between arrays of its own, so that a copy by two threads is two copies of half the size.
import { Worker } from 'node:worker_threads';
import {
  awaitChange,
  CALLS,
  COMMAND,
  COPY,
  copyPair,
  EXIT,
  FLOATS,
  ITERATIONS,
  RELEASE,
  RUNNING,
} from './copy-control.mjs';

export const HOW_COPIED =
  'copy: memmove (TypedArray.set) of arrays as large together as what the kernel reads and writes, read + write counted, by as many threads';

export class Copy {
  #control;
  #workers;
  #floats = 0;
  #arrays = copyPair(0);

  /** @param {number} threads the most that will copy together, the caller's included */
  constructor(threads) {
    this.#control = new Int32Array(new SharedArrayBuffer(4 * (CALLS + threads - 1)));
    this.#workers = Array.from({ length: threads - 1 }, (_, i) => {
      return new Worker(new URL('./copy-worker.mjs', import.meta.url), {
        workerData: { control: this.#control, index: i },
      });
    });
  }

  /** Waits for the helpers to run: they start while the event loop of the caller turns. */
  async started() {
    await Promise.all(this.#workers.map((worker) => new Promise((resolve) => worker.once('online', resolve))));
  }

  /** From now on a copy moves `bytes`: half of them read, half written. */
  resize(bytes) {
    this.#floats = Math.floor(bytes / 8);
    this.#arrays = copyPair(this.#floats);
    // A helper makes its arrays at its first copy; a case's first one is not timed.
    this.#together(RELEASE, this.#workers.length + 1, 0, 0, () => {});
  }

  /** Copies so many times, on so many threads. */
  run(threads, iterations) {
    const floats = Math.ceil(this.#floats / threads);
    const { from, to } = this.#arrays;
    const share = from.subarray(0, floats);
    this.#together(COPY, threads, floats, iterations, () => {
      for (let i = 0; i < iterations; i++) to.set(share);
    });
  }

  #together(command, threads, floats, iterations, own) {
    const control = this.#control;
    Atomics.store(control, COMMAND, command);
    Atomics.store(control, FLOATS, floats);
    Atomics.store(control, ITERATIONS, iterations);
    Atomics.store(control, RUNNING, threads - 1);
    this.#call(threads - 1);
    own();
    for (let left = threads - 1; left > 0; ) left = awaitChange(control, RUNNING, left);
  }

  #call(helpers) {
    for (let i = 0; i < helpers; i++) {
      Atomics.add(this.#control, CALLS + i, 1);
      Atomics.notify(this.#control, CALLS + i);
    }
  }

  async close() {
    Atomics.store(this.#control, COMMAND, EXIT);
    this.#call(this.#workers.length);
    await Promise.all(this.#workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve))));
  }
}
