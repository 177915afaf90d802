import { transient } from '../tensor/autograd.ts';
import { deviceOf } from '../tensor/device.ts';
import type { ComputeType, Tensor } from '../tensor/tensor.ts';
import { copyOf } from './model-file.ts';
import { PlacedBatch } from './placed-batch.ts';
import {
  type EncodeOptions,
  type LoadOptions,
  loadEncoder,
  PooledEncoder,
  type PooledEncoderConfig,
} from './pooled-encoder.ts';
import { packTokens, type TokenBatch } from './token-batch.ts';
import { completeConfig, type TransformerConfig, type TransformerOptions } from './transformer-config.ts';
import type { PlacementOptions } from './transformer-lm.ts';
import { TransformerStack } from './transformer-stack.ts';

export interface SequenceEncoderConfig extends TransformerConfig, PooledEncoderConfig {}

export type SequenceEncoderOptions = TransformerOptions & { dimensions?: number };

/** Bidirectional transformer over a token sequence, its last layer averaged over the positions and projected. */
export class SequenceEncoder extends PooledEncoder<SequenceEncoderConfig, TransformerStack, Int32Array> {
  static readonly kind = 'SequenceEncoder';

  /** Makes an encoder with random weights. Throws ValueError naming a config entry that is wrong. */
  constructor(
    options: SequenceEncoderOptions,
    { device = deviceOf('cpu'), ...placement }: PlacementOptions<ComputeType> = {},
  ) {
    const config = completeConfig<SequenceEncoderConfig>(options, { dimensions: options.dimensions ?? options.width });
    super(SequenceEncoder.kind, config, { device, ...placement }, (make, compute) => {
      return new TransformerStack(make, config, device, compute);
    });
  }

  get vocabularySize(): number {
    return this.config.vocabularySize;
  }

  /** Embeddings [rows, dimensions], float32, not normalised. */
  forward(batch: TokenBatch): Tensor {
    return transient(() => {
      const placed = new PlacedBatch(batch, this.device);
      return this.pooled(this.body.hidden(placed, false), placed);
    });
  }

  /** As `forward`, of token sequences. Throws ValueError for an empty one or a token outside the vocabulary. */
  override encode(sequences: readonly Int32Array[], { argument = 'items', dropoutSeed }: EncodeOptions = {}): Tensor {
    const batch = packTokens(sequences, { vocabularySize: this.vocabularySize, argument });
    return this.forward(dropoutSeed === undefined ? batch : { ...batch, dropoutSeed });
  }

  /** An encoder of the same config on the same device, with a copy of the weights. To another device: `save` and `load`. */
  clone(): SequenceEncoder {
    return copyOf(this, () => new SequenceEncoder(this.config, { device: this.device, compute: this.compute }));
  }

  /**
   * Reads what `save` wrote. Rejects with CheckpointError when it is damaged or of another kind, with DeviceError when the
   * device is not there.
   */
  static load(path: string, options: LoadOptions = {}): Promise<SequenceEncoder> {
    return loadEncoder(path, SequenceEncoder.kind, options, (config, placement) => {
      return new SequenceEncoder(config as SequenceEncoderOptions, placement);
    });
  }
}
