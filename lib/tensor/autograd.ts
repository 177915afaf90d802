import { ShapeError, ValueError } from '../errors.ts';
import { native } from '../native.ts';
import { keep, scope } from './scope.ts';
import { type ComputeType, Tensor } from './tensor.ts';

/** A tensor that gradients flow through. */
type Value = Tensor<ComputeType>;

/**
 * Gradients of an operation's inputs, in their order and each of its input's type; null where none is wanted. New
 * handles, never `gradOut` itself, which has the output's type.
 */
export type Backward = (gradOut: Value) => readonly (Value | null)[];

interface Node {
  inputs: readonly Value[];
  output: Value;
  backward: Backward;
}

let active: Tape | null = null;

/**
 * Records operations on tensors that depend on the watched ones, so that gradients can flow back. Recording is bound to
 * the synchronous callback of `record`: other code that runs between a caller's awaits is never recorded.
 */
export class Tape {
  readonly #watched: readonly Tensor[];
  #tracked: Set<Value>;
  #nodes: Node[] = [];

  /** @param watched the tensors to differentiate by, such as a model's parameters */
  constructor(watched: Iterable<Tensor>) {
    this.#watched = [...watched];
    this.#tracked = new Set<Value>(this.#watched);
  }

  /** Runs `body` with this tape recording, and returns what it returns. */
  record<R>(body: () => R): R {
    const outer = active;
    active = this;
    try {
      return body();
    } finally {
      active = outer;
    }
  }

  /** Whether a gradient is wanted for this tensor. */
  tracks(tensor: Value): boolean {
    return this.#tracked.has(tensor);
  }

  add(node: Node): void {
    this.#nodes.push(node);
    this.#tracked.add(node.output);
  }

  /**
   * Carries the gradients of a loss by some outputs back to the watched tensors, and empties the tape.
   *
   * @param seeds pairs of an output recorded on this tape and ∂loss/∂output, of its shape
   * @returns the gradient of each watched tensor that the outputs depend on; the caller disposes them
   */
  backward(seeds: Iterable<readonly [output: Value, gradient: Value]>): Map<Tensor, Tensor> {
    const pairs = [...seeds];
    for (const [output, gradient] of pairs) {
      if (!this.#tracked.has(output)) {
        throw new ValueError('output: expected a tensor recorded on this tape that depends on a watched one', 'output');
      }
      if (gradient.shape.join() !== output.shape.join()) {
        throw new ShapeError(
          `gradient: expected [${output.shape.join(', ')}] like its output, got [${gradient.shape.join(', ')}]`,
          'gradient',
        );
      }
    }
    const gradients = new Map<Value, Value>();
    const contribute = (to: Value, part: Value): void => {
      const before = gradients.get(to);
      gradients.set(to, keep(before ? new Tensor(native.add(before.handle, part.handle), part.dtype) : part));
      before?.dispose();
    };
    const nodes = this.#nodes.reverse();
    const tracked = this.#tracked;
    this.#nodes = [];
    this.#tracked = new Set(this.#watched);
    try {
      for (const [output, gradient] of pairs) contribute(output, alias(gradient));
      for (const node of nodes) {
        using gradOut = gradients.get(node.output);
        if (!gradOut) continue;
        gradients.delete(node.output);
        scope(() => {
          const parts = node.backward(gradOut);
          node.inputs.forEach((input, i) => {
            const part = parts[i];
            if (part && tracked.has(input)) contribute(input, part);
          });
        });
      }
    } catch (error) {
      for (const gradient of gradients.values()) gradient.dispose();
      throw error;
    }
    // What is left belongs to watched tensors, which are float32.
    return gradients as Map<Tensor, Tensor>;
  }
}

/** Runs `body` in a scope of its own, unless a tape is recording and needs what it makes. */
export function transient<R>(body: () => R): R {
  return active ? body() : scope(body);
}

/** Another handle of the same memory, with its own lifetime. */
export function alias<C extends ComputeType>(tensor: Tensor<C>): Tensor<C> {
  return new Tensor(tensor.handle.view(tensor.shape, 0), tensor.dtype, tensor.shape);
}

/** Puts an operation on the active tape, if there is one and it tracks an input. Returns the output. */
export function recorded<C extends ComputeType>(
  output: Tensor<C>,
  inputs: readonly (Value | null)[],
  backward: Backward,
): Tensor<C> {
  const tape = active;
  if (!tape) return output;
  const present = inputs.filter((t): t is Value => t !== null);
  if (present.some((t) => tape.tracks(t))) {
    const places = inputs.flatMap((t, i) => (t === null ? [] : [i]));
    tape.add({
      inputs: present,
      output,
      backward: (gradOut) => {
        const all = backward(gradOut);
        return places.map((i) => all[i] ?? null);
      },
    });
  }
  return output;
}

/** Whether the active tape wants a gradient for this tensor: backward passes skip what nobody asked for. */
export function wantsGradient(tensor: Value | null): boolean {
  return tensor !== null && (active?.tracks(tensor) ?? false);
}
