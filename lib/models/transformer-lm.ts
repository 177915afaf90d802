import { transient } from '../tensor/autograd.ts';
import { type Device, type DeviceName, device as deviceByName, deviceOf } from '../tensor/device.ts';
import { matmul, reshape } from '../tensor/operations.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Decoder, DecoderOptions, LanguageModel } from './language-model.ts';
import { Linear, WeightFactory } from './layers.ts';
import { copyWeights, loadModel, type SaveOptions, saveModel } from './model-file.ts';
import type { Parameter } from './parameter.ts';
import type { TokenBatch } from './token-batch.ts';
import {
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

/** Where a model is made, and from which seed its weights start. */
export interface PlacementOptions {
  /** Default: the CPU. */
  device?: Device;
  /** Default 0. */
  seed?: number;
}

/** Decoder-only transformer with pre-norm blocks. */
export class TransformerLM implements LanguageModel {
  static readonly kind = 'TransformerLM';
  readonly config: Readonly<TransformerLMConfig>;
  readonly device: Device;
  readonly stack: TransformerStack;
  readonly #output: Linear | null;
  readonly #parameters: readonly Parameter[];

  /** Makes a model with random weights (normal, deviation 0.02). Throws ValueError naming a config entry that is wrong. */
  constructor(options: TransformerLMOptions, { device = deviceOf('cpu'), seed = 0 }: PlacementOptions = {}) {
    const config = completeConfig<TransformerLMConfig>(options, { tied: options.tied ?? true });
    expectBoolean('tied', config.tied);
    const make = new WeightFactory(seed, device);
    this.config = config;
    this.device = device;
    this.stack = new TransformerStack(make, config, device);
    this.#output = config.tied
      ? null
      : new Linear(make, 'output', config.width, config.vocabularySize, { bias: false });
    this.#parameters = make.parameters;
  }

  get vocabularySize(): number {
    return this.config.vocabularySize;
  }

  parameters(): readonly Parameter[] {
    return this.#parameters;
  }

  /** Logits of the token after each position, [rows, positions, vocab]; those before a row's start mean nothing. */
  forward(batch: TokenBatch): Tensor {
    return transient(() => {
      const x = this.stack.hidden(batch, true);
      return reshape(this.logits(x), [batch.rows, batch.positions, this.vocabularySize]);
    });
  }

  decoder(batch: TokenBatch, options: DecoderOptions): Decoder {
    return new CachedDecoder(this, batch, options);
  }

  /** From the residual stream x [n, width] to logits [n, vocab]. */
  logits(x: Tensor): Tensor {
    const y = this.stack.norm.apply(x);
    return this.#output ? this.#output.apply(y) : matmul(y, this.stack.embedding, { transposeB: true });
  }

  /** A model of the same config with a copy of the weights. */
  clone(): TransformerLM {
    const copy = new TransformerLM(this.config, { device: this.device });
    copyWeights(this, copy);
    return copy;
  }

  /** Writes weights and config as safetensors, atomically. A `dtype` of 16 bits stores half the bytes. */
  save(path: string, options: SaveOptions = {}): Promise<void> {
    return saveModel(path, TransformerLM.kind, this.config, this.#parameters, options);
  }

  /** Reads what `save` wrote. Rejects with CheckpointError when it is damaged or of another kind. */
  static async load(path: string, { device = 'auto' }: { device?: DeviceName } = {}): Promise<TransformerLM> {
    const place = await deviceByName(device);
    return loadModel(path, TransformerLM.kind, (config) => {
      return new TransformerLM(config as TransformerLMOptions, { device: place });
    });
  }

  dispose(): void {
    for (const { tensor } of this.#parameters) tensor.dispose();
    this.stack.dispose();
  }
}
