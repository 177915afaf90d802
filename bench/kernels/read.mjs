// The yardstick of kernels that only read: the library's own vectorised sum of an array of float32.
import { native } from '../internals.mjs';

export const HOW_READ =
  'read: a native vectorised sum of an array as large as what the kernel reads, on as many threads';

export class Read {
  #array = new Float32Array(0);

  /** From now on a read takes in `bytes`. */
  resize(bytes) {
    this.#array = new Float32Array(Math.floor(bytes / 4)).fill(1);
  }

  /** Reads so many times, on the threads that native loops are set to. */
  run(iterations) {
    for (let i = 0; i < iterations; i++) native.sumNow(this.#array);
  }
}
