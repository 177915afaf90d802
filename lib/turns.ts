import { setImmediate } from 'node:timers/promises';

/** How long synchronous work may last before the event loop should have its turn, ms. */
const LONGEST = 4;

/** Long work on the JavaScript thread, cut into pieces between which timers and sockets have their turn. */
export class Turns {
  #begin = performance.now();

  /** Called between two pieces: waits for a turn of the event loop when the last was long enough ago. */
  async pause(): Promise<void> {
    if (performance.now() - this.#begin < LONGEST) return;
    await setImmediate();
    this.#begin = performance.now();
  }
}
