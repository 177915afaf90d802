import { transient } from '../tensor/autograd.ts';
import { type Device, type DeviceName, device as deviceByName, deviceOf } from '../tensor/device.ts';
import { maskedMean, reshape } from '../tensor/operations.ts';
import { allOrNothing } from '../tensor/scope.ts';
import type { ComputeType, Tensor } from '../tensor/tensor.ts';
import { Linear, WeightFactory } from './layers.ts';
import { copyOf, loadModel, type SaveOptions, saveModel } from './model-file.ts';
import type { Parameter } from './parameter.ts';
import { PlacedBatch } from './placed-batch.ts';
import type { TokenBatch } from './token-batch.ts';
import {
  checkedCompute,
  completeConfig,
  expectPositive,
  type TransformerConfig,
  type TransformerOptions,
} from './transformer-config.ts';
import type { PlacementOptions } from './transformer-lm.ts';
import { TransformerStack } from './transformer-stack.ts';

export interface SequenceEncoderConfig extends TransformerConfig {
  /** Width of the embedding. Default: the width. */
  dimensions: number;
}

export type SequenceEncoderOptions = TransformerOptions & { dimensions?: number };

/** Bidirectional transformer over a token sequence, its last layer averaged over the positions and projected. */
export class SequenceEncoder {
  static readonly kind = 'SequenceEncoder';
  readonly config: Readonly<SequenceEncoderConfig>;
  readonly device: Device;
  readonly #stack: TransformerStack;
  readonly #projection: Linear;
  readonly #parameters: readonly Parameter[];

  /** Makes an encoder with random weights. Throws ValueError naming a config entry that is wrong. */
  constructor(
    options: SequenceEncoderOptions,
    { device = deviceOf('cpu'), seed = 0, compute = 'float32' }: PlacementOptions<ComputeType> = {},
  ) {
    const config = completeConfig<SequenceEncoderConfig>(options, { dimensions: options.dimensions ?? options.width });
    expectPositive('dimensions', config.dimensions);
    checkedCompute(compute);
    const make = new WeightFactory(seed, device);
    const { stack, projection } = allOrNothing(() => ({
      stack: new TransformerStack(make, config, device, compute),
      projection: new Linear(make, 'projection', config.width, config.dimensions, {
        bias: false,
        deviation: 1 / Math.sqrt(config.width),
      }),
    }));
    this.config = config;
    this.device = device;
    this.#stack = stack;
    this.#projection = projection;
    this.#parameters = make.parameters;
  }

  get vocabularySize(): number {
    return this.config.vocabularySize;
  }

  /** The type of what flows between the layers; embeddings are float32. */
  get compute(): ComputeType {
    return this.#stack.compute;
  }

  get dimensions(): number {
    return this.config.dimensions;
  }

  parameters(): readonly Parameter[] {
    return this.#parameters;
  }

  /** Embeddings [rows, dimensions], float32, not normalised. */
  forward(batch: TokenBatch): Tensor {
    return transient(() => {
      const placed = new PlacedBatch(batch, this.device);
      const { rows, positions, starts, ends } = placed;
      const x = this.#stack.norm.apply(this.#stack.hidden(placed, false));
      return this.#projection.apply(maskedMean(reshape(x, [rows, positions, this.config.width]), starts, ends));
    });
  }

  /** An encoder of the same config on the same device, with a copy of the weights. To another device: `save` and `load`. */
  clone(): SequenceEncoder {
    return copyOf(this, () => new SequenceEncoder(this.config, { device: this.device, compute: this.compute }));
  }

  /** Writes weights and config as safetensors, atomically. */
  save(path: string, options: SaveOptions = {}): Promise<void> {
    return saveModel(path, SequenceEncoder.kind, this.config, this.#parameters, options);
  }

  /**
   * Reads what `save` wrote onto a device (default 'auto'), to compute in a type (default 'float32'): the file holds
   * neither. Rejects with CheckpointError when it is damaged or of another kind, with DeviceError when the device is not
   * there.
   */
  static async load(
    path: string,
    { device = 'auto', compute = 'float32' }: { device?: DeviceName | Device; compute?: ComputeType } = {},
  ): Promise<SequenceEncoder> {
    const place = await deviceByName(device);
    checkedCompute(compute);
    return loadModel(path, SequenceEncoder.kind, (config) => {
      return new SequenceEncoder(config as SequenceEncoderOptions, { device: place, compute });
    });
  }

  dispose(): void {
    for (const { tensor } of this.#parameters) tensor.dispose();
    this.#stack.dispose();
  }
}
