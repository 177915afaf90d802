import { ValueError } from '../errors.ts';
import { type NativeProgram, native } from '../native.ts';

/**
 * Operations recorded once and replayed as one, on the same tensors: what is written in place between replays (tokens,
 * positions, a cache) is what changes.
 */
export class Program {
  readonly #native: NativeProgram;

  /**
   * Records the operations of `body` without running them. What is uploaded in it (`Tensor.from`) is uploaded once.
   *
   * @throws ValueError for a `body` that is asynchronous, reads, writes, or replays another program: none of these can be
   *   recorded
   */
  constructor(body: () => void) {
    native.beginProgram();
    let result: unknown;
    try {
      result = body();
    } catch (error) {
      native.disposeProgram(native.endProgram());
      throw error;
    }
    this.#native = native.endProgram();
    if (result instanceof Promise) {
      result.catch(() => {});
      this.dispose();
      throw new ValueError('program: expected a synchronous function, got one that returns a Promise', 'program');
    }
  }

  /** Enqueues the operations. */
  replay(): void {
    native.replayProgram(this.#native);
  }

  dispose(): void {
    native.disposeProgram(this.#native);
  }
}
