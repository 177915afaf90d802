import { type Device, type DeviceName, device as deviceByName } from '../tensor/device.ts';
import { maskedMean, reshape } from '../tensor/operations.ts';
import { allOrNothing } from '../tensor/scope.ts';
import type { ComputeType, Tensor } from '../tensor/tensor.ts';
import { Linear, WeightFactory } from './layers.ts';
import { loadModel, type SaveOptions, saveModel } from './model-file.ts';
import type { Parameter } from './parameter.ts';
import type { Layout, TransformerBody } from './transformer-body.ts';
import { type BlocksConfig, checkedCompute, expectPositive } from './transformer-config.ts';
import type { PlacementOptions } from './transformer-lm.ts';

export interface PooledEncoderConfig extends BlocksConfig {
  /** Width of the embedding. Default: the width. */
  dimensions: number;
}

/** What a batch of items is encoded with. */
export interface EncodeOptions {
  /** What errors call the items. Default 'items'. */
  argument?: string;
  /** Given while training: random masks of layers with dropout come from this seed. Absent: no dropout. */
  dropoutSeed?: number;
}

/** A model that turns items, such as token sequences, into vectors, and can be trained. */
export interface Encoder<Item> {
  readonly device: Device;
  readonly dimensions: number;
  parameters(): readonly Parameter[];
  /** Embeddings [items, dimensions], float32. Throws ValueError or ShapeError naming an item that does not fit. */
  encode(items: readonly Item[], options?: EncodeOptions): Tensor;
}

/**
 * What the encoders share, whatever they read: a bidirectional transformer, its last layer averaged over the positions
 * and projected.
 */
export abstract class PooledEncoder<Config extends PooledEncoderConfig, Body extends TransformerBody, Item>
  implements Encoder<Item>
{
  readonly config: Readonly<Config>;
  readonly device: Device;
  protected readonly body: Body;
  readonly #kind: string;
  readonly #projection: Linear;
  readonly #parameters: readonly Parameter[];

  /** @param kind what files call it */
  protected constructor(
    kind: string,
    config: Config,
    { device, seed = 0, compute = 'float32' }: PlacementOptions<ComputeType> & { device: Device },
    makeBody: (make: WeightFactory, compute: ComputeType) => Body,
  ) {
    expectPositive('dimensions', config.dimensions);
    checkedCompute(compute);
    const make = new WeightFactory(seed, device);
    const { body, projection } = allOrNothing(() => ({
      body: makeBody(make, compute),
      projection: new Linear(make, 'projection', config.width, config.dimensions, {
        bias: false,
        deviation: 1 / Math.sqrt(config.width),
      }),
    }));
    this.config = config;
    this.device = device;
    this.body = body;
    this.#kind = kind;
    this.#projection = projection;
    this.#parameters = make.parameters;
  }

  abstract encode(items: readonly Item[], options?: EncodeOptions): Tensor;

  /** The type of what flows between the layers; embeddings are float32. */
  get compute(): ComputeType {
    return this.body.compute;
  }

  get dimensions(): number {
    return this.config.dimensions;
  }

  parameters(): readonly Parameter[] {
    return this.#parameters;
  }

  /** From the residual stream [rows · positions, width] to embeddings [rows, dimensions]. */
  protected pooled(hidden: Tensor<ComputeType>, { rows, positions, starts, ends }: Layout): Tensor {
    const x = reshape(this.body.norm.apply(hidden), [rows, positions, this.config.width]);
    return this.#projection.apply(maskedMean(x, starts, ends));
  }

  /** Writes weights and config as safetensors, atomically. */
  save(path: string, options: SaveOptions = {}): Promise<void> {
    return saveModel(path, this.#kind, this.config, this.#parameters, options);
  }

  dispose(): void {
    for (const { tensor } of this.#parameters) tensor.dispose();
    this.body.dispose();
  }
}

/** Where a saved encoder goes (default 'auto'), and what it computes in (default 'float32'): its file holds neither. */
export interface LoadOptions {
  device?: DeviceName | Device;
  compute?: ComputeType;
}

/** Reads an encoder of a kind that `make` makes. */
export async function loadEncoder<M extends { parameters(): Iterable<Parameter>; dispose(): void }>(
  path: string,
  kind: string,
  { device = 'auto', compute = 'float32' }: LoadOptions,
  make: (config: unknown, placement: { device: Device; compute: ComputeType }) => M,
): Promise<M> {
  const place = await deviceByName(device);
  checkedCompute(compute);
  return loadModel(path, kind, (config) => make(config, { device: place, compute }));
}
