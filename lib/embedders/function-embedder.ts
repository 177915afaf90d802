import { DTypeError, ShapeError, ValueError } from '../errors.ts';
import { Tensor } from '../tensor/tensor.ts';
import type { Embedder } from './embedder.ts';

/** Embeddings as a function may give them: [n, dimensions] in one, row-major, or a row per generation. */
export type Embeddings = Float32Array | Tensor | readonly (Float32Array | readonly number[])[];

export interface FunctionEmbedderOptions {
  dimensions: number;
  /** One row per generation, in their order. */
  embed: (generations: readonly Int32Array[], signal?: AbortSignal) => Embeddings | Promise<Embeddings>;
}

/**
 * Any function as an `Embedder`, such as a call to a service. What it gives is checked at every call.
 *
 * @throws ValueError for dimensions that are no integer of at least 1, or what is no function; on `embed` ShapeError,
 *   DTypeError or ValueError for a result that is not finite numbers [n, dimensions]
 */
export function functionEmbedder({ dimensions, embed }: FunctionEmbedderOptions): Embedder {
  if (!(Number.isInteger(dimensions) && dimensions >= 1)) {
    throw new ValueError(`dimensions: expected an integer of at least 1, got ${dimensions}`, 'dimensions');
  }
  if (typeof embed !== 'function') {
    throw new ValueError(`embed: expected a function, got ${typeof embed}`, 'embed');
  }
  return {
    dimensions,
    embed: async (generations, signal) => {
      signal?.throwIfAborted();
      const given = await embed(generations, signal);
      signal?.throwIfAborted();
      return checkedEmbeddings(await flat(given, dimensions), [generations.length, dimensions], 'embed');
    },
  };
}

async function flat(given: Embeddings, dimensions: number): Promise<unknown> {
  if (given instanceof Tensor) {
    using tensor = given;
    return await tensor.read();
  }
  if (!Array.isArray(given)) return given;
  const rows = given as readonly (Float32Array | readonly number[])[];
  rows.forEach((row, i) => {
    if (row?.length !== dimensions) {
      throw new ShapeError(`embed: expected row ${i} of ${dimensions} numbers, got ${row?.length}`, 'embed');
    }
  });
  return Float32Array.from(rows.flatMap((row) => [...row]));
}

/**
 * Embeddings of a source that is not ours.
 *
 * @throws DTypeError for what is no Float32Array, ShapeError for another length than [n, dimensions], ValueError for an
 *   element that is not finite
 */
export function checkedEmbeddings(
  values: unknown,
  [n, dimensions]: readonly [number, number],
  argument: string,
): Float32Array {
  if (!(values instanceof Float32Array)) {
    const got = values === null ? 'null' : (values as object | undefined)?.constructor?.name;
    throw new DTypeError(`${argument}: expected embeddings in a Float32Array, got ${got}`, argument);
  }
  if (values.length !== n * dimensions) {
    throw new ShapeError(
      `${argument}: expected [${n}, ${dimensions}] = ${n * dimensions} elements, got ${values.length}`,
      argument,
    );
  }
  const at = values.findIndex((x) => !Number.isFinite(x));
  if (at >= 0) {
    const [row, column] = [Math.floor(at / dimensions), at % dimensions];
    throw new ValueError(`${argument}: expected finite embeddings, got ${values[at]} at [${row}, ${column}]`, argument);
  }
  return values;
}
