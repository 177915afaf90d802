import { ValueError } from '../errors.ts';
import { transient } from '../tensor/autograd.ts';
import { type Device, deviceOf } from '../tensor/device.ts';
import { cast, l2Normalize } from '../tensor/operations.ts';
import type { ComputeType, Tensor } from '../tensor/tensor.ts';
import { Linear, type WeightFactory } from './layers.ts';
import { copyOf } from './model-file.ts';
import { type PatchBatch, PlacedPatches, packPatches } from './patch-batch.ts';
import {
  type EncodeOptions,
  type LoadOptions,
  loadEncoder,
  PooledEncoder,
  type PooledEncoderConfig,
} from './pooled-encoder.ts';
import { dropWith } from './transformer-block.ts';
import { TransformerBody } from './transformer-body.ts';
import { type BlocksOptions, completeBlocks, expectPositive } from './transformer-config.ts';
import type { PlacementOptions } from './transformer-lm.ts';

export interface PatchEncoderConfig extends PooledEncoderConfig {
  /** Elements of a patch. */
  patchSize: number;
  /** Mean of the patches' elements, which is taken off them. Default 0. */
  mean: number;
  /** Standard deviation of the patches' elements, by which they are divided then. Default 1. */
  deviation: number;
}

export type PatchEncoderOptions = BlocksOptions &
  Pick<PatchEncoderConfig, 'patchSize'> &
  Partial<Pick<PatchEncoderConfig, 'dimensions' | 'mean' | 'deviation'>>;

/** The blocks, with patches projected to their width before. */
class PatchBody extends TransformerBody {
  readonly input: Linear;

  constructor(make: WeightFactory, config: PatchEncoderConfig, device: Device, compute: ComputeType) {
    const input = new Linear(make, 'input', config.patchSize, config.width, {
      bias: config.bias,
      deviation: 1 / Math.sqrt(config.patchSize),
    });
    super(make, config, device, compute);
    this.input = input;
  }
}

/**
 * Bidirectional transformer over a sequence of patches of something continuous, such as a spectrogram: patches are
 * standardised and projected linearly, positions are added, the last layer is averaged over the patches, projected and
 * divided by its Euclidean length (a vision transformer, Dosovitskiy et al., 2021, pooled by the mean).
 */
export class PatchEncoder extends PooledEncoder<PatchEncoderConfig, PatchBody, Float32Array> {
  static readonly kind = 'PatchEncoder';

  /** Makes an encoder with random weights. Throws ValueError naming a config entry that is wrong. */
  constructor(
    options: PatchEncoderOptions,
    { device = deviceOf('cpu'), ...placement }: PlacementOptions<ComputeType> = {},
  ) {
    const { dimensions = options.width, mean = 0, deviation = 1 } = options;
    const config: PatchEncoderConfig = { ...completeBlocks(options), dimensions, mean, deviation };
    checkPatches(config);
    super(PatchEncoder.kind, config, { device, ...placement }, (make, compute) => {
      return new PatchBody(make, config, device, compute);
    });
  }

  get patchSize(): number {
    return this.config.patchSize;
  }

  /** Embeddings [rows, dimensions], float32, of length 1. Throws ShapeError for more than `maxPositions` patches. */
  forward(batch: PatchBatch): Tensor {
    this.body.checkLength(batch.positions, 'patches');
    const { patchSize, mean, deviation, dropout } = this.config;
    return transient(() => {
      const data = batch.data.map((x) => (x - mean) / deviation);
      const placed = new PlacedPatches({ ...batch, data }, patchSize, this.device);
      const projected = this.body.input.apply(cast(placed.data, this.compute));
      const x = this.body.addPositions(projected, placed.places.reshape([-1]));
      const drop = dropWith(dropout, batch.dropoutSeed);
      return l2Normalize(this.pooled(this.body.through(x, placed, { causal: false, drop }), placed));
    });
  }

  /**
   * As `forward`, of sequences of patches, each [count, patchSize], row-major.
   *
   * @throws as `packPatches`
   */
  override encode(sequences: readonly Float32Array[], { argument = 'items', dropoutSeed }: EncodeOptions = {}): Tensor {
    const batch = packPatches(sequences, { patchSize: this.patchSize, argument });
    return this.forward(dropoutSeed === undefined ? batch : { ...batch, dropoutSeed });
  }

  /** An encoder of the same config on the same device, with a copy of the weights. To another device: `save` and `load`. */
  clone(): PatchEncoder {
    return copyOf(this, () => new PatchEncoder(this.config, { device: this.device, compute: this.compute }));
  }

  /**
   * Reads what `save` wrote. Rejects with CheckpointError when it is damaged or of another kind, with DeviceError when the
   * device is not there.
   */
  static load(path: string, options: LoadOptions = {}): Promise<PatchEncoder> {
    return loadEncoder(path, PatchEncoder.kind, options, (config, placement) => {
      return new PatchEncoder(config as PatchEncoderOptions, placement);
    });
  }
}

function checkPatches({ patchSize, mean, deviation }: PatchEncoderConfig): void {
  expectPositive('patchSize', patchSize);
  if (!Number.isFinite(mean)) {
    throw new ValueError(`config.mean: expected a finite number, got ${mean}`, 'config.mean');
  }
  if (!(deviation > 0 && Number.isFinite(deviation))) {
    throw new ValueError(`config.deviation: expected a positive number, got ${deviation}`, 'config.deviation');
  }
}
