import type { Device } from '../tensor/device.ts';
import { embedding } from '../tensor/operations.ts';
import type { ComputeType, Tensor } from '../tensor/tensor.ts';
import type { WeightFactory } from './layers.ts';
import type { PlacedBatch } from './placed-batch.ts';
import { dropWith } from './transformer-block.ts';
import { TransformerBody } from './transformer-body.ts';
import type { TransformerConfig } from './transformer-config.ts';

/** A transformer over tokens, up to its final norm: what decoder and encoder have in common. */
export class TransformerStack<C extends ComputeType = ComputeType> extends TransformerBody<C> {
  /** [vocab, width] */
  readonly embedding: Tensor;

  constructor(make: WeightFactory, config: TransformerConfig, device: Device, compute: C) {
    // First among the parameters, as in every file written so far.
    const table = make.normal('embedding.weight', [config.vocabularySize, config.width], 0.02);
    super(make, config, device, compute);
    this.embedding = table;
  }

  /**
   * The residual stream after the last block, [rows · positions, width]. `onQkv` sees each block's packed queries, keys
   * and values [rows, positions, 3, heads, headWidth], positions applied.
   */
  hidden(batch: PlacedBatch, causal: boolean, onQkv?: (block: number, qkv: Tensor<C>) => void): Tensor<C> {
    const { rows, positions, tokens, places } = batch;
    this.checkLength(positions, 'positions');
    const x = this.embed(tokens.reshape([rows * positions]), places.reshape([rows * positions]));
    return this.through(x, batch, { causal, drop: dropWith(this.config.dropout, batch.dropoutSeed), onQkv });
  }

  /** Token embeddings [n, width], with the position's added unless positions are rotary. */
  embed(tokens: Tensor<'int32'>, places: Tensor<'int32'>): Tensor<C> {
    return this.addPositions(embedding(this.embedding, tokens, this.compute), places);
  }
}
