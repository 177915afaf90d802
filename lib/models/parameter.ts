import type { Tensor } from '../tensor/tensor.ts';

/** A weight of a model, by name. */
export interface Parameter {
  readonly name: string;
  readonly tensor: Tensor;
  /** Whether weight decay applies: usual for matrices, not for norms and biases. Default true. */
  readonly decay?: boolean;
}
