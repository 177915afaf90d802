import { ShapeError } from '../errors.ts';
import type { Device } from '../tensor/device.ts';
import { add, attention, embedding, reshape, rotary } from '../tensor/operations.ts';
import { keep } from '../tensor/scope.ts';
import { type ComputeType, Tensor } from '../tensor/tensor.ts';
import { sinusoids } from './initialize.ts';
import { Norm, type WeightFactory } from './layers.ts';
import type { PlacedBatch } from './placed-batch.ts';
import { dropWith, TransformerBlock } from './transformer-block.ts';
import type { TransformerConfig } from './transformer-config.ts';

/** Base of the rotary angles (Su et al., 2021). */
const ROTARY_BASE = 10000;

/** What decoder and encoder have in common: embeddings, positions, blocks and the final norm. */
export class TransformerStack<C extends ComputeType = ComputeType> {
  readonly config: TransformerConfig;
  readonly device: Device;
  /** The type of what flows between the layers; parameters are float32. */
  readonly compute: C;
  /** [vocab, width] */
  readonly embedding: Tensor;
  readonly blocks: readonly TransformerBlock[];
  readonly norm: Norm;
  /** [maxPositions, width]: learned or fixed; null where positions are rotary. */
  readonly #positions: Tensor | null;

  constructor(make: WeightFactory, config: TransformerConfig, device: Device, compute: C) {
    const { vocabularySize, width, maxPositions } = config;
    this.config = config;
    this.device = device;
    this.compute = compute;
    this.embedding = make.normal('embedding.weight', [vocabularySize, width], 0.02);
    this.#positions =
      config.positions === 'learned'
        ? make.normal('positions.weight', [maxPositions, width], 0.02)
        : config.positions === 'sinusoidal'
          ? keep(Tensor.from(sinusoids(maxPositions, width), [maxPositions, width], device))
          : null;
    this.blocks = Array.from({ length: config.depth }, (_, i) => new TransformerBlock(make, `blocks.${i}`, config));
    this.norm = new Norm(make, 'norm', width, config.norm, config.bias);
  }

  /**
   * The residual stream after the last block, [rows · positions, width]. `onQkv` sees each block's packed queries, keys
   * and values [rows, positions, 3, heads, headWidth], positions applied.
   */
  hidden(batch: PlacedBatch, causal: boolean, onQkv?: (block: number, qkv: Tensor<C>) => void): Tensor<C> {
    const { rows, positions, tokens, starts, ends, places } = batch;
    this.checkLength(positions, 'positions');
    const drop = dropWith(this.config.dropout, batch.dropoutSeed);
    let x = drop(this.embed(tokens.reshape([rows * positions]), places.reshape([rows * positions])));
    this.blocks.forEach((block, i) => {
      const attend = (packed: Tensor<C>): Tensor<C> => {
        const qkv = this.place(packed, places);
        onQkv?.(i, qkv);
        return reshape(attention(qkv, starts, ends, causal), [rows * positions, -1]);
      };
      x = block.apply(x, rows, attend, drop);
    });
    return x;
  }

  /** Token embeddings [n, width], with the position's added unless positions are rotary. */
  embed(tokens: Tensor<'int32'>, places: Tensor<'int32'>): Tensor<C> {
    const x = embedding(this.embedding, tokens, this.compute);
    return this.#positions ? add(x, embedding(this.#positions, places, this.compute)) : x;
  }

  /** Rotates packed queries and keys where positions are rotary. */
  place(qkv: Tensor<C>, places: Tensor<'int32'>): Tensor<C> {
    return this.config.positions === 'rotary' ? rotary(qkv, places, ROTARY_BASE) : qkv;
  }

  checkLength(positions: number, argument: string): void {
    if (positions > this.config.maxPositions) {
      throw new ShapeError(
        `${argument}: expected at most config.maxPositions = ${this.config.maxPositions}, got ${positions}`,
        argument,
      );
    }
  }

  /** Frees what no parameter list holds. */
  dispose(): void {
    this.#positions?.dispose();
  }
}
