import { describe, expect, it } from 'vitest';
import { DTypeError, ShapeError, ValueError } from '../../lib/errors.ts';
import { type NativeTensor, native } from '../../lib/native.ts';
import { philox4x32, Random } from '../../lib/random.ts';
import { randomFloats, sameBits } from '../support/random-data.ts';
import { floats, ints, readFloats, readInts, withThreads } from '../support/tensors.ts';

const sizes = [1, 7, 17, 33, 100_003];
const sum = (x: ArrayLike<number>) => Array.from(x).reduce((a, b) => a + b, 0);

/** A tensor whose content is not valid: a lookup out of range. Its error is reported by the read. */
async function poisoned(): Promise<NativeTensor> {
  const bad = native.embeddingForward(floats([1, 4], [1, 2, 3, 4]), ints([1], [5]));
  await expect(bad.read()).rejects.toThrow(ValueError);
  return bad;
}

describe('fill', () => {
  it.each(sizes)('sets all of %i elements', async (n) => {
    const x = native.createTensor('cpu', 'float32', [n]);
    native.fill(x, -1.5);
    expect((await readFloats(x)).every((v) => v === -1.5)).toBe(true);
    const k = native.createTensor('cpu', 'int32', [n]);
    native.fill(k, -7);
    expect((await readInts(k)).every((v) => v === -7)).toBe(true);
  });

  it('takes infinities for float32', async () => {
    const x = native.createTensor('cpu', 'float32', [3]);
    native.fill(x, Number.NEGATIVE_INFINITY);
    expect([...(await readFloats(x))]).toEqual(Array(3).fill(Number.NEGATIVE_INFINITY));
  });

  it('makes a poisoned tensor valid again, but not by a part of it', async () => {
    const bad = await poisoned();
    native.fill(bad.view([2], 1), 0);
    await expect(bad.read()).rejects.toThrow('ids');
    native.fill(bad, 2);
    expect([...(await readFloats(bad))]).toEqual([2, 2, 2, 2]);
  });

  it('refuses values the type cannot hold, and other types', () => {
    const x = floats([1], [0]);
    expect(() => native.fill(x, 1e40)).toThrow(ValueError);
    expect(() => native.fill(ints([1], [0]), 0.5)).toThrow('value: expected an integer');
    expect(() => native.fill(ints([1], [0]), 2 ** 31)).toThrow(ValueError);
    expect(() => native.fill(native.createTensor('cpu', 'float16', [1]), 0)).toThrow(DTypeError);
    x.dispose();
    expect(() => native.fill(x, 0)).toThrow('disposed');
  });
});

describe('add, accumulate, scale', () => {
  it.each(sizes)('are the float32 operations on %i elements', async (n) => {
    const random = new Random(n);
    const a = randomFloats(random, n);
    const b = randomFloats(random, n);
    const added = await readFloats(native.add(floats([n], a), floats([n], b)));
    expect(
      sameBits(
        added,
        a.map((v, i) => v + b[i]!),
      ),
    ).toBe(true);
    const scaled = await readFloats(native.scale(floats([n], a), 0.37));
    expect(
      sameBits(
        scaled,
        a.map((v) => v * Math.fround(0.37)),
      ),
    ).toBe(true);
    const target = floats([n], a);
    native.accumulate(target, floats([n], b), -0.25);
    // A quarter is exact, so a fused multiply-add and two roundings agree.
    expect(
      sameBits(
        await readFloats(target),
        a.map((v, i) => v - 0.25 * b[i]!),
      ),
    ).toBe(true);
  });

  it('accumulates a tensor onto itself', async () => {
    const x = floats([3], [1, 2, 3]);
    native.accumulate(x, x, 1);
    expect([...(await readFloats(x))]).toEqual([2, 4, 6]);
  });

  it('refuses what does not fit', () => {
    const x = floats([2, 3], Array(6).fill(0));
    expect(() => native.add(x, floats([6], Array(6).fill(0)))).toThrow('b: expected [2, 3], got [6]');
    expect(() => native.add(x, ints([2, 3], Array(6).fill(0)))).toThrow(DTypeError);
    expect(() => native.accumulate(x, floats([3, 2], Array(6).fill(0)), 1)).toThrow(ShapeError);
    expect(() => native.accumulate(x.view([4], 0), x.view([4], 1), 1)).toThrow('overlap');
    expect(() => native.accumulate(x, x, Number.NaN)).toThrow(ValueError);
    expect(() => native.scale(x, Number.POSITIVE_INFINITY)).toThrow(ValueError);
  });

  it('poisons the target with a poisoned source', async () => {
    const target = floats([1, 4], [1, 2, 3, 4]);
    native.accumulate(target, await poisoned(), 1);
    await expect(target.read()).rejects.toThrow('ids');
    native.fill(target, 0);
    expect([...(await readFloats(target))]).toEqual([0, 0, 0, 0]);
  });
});

describe('sumRows and sumAll', () => {
  it.each([
    [1, 1],
    [7, 17],
    [255, 33],
    [256, 1],
    [257, 5],
    [1000, 3],
    [3, 5000],
    [600, 2100],
  ])('match float64 on %i × %i', async (rows, n) => {
    const x = randomFloats(new Random(rows + n), rows * n);
    const columns = Array.from({ length: n }, (_, j) => Array.from({ length: rows }, (_, r) => x[r * n + j]!));
    const sums = await readFloats(native.sumRows(floats([rows, n], x)));
    const [total] = await readFloats(native.sumAll(floats([rows, n], x)));
    // Terms cancel, so the error is measured by the sum of their magnitudes.
    const magnitude = (values: number[]) => values.reduce((a, b) => a + Math.abs(b), 0);
    columns.forEach((column, j) => {
      expect(Math.abs(sums[j]! - sum(column))).toBeLessThan(2e-7 * magnitude(column));
    });
    expect(Math.abs(total! - sum(x))).toBeLessThan(2e-7 * magnitude([...x]));
  });

  it('do not lose small terms beside a large sum', async () => {
    // In float32 alone 2^24 + 1 would stop growing.
    const n = 20_000_000;
    const ones = native.createTensor('cpu', 'float32', [n]);
    native.fill(ones, 1);
    expect((await readFloats(native.sumAll(ones)))[0]).toBe(n);
    expect((await readFloats(native.sumRows(ones.view([n, 1], 0))))[0]).toBe(n);
  });

  it('are 0 of nothing', async () => {
    expect([...(await readFloats(native.sumRows(floats([0, 3], []))))]).toEqual([0, 0, 0]);
    expect([...(await readFloats(native.sumAll(floats([0], []))))]).toEqual([0]);
    expect(() => native.sumRows(floats([3], [1, 2, 3]))).toThrow('x: expected [*, *], got [3]');
  });

  it('do not depend on the thread count', async () => {
    const x = floats([3001, 67], randomFloats(new Random(5), 3001 * 67));
    const { one, all } = await withThreads(async () => [
      await readFloats(native.sumRows(x)),
      await readFloats(native.sumAll(x)),
    ]);
    for (const i of [0, 1]) expect(sameBits(one[i]!, all[i]!)).toBe(true);
  });
});

describe('repeatRows', () => {
  it('repeats each row, of either type and any rank', async () => {
    const x = native.repeatRows(ints([2, 1, 2], [1, 2, 3, 4]), 3);
    expect(x.shape()).toEqual([6, 1, 2]);
    expect([...(await readInts(x))]).toEqual([1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4]);
    expect([...(await readFloats(native.repeatRows(floats([2], [0.5, 1.5]), 2)))]).toEqual([0.5, 0.5, 1.5, 1.5]);
    const wide = randomFloats(new Random(1), 3 * 40_001);
    const repeated = await readFloats(native.repeatRows(floats([3, 40_001], wide), 2));
    for (let r = 0; r < 6; r++) {
      const source = wide.subarray(Math.floor(r / 2) * 40_001, (Math.floor(r / 2) + 1) * 40_001);
      expect(sameBits(repeated.subarray(r * 40_001, (r + 1) * 40_001), source)).toBe(true);
    }
    expect(native.repeatRows(floats([0, 3], []), 2).shape()).toEqual([0, 3]);
    expect(() => native.repeatRows(floats([2], [0, 1]), 0)).toThrow('times: expected an integer');
  });
});

describe('dropout', () => {
  it('keeps element i by word i mod 4 of the counter i / 4', async () => {
    const seed = 2 ** 40 + 12345;
    const stream = 2 ** 33 + 77;
    const p = 0.3;
    const n = 8203; // over a chunk and not a multiple of four
    const x = randomFloats(new Random(1), n);
    const y = await readFloats(native.dropout(floats([n], x), p, seed, stream));
    const halves = (v: number): [number, number] => [v >>> 0, Math.floor(v / 2 ** 32)];
    const expected = x.map((v, i) => {
      const word = philox4x32([...halves(stream), Math.floor(i / 4), 1], halves(seed))[i % 4]!;
      return word >= Math.floor(p * 2 ** 32) ? v * Math.fround(1 / (1 - p)) : 0;
    });
    expect(sameBits(y, expected)).toBe(true);
  });

  it.each([0.1, 0.5, 0.9])('has the right rate and mean at %d', async (p) => {
    const n = 400_000;
    const ones = native.createTensor('cpu', 'float32', [n]);
    native.fill(ones, 1);
    const y = await readFloats(native.dropout(ones, p, 3, 11));
    const rate = y.reduce((kept, v) => kept + (v === 0 ? 0 : 1), 0) / n;
    // Five standard deviations of a binomial share, and of the mean that is rate / (1 − p).
    const deviation = Math.sqrt((p * (1 - p)) / n);
    expect(Math.abs(rate - (1 - p))).toBeLessThan(5 * deviation);
    expect(Math.abs(sum(y) / n - 1)).toBeLessThan((5 * deviation) / (1 - p));
    // Neighbours are independent: the share of kept pairs is the square.
    let pairs = 0;
    for (let i = 0; i + 1 < n; i += 2) pairs += y[i] !== 0 && y[i + 1] !== 0 ? 1 : 0;
    const q = (1 - p) ** 2;
    expect(Math.abs(pairs / (n / 2) - q)).toBeLessThan(5 * Math.sqrt((q * (1 - q)) / (n / 2)));
  });

  it('has the same mask for the gradient, another one for another stream or seed', async () => {
    const n = 1001;
    const x = floats(
      [n],
      randomFloats(new Random(2), n).map((v) => v + 2),
    );
    const mask = (y: Float32Array) => y.map((v) => (v === 0 ? 0 : 1));
    const forward = mask(await readFloats(native.dropout(x, 0.5, 1, 2)));
    const backward = mask(await readFloats(native.dropout(floats([n], Array(n).fill(3)), 0.5, 1, 2)));
    expect(sameBits(forward, backward)).toBe(true);
    for (const [seed, stream] of [
      [1, 3],
      [2, 2],
    ] as const) {
      const other = mask(await readFloats(native.dropout(x, 0.5, seed, stream)));
      const same = other.reduce((count, v, i) => count + (v === forward[i] ? 1 : 0), 0);
      expect(Math.abs(same / n - 0.5)).toBeLessThan(0.08);
    }
  });

  it('is the identity at 0, does not depend on threads, and refuses other probabilities', async () => {
    const data = randomFloats(new Random(3), 100_003);
    const x = floats([100_003], data);
    expect(sameBits(await readFloats(native.dropout(x, 0, 1, 1)), data)).toBe(true);
    const { one, all } = await withThreads(() => readFloats(native.dropout(x, 0.4, 1, 1)));
    expect(sameBits(one, all)).toBe(true);
    for (const p of [1, -0.1, Number.NaN]) expect(() => native.dropout(x, p, 1, 1)).toThrow('probability: expected');
    expect(() => native.dropout(x, 0.5, -1, 1)).toThrow(ValueError);
    expect(() => native.dropout(x, 0.5, 1, 0.5)).toThrow(ValueError);
  });
});

describe('rowPositions and advance', () => {
  it('count from each start, not below 0', async () => {
    const position = ints([1], [3]);
    const rows = native.rowPositions(ints([4], [0, 2, 3, 9]), position);
    expect([...(await readInts(rows))]).toEqual([3, 1, 0, 0]);
    native.advance(position, 2);
    native.advance(position, -1);
    expect([...(await readInts(position))]).toEqual([4]);
    expect(() => native.rowPositions(ints([4], [0, 2, 3, 9]), ints([2], [0, 0]))).toThrow('position: expected [1]');
    expect(() => native.advance(ints([2], [0, 0]), 1)).toThrow(ShapeError);
    expect(() => native.advance(position, 2 ** 31)).toThrow(ValueError);
  });

  it('reports a counter that leaves int32', async () => {
    const counter = ints([1], [2 ** 31 - 1]);
    native.advance(counter, 1);
    await expect(counter.read()).rejects.toThrow('counter: expected a sum within int32');
  });
});
