import { ShapeError } from '../errors.ts';
import type { Device } from '../tensor/device.ts';
import { add, attention, embedding, reshape, rotary } from '../tensor/operations.ts';
import { keep } from '../tensor/scope.ts';
import { type ComputeType, Tensor } from '../tensor/tensor.ts';
import { sinusoids } from './initialize.ts';
import { Norm, type WeightFactory } from './layers.ts';
import { type Drop, TransformerBlock } from './transformer-block.ts';
import type { BlocksConfig } from './transformer-config.ts';

/** Base of the rotary angles (Su et al., 2021). */
const ROTARY_BASE = 10000;

/** Where the vectors of a batch stand. */
export interface Layout {
  readonly rows: number;
  readonly positions: number;
  /** [rows]: the keys of a row are its positions starts ≤ j < ends. */
  readonly starts: Tensor<'int32'>;
  readonly ends: Tensor<'int32'>;
  /** [rows, positions]: each position counted from its row's start. */
  readonly places: Tensor<'int32'>;
}

export interface BodyOptions<C extends ComputeType> {
  /** Whether a position sees those before it only. */
  causal: boolean;
  drop: Drop;
  /** Sees each block's packed queries, keys and values [rows, positions, 3, heads, headWidth], positions applied. */
  onQkv?: ((block: number, qkv: Tensor<C>) => void) | undefined;
}

/** What all transformers have in common, whatever they read: positions, blocks and the final norm. */
export class TransformerBody<C extends ComputeType = ComputeType> {
  readonly config: BlocksConfig;
  readonly device: Device;
  /** The type of what flows between the layers; parameters are float32. */
  readonly compute: C;
  readonly blocks: readonly TransformerBlock[];
  readonly norm: Norm;
  /** [maxPositions, width]: learned or fixed; null where positions are rotary. */
  readonly #positions: Tensor | null;

  constructor(make: WeightFactory, config: BlocksConfig, device: Device, compute: C) {
    const { width, maxPositions } = config;
    this.config = config;
    this.device = device;
    this.compute = compute;
    this.#positions =
      config.positions === 'learned'
        ? make.normal('positions.weight', [maxPositions, width], 0.02)
        : config.positions === 'sinusoidal'
          ? keep(Tensor.from(sinusoids(maxPositions, width), [maxPositions, width], device))
          : null;
    this.blocks = Array.from({ length: config.depth }, (_, i) => new TransformerBlock(make, `blocks.${i}`, config));
    this.norm = new Norm(make, 'norm', width, config.norm, config.bias);
  }

  /** The residual stream after the last block, [rows · positions, width], of what `addPositions` gave. */
  through(x: Tensor<C>, layout: Layout, { causal, drop, onQkv }: BodyOptions<C>): Tensor<C> {
    const { rows, positions, starts, ends, places } = layout;
    let y = drop(x);
    this.blocks.forEach((block, i) => {
      const attend = (packed: Tensor<C>): Tensor<C> => {
        const qkv = this.place(packed, places);
        onQkv?.(i, qkv);
        return reshape(attention(qkv, starts, ends, causal), [rows * positions, -1]);
      };
      y = block.apply(y, rows, attend, drop);
    });
    return y;
  }

  /** x [n, width] with the vector of each one's place [n] added, unless positions are rotary. */
  addPositions(x: Tensor<C>, places: Tensor<'int32'>): Tensor<C> {
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
