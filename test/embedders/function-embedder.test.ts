import { DTypeError, type Embeddings, functionEmbedder, ShapeError, Tensor, ValueError } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { embedOnHost } from '../../lib/embedders/embedder.ts';

const generations = [[1, 2], [3], [4, 5, 6]].map((tokens) => Int32Array.from(tokens));
const sums = (given: readonly Int32Array[]) =>
  given.map((tokens) => [tokens.length, tokens.reduce((a, b) => a + b, 0)]);
const expected = Float32Array.of(2, 3, 1, 3, 3, 15);

describe('functionEmbedder', () => {
  it.each<[string, (given: readonly Int32Array[]) => Embeddings | Promise<Embeddings>]>([
    ['a Float32Array', (given) => Float32Array.from(sums(given).flat())],
    ['rows of numbers, promised', async (given) => sums(given)],
    ['rows of Float32Arrays', (given) => sums(given).map((row) => Float32Array.from(row))],
    ['a tensor', (given) => Tensor.from(Float32Array.from(sums(given).flat()), [given.length, 2])],
  ])('takes %s', async (_, embed) => {
    const embedder = functionEmbedder({ dimensions: 2, embed });
    expect(embedder.dimensions).toBe(2);
    expect(await embedOnHost(embedder, generations)).toEqual(expected);
  });

  it('gives the signal on, and stops when it aborts', async () => {
    const abort = new AbortController();
    const seen: (AbortSignal | undefined)[] = [];
    const embedder = functionEmbedder({
      dimensions: 2,
      embed: (given, signal) => {
        seen.push(signal);
        if (seen.length === 2) abort.abort(new Error('enough'));
        return sums(given);
      },
    });
    await embedder.embed(generations, abort.signal);
    await expect(embedder.embed(generations, abort.signal)).rejects.toThrow('enough');
    await expect(embedder.embed(generations, abort.signal)).rejects.toThrow('enough');
    expect(seen).toEqual([abort.signal, abort.signal]);
  });

  it.each<[string, unknown, new (message: string) => Error, string]>([
    ['too few', new Float32Array(5), ShapeError, 'embed: expected [3, 2] = 6 elements, got 5'],
    ['too few rows', [[1, 2]], ShapeError, 'embed: expected [3, 2] = 6 elements, got 2'],
    ['a narrow row', [[1, 2], [3], [4, 5]], ShapeError, 'embed: expected row 1 of 2 numbers, got 1'],
    ['doubles', new Float64Array(6), DTypeError, 'embed: expected embeddings in a Float32Array, got Float64Array'],
    ['nothing', undefined, DTypeError, 'embed: expected embeddings in a Float32Array, got undefined'],
    [
      'a NaN',
      [
        [1, 2],
        [3, NaN],
        [5, 6],
      ],
      ValueError,
      'embed: expected finite embeddings, got NaN at [1, 1]',
    ],
    ['an infinity', new Float32Array(6).fill(Infinity), ValueError, 'got Infinity at [0, 0]'],
  ])('refuses %s', async (_, result, error, message) => {
    const embedder = functionEmbedder({ dimensions: 2, embed: async () => result as Embeddings });
    const embedding = embedder.embed(generations);
    await expect(embedding).rejects.toThrow(error);
    await expect(embedding).rejects.toThrow(message);
  });

  it('refuses options that are wrong, and lets errors through', async () => {
    const embed = () => new Float32Array(0);
    expect(() => functionEmbedder({ dimensions: 0, embed })).toThrow(
      'dimensions: expected an integer of at least 1, got 0',
    );
    expect(() => functionEmbedder({ dimensions: 2, embed: undefined as never })).toThrow('embed: expected a function');
    const failing = functionEmbedder({
      dimensions: 2,
      embed: () => {
        throw new Error('no service');
      },
    });
    await expect(failing.embed(generations)).rejects.toThrow('no service');
  });
});
