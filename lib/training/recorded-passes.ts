import { OutOfMemoryError } from '../errors.ts';
import { alias } from '../tensor/autograd.ts';
import { Program } from '../tensor/program.ts';
import { keep, scope } from '../tensor/scope.ts';
import { holdsSpareMemory, withSpareMemory } from '../tensor/spare-memory.ts';
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
  /**
   * Operations on the inputs' tensors and on tensors that outlast the pass, which it changes only after everything that
   * needs memory. What they give lasts until the next run.
   */
  run(placed: P): Outputs;
}

interface Recording<I> {
  inputs: PlacedInputs<I>;
  outputs: Outputs;
  program: Program;
}

/**
 * Runs a pass, and records it when inputs of the same key come again: from then on it is replayed, without the cost of
 * dispatching each of its operations. The results are the same. Where memory does not suffice for recordings, there are
 * none.
 */
export class RecordedPasses<I, P extends PlacedInputs<I>> {
  readonly #pass: Pass<I, P>;
  readonly #most: number;
  /** How often inputs of each key have come. */
  readonly #counts = new Map<string, number>();
  /** Keys for whose recording there was no memory. */
  readonly #tooLarge = new Set<string>();
  readonly #recordings = new Map<string, Recording<I>>();

  /** @param most recordings kept: each holds the memory of its intermediate results. Default 4. */
  constructor(pass: Pass<I, P>, most = 4) {
    this.#pass = pass;
    this.#most = most;
    holdsSpareMemory(this);
  }

  /**
   * The pass's outputs for these inputs; the caller's scope disposes them.
   *
   * @param key the same for inputs of the same shapes and constants; null: never recorded
   */
  run(key: string | null, inputs: I): Outputs {
    if (key === null) return this.#once(inputs);
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    const recording = this.#recordings.get(key);
    if (recording) {
      recording.inputs.write(inputs);
      return replayed(recording);
    }
    if (count === 1 || this.#tooLarge.has(key) || !this.#makeRoom(count)) return this.#once(inputs);
    try {
      const made = this.#record(inputs);
      this.#recordings.set(key, made);
      return replayed(made);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      this.#tooLarge.add(key);
      return this.#once(inputs);
    }
  }

  dispose(): void {
    this.releaseSpare();
  }

  /** Frees the recordings: their passes are recorded anew. Returns whether there were any. */
  releaseSpare(): boolean {
    const held = this.#recordings.size > 0;
    for (const recording of this.#recordings.values()) release(recording);
    this.#recordings.clear();
    return held;
  }

  #once(inputs: I): Outputs {
    return withSpareMemory(() => scope(() => this.#pass.run(this.#pass.place(inputs))));
  }

  /**
   * Whether one more recording may be kept, of inputs that have come `count` times: in the place of those that have come
   * less often, so that many shapes do not drive each other out.
   */
  #makeRoom(count: number): boolean {
    if (this.#recordings.size < this.#most) return true;
    const countOf = (key: string) => this.#counts.get(key) ?? 0;
    const rarest = [...this.#recordings.keys()].reduce((a, b) => (countOf(b) < countOf(a) ? b : a));
    if (countOf(rarest) >= count) return false;
    release(this.#recordings.get(rarest) as Recording<I>);
    return this.#recordings.delete(rarest);
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

function replayed<I>({ program, outputs }: Recording<I>): Outputs {
  program.replay();
  return outputs.map((tensor) => alias(tensor));
}

function release<I>({ inputs, outputs, program }: Recording<I>): void {
  program.dispose();
  for (const tensor of [...inputs.tensors, ...outputs]) tensor.dispose();
}
