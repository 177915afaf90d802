import { alias } from '../tensor/autograd.ts';
import { Program } from '../tensor/program.ts';
import { keep, scope } from '../tensor/scope.ts';
import type { ComputeType, DType, Tensor } from '../tensor/tensor.ts';

/** A pass's inputs in tensors. */
export interface PlacedInputs<I> {
  /** Puts other inputs of the same shapes in their place. */
  write(inputs: I): void;
  readonly tensors: readonly Tensor<DType>[];
}

type Outputs = readonly Tensor<ComputeType>[];

/** What is done again and again on inputs of a few shapes. */
export interface Pass<I, P extends PlacedInputs<I>> {
  place(inputs: I): P;
  /** Operations on the inputs' tensors and on tensors that outlast the pass. What they give lasts until the next run. */
  run(placed: P): Outputs;
}

interface Recording<I> {
  inputs: PlacedInputs<I>;
  outputs: Outputs;
  program: Program;
}

/**
 * Runs a pass, and records it when inputs of the same key come again: from then on it is replayed, without the cost of
 * dispatching each of its operations. The results are the same.
 */
export class RecordedPasses<I, P extends PlacedInputs<I>> {
  readonly #pass: Pass<I, P>;
  readonly #most: number;
  readonly #seen = new Set<string>();
  /** By key, the one used last at the end. */
  readonly #recordings = new Map<string, Recording<I>>();

  /** @param most recordings kept: each holds the memory of its intermediate results. Default 4. */
  constructor(pass: Pass<I, P>, most = 4) {
    this.#pass = pass;
    this.#most = most;
  }

  /**
   * The pass's outputs for these inputs; the caller's scope disposes them.
   *
   * @param key the same for inputs of the same shapes and constants; null: never recorded
   */
  run(key: string | null, inputs: I): Outputs {
    if (key === null || !this.#seen.has(key)) {
      if (key !== null) this.#seen.add(key);
      return scope(() => this.#pass.run(this.#pass.place(inputs)));
    }
    let recording = this.#recordings.get(key);
    this.#recordings.delete(key);
    if (recording) recording.inputs.write(inputs);
    else recording = this.#record(inputs);
    this.#recordings.set(key, recording);
    for (const [oldest, least] of this.#recordings) {
      if (this.#recordings.size <= this.#most) break;
      this.#recordings.delete(oldest);
      release(least);
    }
    recording.program.replay();
    return recording.outputs.map((tensor) => alias(tensor));
  }

  dispose(): void {
    for (const recording of this.#recordings.values()) release(recording);
    this.#recordings.clear();
  }

  #record(inputs: I): Recording<I> {
    return scope(() => {
      const placed = this.#pass.place(inputs);
      let outputs: Outputs = [];
      const program = new Program(() => {
        outputs = scope(() => this.#pass.run(placed));
      });
      for (const tensor of [...placed.tensors, ...outputs]) keep(tensor);
      return { inputs: placed, outputs, program };
    });
  }
}

function release<I>({ inputs, outputs, program }: Recording<I>): void {
  program.dispose();
  for (const tensor of [...inputs.tensors, ...outputs]) tensor.dispose();
}
