import { ValueError } from '../errors.ts';

/** Lets one piece of asynchronous work run at a time: two steps of one trainer would mix their gradients. */
export class Exclusive {
  #busy = false;

  /** @throws ValueError when other work is under way */
  async run<R>(work: () => Promise<R>): Promise<R> {
    if (this.#busy) {
      throw new ValueError('run: expected one step at a time, got another while one is under way', 'run');
    }
    this.#busy = true;
    try {
      return await work();
    } finally {
      this.#busy = false;
    }
  }
}
