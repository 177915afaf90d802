import { ShapeError } from '../errors.ts';
import { transient } from '../tensor/autograd.ts';
import { type Device, type DeviceName, device as deviceByName, deviceOf } from '../tensor/device.ts';
import { add, attention, embedding, matmul, reshape, rotary } from '../tensor/operations.ts';
import { keep } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';
import { sinusoids } from './initialize.ts';
import type { Decoder, DecoderOptions, LanguageModel } from './language-model.ts';
import { Linear, Norm, WeightFactory } from './layers.ts';
import { copyWeights, loadModel, type SaveOptions, saveModel } from './model-file.ts';
import type { Parameter } from './parameter.ts';
import type { TokenBatch } from './token-batch.ts';
import { dropWith, TransformerBlock } from './transformer-block.ts';
import { completeConfig, type TransformerConfig, type TransformerOptions } from './transformer-config.ts';
import { CachedDecoder } from './transformer-decoder.ts';

export interface TransformerLMConfig extends TransformerConfig {
  /** Whether the output layer is the transposed embedding. Default true. */
  tied: boolean;
}

export type TransformerLMOptions = TransformerOptions & { tied?: boolean };

/** Where a model is made, and from which seed its weights start. */
export interface PlacementOptions {
  device?: Device;
  /** Default 0. */
  seed?: number;
}

/** Base of the rotary angles (Su et al., 2021). */
export const ROTARY_BASE = 10000;

/** Decoder-only transformer with pre-norm blocks. */
export class TransformerLM implements LanguageModel {
  static readonly kind = 'TransformerLM';
  readonly config: Readonly<TransformerLMConfig>;
  readonly device: Device;
  readonly blocks: readonly TransformerBlock[];
  readonly #embedding: Tensor;
  readonly #positions: Tensor | null;
  readonly #norm: Norm;
  readonly #output: Linear | null;
  readonly #parameters: readonly Parameter[];

  /** Makes a model with random weights (normal, deviation 0.02). Throws ValueError naming a config entry that is wrong. */
  constructor(options: TransformerLMOptions, { device = deviceOf('cpu'), seed = 0 }: PlacementOptions = {}) {
    const config = completeConfig<TransformerLMConfig>(options, { tied: options.tied ?? true });
    const { vocabularySize, width, maxPositions } = config;
    this.config = config;
    this.device = device;
    const make = new WeightFactory(seed, device);
    this.#embedding = make.normal('embedding.weight', [vocabularySize, width], 0.02);
    this.#positions =
      config.positions === 'learned'
        ? make.normal('positions.weight', [maxPositions, width], 0.02)
        : config.positions === 'sinusoidal'
          ? keep(Tensor.from(sinusoids(maxPositions, width), [maxPositions, width], device))
          : null;
    this.blocks = Array.from({ length: config.depth }, (_, i) => new TransformerBlock(make, `blocks.${i}`, config));
    this.#norm = new Norm(make, 'norm', width, config.norm, config.bias);
    this.#output = config.tied ? null : new Linear(make, 'output', width, vocabularySize, { bias: false });
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
    this.#checkLength(batch.positions);
    return transient(() => {
      const x = this.hidden(batch);
      return reshape(this.logits(x), [batch.rows, batch.positions, this.vocabularySize]);
    });
  }

  decoder(batch: TokenBatch, options: DecoderOptions): Decoder {
    this.#checkLength(options.capacity);
    return new CachedDecoder(this, batch, options);
  }

  /** The residual stream after the last block, [rows · positions, width]. `onQkv` sees each block's packed queries, keys and values. */
  hidden(batch: TokenBatch, onQkv?: (block: number, qkv: Tensor) => void): Tensor {
    const { rows, positions } = batch;
    const tokens = Tensor.from(batch.tokens, [rows * positions], this.device);
    const starts = Tensor.from(batch.starts, [rows], this.device);
    const ends = Tensor.from(new Int32Array(rows).fill(positions), [rows], this.device);
    const places = Tensor.from(relativePositions(batch), [rows, positions], this.device);
    const drop = dropWith(this.config.dropout, batch.dropoutSeed);
    let x = drop(this.embed(tokens, places.reshape([rows * positions])));
    this.blocks.forEach((block, i) => {
      const attend = (packed: Tensor): Tensor => {
        const qkv = this.place(packed, places);
        onQkv?.(i, qkv);
        return reshape(attention(qkv, starts, ends, true), [rows * positions, -1]);
      };
      x = block.apply(x, rows, attend, drop);
    });
    return x;
  }

  /** Token embeddings [n, width], with the position's added unless positions are rotary. */
  embed(tokens: Tensor<'int32'>, places: Tensor<'int32'>): Tensor {
    const x = embedding(this.#embedding, tokens);
    return this.#positions ? add(x, embedding(this.#positions, places)) : x;
  }

  /** Rotates packed queries and keys where positions are rotary. */
  place(qkv: Tensor, places: Tensor<'int32'>): Tensor {
    return this.config.positions === 'rotary' ? rotary(qkv, places, ROTARY_BASE) : qkv;
  }

  /** x [n, width] → logits [n, vocab]. */
  logits(x: Tensor): Tensor {
    const y = this.#norm.apply(x);
    return this.#output ? this.#output.apply(y) : matmul(y, this.#embedding, { transposeB: true });
  }

  /** A model of the same config with a copy of the weights. */
  clone(): TransformerLM {
    const copy = new TransformerLM(this.config, { device: this.device });
    copyWeights(this, copy);
    return copy;
  }

  /** Writes weights and config as safetensors, atomically. `dtype` may be 'float16' or 'bfloat16' to store half the bytes. */
  save(path: string, options: SaveOptions = {}): Promise<void> {
    return saveModel(path, TransformerLM.kind, this.config, this.#parameters, options);
  }

  /** Reads what `save` wrote. Rejects with CheckpointError when it is damaged or of another kind. */
  static async load(path: string, { device = 'auto' }: { device?: DeviceName } = {}): Promise<TransformerLM> {
    const place = await deviceByName(device);
    return loadModel(
      path,
      TransformerLM.kind,
      (config) => new TransformerLM(config as TransformerLMOptions, { device: place }),
    );
  }

  dispose(): void {
    for (const { tensor } of this.#parameters) tensor.dispose();
    this.#positions?.dispose();
  }

  #checkLength(positions: number): void {
    if (positions > this.config.maxPositions) {
      throw new ShapeError(
        `positions: expected at most config.maxPositions = ${this.config.maxPositions}, got ${positions}`,
        'positions',
      );
    }
  }
}

/** [rows, positions]: each position counted from its row's start; 0 in the padding. */
function relativePositions({ rows, positions, starts }: TokenBatch): Int32Array {
  const places = new Int32Array(rows * positions);
  for (let r = 0; r < rows; r++) {
    const start = starts[r] as number;
    for (let j = start; j < positions; j++) places[r * positions + j] = j - start;
  }
  return places;
}
