import { describe, expect, it } from 'vitest';
import { DTypeError, ShapeError, ValueError } from '../../lib/errors.ts';
import { type NativeTensor, native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { largestError, randomFloats, sameBits } from '../support/random-data.ts';
import { centralDifferences, dot, floats, ints, readFloats, withThreads } from '../support/tensors.ts';

type Numbers = ArrayLike<number>;

function lookup(table: Numbers, ids: Numbers, n: number): Float64Array {
  return Float64Array.from({ length: ids.length * n }, (_, i) => table[ids[Math.floor(i / n)]! * n + (i % n)]!);
}

function scatter(grad: Numbers, ids: Numbers, vocab: number, n: number): Float64Array {
  const out = new Float64Array(vocab * n);
  for (let i = 0; i < ids.length; i++) for (let k = 0; k < n; k++) out[ids[i]! * n + k]! += grad[i * n + k]!;
  return out;
}

function maskedMean(x: Numbers, starts: Numbers, ends: Numbers, positions: number, n: number): Float64Array {
  const out = new Float64Array(starts.length * n);
  for (let r = 0; r < starts.length; r++)
    for (let j = starts[r]!; j < ends[r]!; j++)
      for (let k = 0; k < n; k++) out[r * n + k]! += x[(r * positions + j) * n + k]! / (ends[r]! - starts[r]!);
  return out;
}

const randomIds = (random: Random, count: number, vocab: number) =>
  Int32Array.from({ length: count }, () => random.integer(vocab));

describe('embedding', () => {
  it.each([
    [1, 1, 1],
    [7, 5, 17],
    [33, 40, 33],
    [3, 2000, 65],
    [500, 20, 130],
  ])('of %i tokens, %i ids, %i dimensions looks up and sums exactly', async (vocab, count, n) => {
    const random = new Random(vocab * count + n);
    const table = randomFloats(random, vocab * n);
    const ids = randomIds(random, count, vocab);
    const out = await readFloats(native.embeddingForward(floats([vocab, n], table), ints([count], ids)));
    expect(sameBits(out, Float32Array.from(lookup(table, ids, n)))).toBe(true);
    const grad = randomFloats(random, count * n);
    const inTable = await readFloats(native.embeddingBackward(floats([count, n], grad), ints([count], ids), vocab));
    // Both sum in double and by rising position: the same bits.
    expect(sameBits(inTable, Float32Array.from(scatter(grad, ids, vocab, n)))).toBe(true);
  });

  it('has the gradient of central differences', async () => {
    const random = new Random(4);
    const ids = [2, 0, 2, 4, 2, 0];
    const table = randomFloats(random, 5 * 3);
    const grad = randomFloats(random, 6 * 3);
    const differences = centralDifferences((v) => dot(lookup(v, ids, 3), grad), table);
    const inTable = native.embeddingBackward(floats([2, 3, 3], grad), ints([2, 3], ids), 5);
    expect(inTable.shape()).toEqual([5, 3]);
    expect(largestError(await readFloats(inTable), differences)).toBeLessThan(1e-6);
  });

  it('keeps the shape of the ids, also of none', async () => {
    const table = floats([3, 2], [0, 1, 2, 3, 4, 5]);
    expect(native.embeddingForward(table, ints([2, 1], [2, 0])).shape()).toEqual([2, 1, 2]);
    expect(native.embeddingForward(table, ints([0], [])).shape()).toEqual([0, 2]);
    const none = native.embeddingBackward(floats([0, 2], []), ints([0], []), 3);
    expect([...(await readFloats(none))]).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('does not depend on the thread count, also when most ids are one token', async () => {
    const random = new Random(6);
    const [vocab, count, n] = [301, 4000, 96];
    const ids = randomIds(random, count, vocab).map((id, i) => (i % 3 ? 17 : id));
    const table = floats([vocab, n], randomFloats(random, vocab * n));
    const grad = floats([count, n], randomFloats(random, count * n));
    const { one, all } = await withThreads(async () => [
      await readFloats(native.embeddingForward(table, ints([count], ids))),
      await readFloats(native.embeddingBackward(grad, ints([count], ids), vocab)),
    ]);
    for (const i of [0, 1]) expect(sameBits(one[i]!, all[i]!)).toBe(true);
  });

  it.each([-1, 3, 2 ** 31 - 1])('reports the id %i outside 3 tokens', async (id) => {
    const ids = ints([3], [0, id, 7]);
    const message = `ids: expected a token from 0 to 2 at 1, got ${id}`;
    await expect(native.embeddingForward(floats([3, 1], [0, 1, 2]), ids).read()).rejects.toThrow(message);
    await expect(native.embeddingBackward(floats([3, 1], [0, 1, 2]), ids, 3).read()).rejects.toThrow(ValueError);
  });

  it('refuses what does not fit', () => {
    const table = floats([3, 2], [0, 1, 2, 3, 4, 5]);
    expect(() => native.embeddingForward(table, floats([1], [0]))).toThrow(DTypeError);
    expect(() => native.embeddingForward(floats([6], [0, 1, 2, 3, 4, 5]), ints([1], [0]))).toThrow(ShapeError);
    expect(() => native.embeddingBackward(table, ints([2], [0, 0]), 3)).toThrow('gradOut: expected [2, 2], got [3, 2]');
    expect(() => native.embeddingBackward(table, ints([3], [0, 0, 0]), 0)).toThrow('vocab: expected an integer');
    table.dispose();
    expect(() => native.embeddingForward(table, ints([1], [0]))).toThrow('table: the tensor was disposed');
  });
});

describe('masked mean', () => {
  const starts = [0, 2, 4, 1, 3];
  const ends = [5, 5, 4, 2, 1]; // all, left-padded, empty, one, empty

  it.each([1, 7, 17, 33])('forward and backward match float64 with %i dimensions', async (n) => {
    const random = new Random(n);
    const x = randomFloats(random, 5 * 5 * n);
    const y = native.maskedMeanForward(floats([5, 5, n], x), ints([5], starts), ints([5], ends));
    expect(largestError(await readFloats(y), maskedMean(x, starts, ends, 5, n))).toBeLessThan(3e-7);
    const grad = randomFloats(random, 5 * n);
    const gradX = native.maskedMeanBackward(floats([5, n], grad), ints([5], starts), ints([5], ends), 5);
    expect(gradX.shape()).toEqual([5, 5, n]);
    const differences = centralDifferences((v) => dot(maskedMean(v, starts, ends, 5, n), grad), x);
    expect(largestError(await readFloats(gradX), differences)).toBeLessThan(1e-6);
  });

  it('gives exactly 0 for an empty range, whatever it holds', async () => {
    const x = floats([1, 2, 2], Array(4).fill(Number.NaN));
    const y = native.maskedMeanForward(x, ints([1], [1]), ints([1], [1]));
    expect([...(await readFloats(y))]).toEqual([0, 0]);
    const gradX = native.maskedMeanBackward(floats([1, 2], [3, 4]), ints([1], [2]), ints([1], [2]), 2);
    expect([...(await readFloats(gradX))]).toEqual([0, 0, 0, 0]);
  });

  it('does not depend on the thread count', async () => {
    const random = new Random(8);
    const x = floats([50, 40, 64], randomFloats(random, 50 * 40 * 64));
    const grad = floats([50, 64], randomFloats(random, 50 * 64));
    const from = ints([50], randomIds(random, 50, 20));
    const to = ints(
      [50],
      randomIds(random, 50, 20).map((v) => v + 20),
    );
    const { one, all } = await withThreads(async () => [
      await readFloats(native.maskedMeanForward(x, from, to)),
      await readFloats(native.maskedMeanBackward(grad, from, to, 40)),
    ]);
    for (const i of [0, 1]) expect(sameBits(one[i]!, all[i]!)).toBe(true);
  });

  it('reports bounds outside the sequence and refuses shapes that do not fit', async () => {
    const x = floats([2, 3, 1], Array(6).fill(0));
    await expect(native.maskedMeanForward(x, ints([2], [0, -1]), ints([2], [3, 3])).read()).rejects.toThrow(
      'starts: expected 0 to 3 at 1, got -1',
    );
    await expect(native.maskedMeanForward(x, ints([2], [0, 0]), ints([2], [3, 4])).read()).rejects.toThrow('ends:');
    const grad = floats([2, 1], [0, 0]);
    await expect(native.maskedMeanBackward(grad, ints([2], [0, 0]), ints([2], [4, 3]), 3).read()).rejects.toThrow(
      'ends',
    );
    expect(() => native.maskedMeanForward(x, ints([3], [0, 0, 0]), ints([2], [1, 1]))).toThrow('starts: expected [2]');
    expect(() => native.maskedMeanForward(grad, ints([2], [0, 0]), ints([2], [1, 1]))).toThrow(ShapeError);
    expect(() => native.maskedMeanBackward(grad, ints([2], [0, 0]), ints([2], [1, 1]), -1)).toThrow(ValueError);
  });
});

describe('bfloat16', () => {
  const bits = async (x: NativeTensor) => {
    expect(x.dtype()).toBe('bfloat16');
    return x.read();
  };
  const random = new Random(5);

  it('comes out of a float32 table, and its gradient is float32', async () => {
    const [table, ids] = [floats([4, 5], randomFloats(random, 20)), ints([3], [3, 0, 3])];
    const exact = native.embeddingForward(table, ids);
    expect(await bits(native.embeddingForward(table, ids, 'bfloat16'))).toEqual(
      await bits(native.cast(exact, 'bfloat16')),
    );
    const grad = native.cast(exact, 'bfloat16');
    const wide = native.embeddingBackward(native.cast(grad, 'float32'), ids, 4);
    expect(await readFloats(native.embeddingBackward(grad, ids, 4))).toEqual(await readFloats(wide));
    expect(() => native.embeddingForward(table, ids, 'float16')).toThrow('dtype: expected float32 or bfloat16');
  });

  it('is averaged in float32, and back', async () => {
    const x = native.cast(floats([2, 3, 5], randomFloats(random, 30)), 'bfloat16');
    const [from, to] = [ints([2], [0, 1]), ints([2], [3, 2])];
    const wide = native.maskedMeanForward(native.cast(x, 'float32'), from, to);
    expect(await readFloats(native.maskedMeanForward(x, from, to))).toEqual(await readFloats(wide));
    const back = native.maskedMeanBackward(wide, from, to, 3);
    expect(await bits(native.maskedMeanBackward(wide, from, to, 3, 'bfloat16'))).toEqual(
      await bits(native.cast(back, 'bfloat16')),
    );
  });
});
