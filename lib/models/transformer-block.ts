import { activation, add, dropout, gated, reshape } from '../tensor/operations.ts';
import type { ComputeType, Tensor } from '../tensor/tensor.ts';
import { Linear, Norm, type WeightFactory } from './layers.ts';
import type { BlocksConfig } from './transformer-config.ts';

/** Turns packed queries, keys and values [rows, positions, 3, heads, headWidth] into [rows · positions, heads · headWidth]. */
export type Attend<C extends ComputeType> = (qkv: Tensor<C>) => Tensor<C>;

/** Applies the training mask of a layer; the identity outside training. */
export type Drop = <C extends ComputeType>(x: Tensor<C>) => Tensor<C>;

/** Masks drawn from a seed, each call of the returned function its own; without a seed the identity. */
export function dropWith(probability: number, seed: number | undefined): Drop {
  if (seed === undefined || probability === 0) return (x) => x;
  let stream = 0;
  return (x) => dropout(x, probability, seed, stream++);
}

/** One pre-norm block: x + attention(norm(x)), then x + feedForward(norm(x)). */
export class TransformerBlock {
  readonly #config: BlocksConfig;
  readonly #attentionNorm: Norm;
  readonly #qkv: Linear;
  readonly #attentionOut: Linear;
  readonly #feedForwardNorm: Norm;
  readonly #feedForwardIn: Linear;
  readonly #feedForwardOut: Linear;

  constructor(make: WeightFactory, name: string, config: BlocksConfig) {
    const { width, heads, headWidth, feedForwardWidth, bias, norm } = config;
    const inner = heads * headWidth;
    // Writers to the residual stream start smaller, by the number of them (Radford et al., 2019).
    const residual = { bias, deviation: 0.02 / Math.sqrt(2 * config.depth) };
    this.#config = config;
    this.#attentionNorm = new Norm(make, `${name}.attention.norm`, width, norm, bias);
    this.#qkv = new Linear(make, `${name}.attention.qkv`, width, 3 * inner, { bias });
    this.#attentionOut = new Linear(make, `${name}.attention.out`, inner, width, residual);
    this.#feedForwardNorm = new Norm(make, `${name}.feedForward.norm`, width, norm, bias);
    this.#feedForwardIn = new Linear(make, `${name}.feedForward.in`, width, (config.gated ? 2 : 1) * feedForwardWidth, {
      bias,
    });
    this.#feedForwardOut = new Linear(make, `${name}.feedForward.out`, feedForwardWidth, width, residual);
  }

  /** x: [rows · positions, width]. */
  apply<C extends ComputeType>(x: Tensor<C>, rows: number, attend: Attend<C>, drop: Drop): Tensor<C> {
    const { heads, headWidth, activation: kind } = this.#config;
    const qkv = reshape(this.#qkv.apply(this.#attentionNorm.apply(x)), [rows, -1, 3, heads, headWidth]);
    const middle = add(x, drop(this.#attentionOut.apply(attend(qkv))));
    const inner = this.#feedForwardIn.apply(this.#feedForwardNorm.apply(middle));
    const active = this.#config.gated ? gated(kind, inner) : activation(kind, inner);
    return add(middle, drop(this.#feedForwardOut.apply(active)));
  }
}
