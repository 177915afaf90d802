import { transient } from '../tensor/autograd.ts';
import { type Device, type DeviceName, device as deviceByName, deviceOf } from '../tensor/device.ts';
import { linear, reshape } from '../tensor/operations.ts';
import { allOrNothing } from '../tensor/scope.ts';
import type { ComputeType, Tensor } from '../tensor/tensor.ts';
import type { Decoder, DecoderOptions, LanguageModel } from './language-model.ts';
import { Linear, WeightFactory } from './layers.ts';
import { copyOf, loadModel, type SaveOptions, saveModel } from './model-file.ts';
import type { Parameter } from './parameter.ts';
import { PlacedBatch } from './placed-batch.ts';
import type { TokenBatch } from './token-batch.ts';
import {
  checkedCompute,
  completeConfig,
  expectBoolean,
  type TransformerConfig,
  type TransformerOptions,
} from './transformer-config.ts';
import { CachedDecoder } from './transformer-decoder.ts';
import { TransformerStack } from './transformer-stack.ts';

export interface TransformerLMConfig extends TransformerConfig {
  /** Whether the output layer is the transposed embedding. Default true. */
  tied: boolean;
}

export type TransformerLMOptions = TransformerOptions & { tied?: boolean };

/** Where and how a model computes. */
export interface Placement<C extends ComputeType = ComputeType> {
  /** Default: the CPU. */
  device?: Device;
  /**
   * Type of what flows between the layers, the key/value cache and the logits; default 'float32'. With 'bfloat16' matrix
   * products are of values rounded to it, summed in float32. Weights, their gradients and statistics stay float32. Meant
   * for GPUs: the CPU computes it correctly and slowly.
   */
  compute?: C;
}

/** Where and how a model computes, and from which seed its weights start. */
export interface PlacementOptions<C extends ComputeType = 'float32'> extends Placement<C> {
  /** Default 0. */
  seed?: number;
}

/** Decoder-only transformer with pre-norm blocks. */
export class TransformerLM<C extends ComputeType = 'float32'> implements LanguageModel<C> {
  static readonly kind = 'TransformerLM';
  readonly config: Readonly<TransformerLMConfig>;
  readonly device: Device;
  readonly stack: TransformerStack<C>;
  readonly #output: Linear | null;
  readonly #parameters: readonly Parameter[];

  /** Makes a model with random weights (normal, deviation 0.02). Throws ValueError naming a config entry that is wrong. */
  constructor(
    options: TransformerLMOptions,
    { device = deviceOf('cpu'), seed = 0, compute = 'float32' as C }: PlacementOptions<C> = {},
  ) {
    const config = completeConfig<TransformerLMConfig>(options, { tied: options.tied ?? true });
    expectBoolean('tied', config.tied);
    checkedCompute(compute);
    const make = new WeightFactory(seed, device);
    const { stack, output } = allOrNothing(() => ({
      stack: new TransformerStack(make, config, device, compute),
      output: config.tied ? null : new Linear(make, 'output', config.width, config.vocabularySize, { bias: false }),
    }));
    this.config = config;
    this.device = device;
    this.stack = stack;
    this.#output = output;
    this.#parameters = make.parameters;
  }

  /** The type of what flows between the layers. */
  get compute(): C {
    return this.stack.compute;
  }

  get usesDropout(): boolean {
    return this.config.dropout > 0;
  }

  get vocabularySize(): number {
    return this.config.vocabularySize;
  }

  parameters(): readonly Parameter[] {
    return this.#parameters;
  }

  /** Logits of the token after each position, [rows, positions, vocab]; those before a row's start mean nothing. */
  forward(batch: TokenBatch): Tensor<C> {
    return transient(() => this.forwardPlaced(new PlacedBatch(batch, this.device)));
  }

  /** As `forward`, of a batch in device memory: nothing but the batch's tensors changes from pass to pass. */
  forwardPlaced(batch: PlacedBatch): Tensor<C> {
    return transient(() => {
      const x = this.stack.hidden(batch, true);
      return reshape(this.logits(x), [batch.rows, batch.positions, this.vocabularySize]);
    });
  }

  decoder(batch: TokenBatch, options: DecoderOptions): Decoder<C> {
    return new CachedDecoder(this, batch, options);
  }

  /** From the residual stream x [n, width] to logits [n, vocab]. */
  logits(x: Tensor<C>): Tensor<C> {
    const y = this.stack.norm.apply(x);
    return this.#output ? this.#output.apply(y) : linear(y, this.stack.embedding, { transpose: true });
  }

  /** A model of the same config on the same device, with a copy of the weights. To another device: `save` and `load`. */
  clone(): TransformerLM<C> {
    return copyOf(this, () => new TransformerLM(this.config, { device: this.device, compute: this.compute }));
  }

  /** Writes weights and config as safetensors, atomically. A `dtype` of 16 bits stores half the bytes. */
  save(path: string, options: SaveOptions = {}): Promise<void> {
    return saveModel(path, TransformerLM.kind, this.config, this.#parameters, options);
  }

  /**
   * Reads what `save` wrote onto a device (default 'auto'), to compute in a type (default 'float32'): the file holds
   * neither. Rejects with CheckpointError when it is damaged or of another kind, with DeviceError when the device is not
   * there.
   */
  static async load<C extends ComputeType = 'float32'>(
    path: string,
    { device = 'auto', compute = 'float32' as C }: { device?: DeviceName | Device; compute?: C } = {},
  ): Promise<TransformerLM<C>> {
    const place = await deviceByName(device);
    checkedCompute(compute);
    return loadModel(path, TransformerLM.kind, (config) => {
      return new TransformerLM(config as TransformerLMOptions, { device: place, compute });
    });
  }

  dispose(): void {
    for (const { tensor } of this.#parameters) tensor.dispose();
    this.stack.dispose();
  }
}
