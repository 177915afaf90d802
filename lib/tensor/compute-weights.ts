import { native } from '../native.ts';
import { keep } from './scope.ts';
import { type ComputeType, Tensor } from './tensor.ts';

/**
 * Copies of float32 parameters in the type that a model computes on, made at their first use and kept: for steps that
 * are replayed with weights that do not change in between.
 */
export class ComputeWeights {
  readonly #copies = new Map<Tensor, Tensor<ComputeType>>();

  /** Runs `body`, in which the parameters' copies are taken from here. */
  use<R>(body: () => R): R {
    const outer = current;
    current = this;
    try {
      return body();
    } finally {
      current = outer;
    }
  }

  of<C extends ComputeType>(weight: Tensor, dtype: C): Tensor<C> {
    let copy = this.#copies.get(weight);
    if (!copy) {
      copy = keep(new Tensor(native.cast(weight.handle, dtype), dtype));
      this.#copies.set(weight, copy);
    }
    return copy as Tensor<C>;
  }

  dispose(): void {
    for (const copy of this.#copies.values()) copy.dispose();
    this.#copies.clear();
  }
}

let current: ComputeWeights | null = null;

/** A parameter as the type that a product is computed on: itself, a kept copy, or a copy of the surrounding scope. */
export function weightAs<C extends ComputeType>(weight: Tensor, dtype: C): Tensor<C> {
  if (weight.dtype === (dtype as string)) return weight as unknown as Tensor<C>;
  return current ? current.of(weight, dtype) : new Tensor(native.cast(weight.handle, dtype), dtype);
}
