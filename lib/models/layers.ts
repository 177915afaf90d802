import { hostArray } from '../host-arrays.ts';
import { Random } from '../random.ts';
import type { Device } from '../tensor/device.ts';
import { layerNorm, linear, rmsNorm } from '../tensor/operations.ts';
import { keep } from '../tensor/scope.ts';
import { type ComputeType, Tensor } from '../tensor/tensor.ts';
import { initializes, normal } from './initialize.ts';
import type { Parameter } from './parameter.ts';

/** Makes the weights of a model, in order, under names; each weight's random start depends on its name alone. */
export class WeightFactory {
  readonly parameters: Parameter[] = [];
  readonly #random: Random;
  readonly #device: Device;

  constructor(seed: number, device: Device) {
    this.#random = new Random(seed);
    this.#device = device;
  }

  /** Normally distributed with this deviation; decayed. */
  normal(name: string, shape: readonly number[], deviation: number): Tensor {
    const count = shape.reduce((a, b) => a * b, 1);
    const start = initializes()
      ? normal(this.#random.fork(name), count, deviation)
      : hostArray('float32', count, `the weights ${name}`);
    return this.#add(name, start, shape, true);
  }

  /** All elements equal; not decayed. */
  constant(name: string, length: number, value: number): Tensor {
    return this.#add(name, hostArray('float32', length, `the weights ${name}`).fill(value), [length], false);
  }

  #add(name: string, data: Float32Array, shape: readonly number[], decay: boolean): Tensor {
    const tensor = keep(Tensor.from(data, shape, this.#device));
    this.parameters.push({ name, tensor, decay });
    return tensor;
  }
}

/** x · W + b, with W [inputs, outputs]. */
export class Linear {
  readonly weight: Tensor;
  readonly bias: Tensor | null;

  constructor(
    make: WeightFactory,
    name: string,
    inputs: number,
    outputs: number,
    { bias = true, deviation = 0.02 } = {},
  ) {
    this.weight = make.normal(`${name}.weight`, [inputs, outputs], deviation);
    this.bias = bias ? make.constant(`${name}.bias`, outputs, 0) : null;
  }

  apply<C extends ComputeType>(x: Tensor<C>): Tensor<C> {
    return linear(x, this.weight, { bias: this.bias });
  }
}

/** LayerNorm or RMSNorm with a gain (and, for LayerNorm, a bias). */
export class Norm {
  static readonly epsilon = 1e-5;
  readonly gain: Tensor;
  readonly bias: Tensor | null;
  readonly #kind: 'layer' | 'rms';

  constructor(make: WeightFactory, name: string, width: number, kind: 'layer' | 'rms', bias: boolean) {
    this.#kind = kind;
    this.gain = make.constant(`${name}.gain`, width, 1);
    this.bias = kind === 'layer' && bias ? make.constant(`${name}.bias`, width, 0) : null;
  }

  apply<C extends ComputeType>(x: Tensor<C>): Tensor<C> {
    return this.#kind === 'rms'
      ? rmsNorm(x, this.gain, Norm.epsilon)
      : layerNorm(x, this.gain, this.bias, Norm.epsilon);
  }
}
