import type { FloatDType } from '../models/safetensors/floats.ts';
import { type Products, productsOf } from './arithmetic.ts';
import type { Piece } from './pieces.ts';
import type { Segment } from './segments.ts';

interface Arc {
  parts: Map<number, Products>;
  /** Bytes not measured yet. */
  left: number;
  sum: Promise<Products>;
  resolve: (products: Products) => void;
  reject: (error: unknown) => void;
}

/**
 * The products of the two ends of tensors on an arc: of a small tensor from its only piece, of a larger one from all its
 * pieces, which come through once before they are mixed.
 */
export class Arcs {
  readonly #arcs = new Map<Segment, Arc>();
  #abandoned: { error: unknown } | null = null;

  /** Adds the products of a piece. */
  measure({ segment, offset, bytes }: Piece, inputs: readonly (Uint8Array | null)[]): void {
    const arc = this.#of(segment);
    arc.parts.set(offset, productsOf(inputs[0]!, inputs[1]!, segment.dtype as FloatDType));
    arc.left -= bytes;
    if (arc.left > 0) return;
    // In the order of the pieces, whichever was measured first.
    const parts = [...arc.parts].sort(([a], [b]) => a - b).map(([, products]) => products);
    arc.resolve(parts.reduce((a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]]));
  }

  /** The products of the whole tensor of a piece; null where no output needs them. */
  async products({ segment, bytes }: Piece, inputs: readonly (Uint8Array | null)[]): Promise<Products | null> {
    if (!segment.mixes.some(({ kind }) => kind === 'slerp') || segment.alike) return null;
    if (bytes === segment.bytes) return productsOf(inputs[0]!, inputs[1]!, segment.dtype as FloatDType);
    if (this.#abandoned) throw this.#abandoned.error;
    return this.#of(segment).sum;
  }

  /** No more pieces will be measured: whoever waits fails. */
  abandon(error: unknown): void {
    this.#abandoned ??= { error };
    for (const { reject } of this.#arcs.values()) reject(error);
  }

  #of(segment: Segment): Arc {
    const known = this.#arcs.get(segment);
    if (known) return known;
    const arc: Partial<Arc> = { parts: new Map(), left: segment.bytes };
    arc.sum = new Promise((resolve, reject) => Object.assign(arc, { resolve, reject }));
    // Perhaps nobody waits.
    arc.sum.catch(() => {});
    this.#arcs.set(segment, arc as Arc);
    return arc as Arc;
  }
}
