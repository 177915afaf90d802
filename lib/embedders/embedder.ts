import { ShapeError, ValueError } from '../errors.ts';
import { hostArray } from '../host-arrays.ts';
import type { SequenceEncoder } from '../models/sequence-encoder.ts';
import { packTokens } from '../models/token-batch.ts';
import { Tensor } from '../tensor/tensor.ts';

/** Turns generations into vectors whose cosine says how alike they are. */
export interface Embedder {
  readonly dimensions: number;
  /** One row per generation, [n, dimensions], row-major. */
  embed(generations: readonly Int32Array[], signal?: AbortSignal): Promise<Float32Array | Tensor>;
}

/** A trained `SequenceEncoder` as an `Embedder`. */
export class EncoderEmbedder implements Embedder {
  readonly encoder: SequenceEncoder;
  readonly #batchSize: number;

  /**
   * @param batchSize generations embedded at once; bounds the memory. Default 512.
   * @throws ValueError for a batch size that is no integer of at least 1
   */
  constructor(encoder: SequenceEncoder, { batchSize = 512 }: { batchSize?: number } = {}) {
    if (!(Number.isInteger(batchSize) && batchSize >= 1)) {
      throw new ValueError(`batchSize: expected an integer of at least 1, got ${batchSize}`, 'batchSize');
    }
    this.encoder = encoder;
    this.#batchSize = batchSize;
  }

  get dimensions(): number {
    return this.encoder.dimensions;
  }

  async embed(generations: readonly Int32Array[], signal?: AbortSignal): Promise<Float32Array> {
    const result = hostArray('float32', generations.length * this.dimensions, 'the embeddings');
    for (let begin = 0; begin < generations.length; begin += this.#batchSize) {
      signal?.throwIfAborted();
      const part = generations.slice(begin, begin + this.#batchSize);
      const batch = packTokens(part, { vocabularySize: this.encoder.vocabularySize, argument: 'generations' });
      using embeddings = this.encoder.forward(batch);
      result.set(await embeddings.read(), begin * this.dimensions);
    }
    return result;
  }
}

/** The embeddings an embedder gives, on the host, checked. */
export async function embedOnHost(
  embedder: Embedder,
  generations: readonly Int32Array[],
  signal?: AbortSignal,
): Promise<Float32Array> {
  const given = await embedder.embed(generations, signal);
  const expected = generations.length * embedder.dimensions;
  const values = given instanceof Tensor ? await given.read() : given;
  if (given instanceof Tensor) given.dispose();
  if (!(values instanceof Float32Array) || values.length !== expected) {
    const got = values instanceof Float32Array ? `${values.length} elements` : typeof values;
    throw new ShapeError(
      `embedder: expected [${generations.length}, ${embedder.dimensions}] = ${expected} float32 elements, got ${got}`,
      'embedder',
    );
  }
  return values;
}
