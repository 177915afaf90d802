import { type NativeProgram, native } from '../native.ts';

/**
 * Operations recorded once and replayed as one, on the same tensors: what is written in place between replays (tokens,
 * positions, a cache) is what changes.
 */
export class Program {
  readonly #native: NativeProgram;

  /** Records the operations of `body` without running them. */
  constructor(body: () => void) {
    native.beginProgram();
    let recorded: NativeProgram;
    try {
      body();
    } finally {
      recorded = native.endProgram();
    }
    this.#native = recorded;
  }

  /** Enqueues the operations. */
  replay(): void {
    native.replayProgram(this.#native);
  }

  dispose(): void {
    native.disposeProgram(this.#native);
  }
}
