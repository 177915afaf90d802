import { describe, expect, it } from 'vitest';
import { DTypeError, ShapeError, ValueError } from '../../lib/errors.ts';
import { type NativeTensor, native } from '../../lib/native.ts';
import { philox4x32, Random } from '../../lib/random.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
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
    // More rows than there are numbers for, though without elements.
    const many = native.createTensor('cpu', 'float32', [2 ** 40, 0]);
    expect(() => native.repeatRows(many, 2 ** 31 - 1)).toThrow('times: expected at most 2^40 rows in all');
    expect(() => native.createTensor('cpu', 'float32', [0, 2 ** 40, 2 ** 40])).toThrow(
      'expected at most 2^40 elements',
    );
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

/** The elements of a 16-bit type as numbers, from its definition: 1 sign bit, then the exponent, then the fraction. */
function halfValue(bits: number, exponentBits: number): number {
  const fractionBits = 15 - exponentBits;
  const sign = bits >>> 15 ? -1 : 1;
  const exponent = (bits >>> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

const HALVES = [
  ['float16', 5],
  ['bfloat16', 8],
] as const;
const patterns = Uint16Array.from({ length: 65_536 }, (_, i) => i);
const readHalves = async (x: NativeTensor) => (await x.read()) as Uint16Array;

describe('cast', () => {
  it.each(HALVES)('widens every %s exactly, and gets it back', async (dtype, exponentBits) => {
    const halves = native.createTensor('cpu', dtype, [65_536], patterns);
    const wide = await readFloats(native.cast(halves, 'float32'));
    expect(wide.findIndex((v, i) => !Object.is(v, halfValue(i, exponentBits)))).toBe(-1);
    for (const back of [native.cast(floats([65_536], wide), dtype), native.cast(halves, dtype)]) {
      const bits = await readHalves(back);
      expect(bits.findIndex((v, i) => v !== i && !Number.isNaN(wide[i]))).toBe(-1);
      expect(bits.every((v, i) => Object.is(halfValue(v, exponentBits), wide[i]))).toBe(true);
    }
  });

  it.each(HALVES)('rounds to the nearest %s, ties to even', async (dtype, exponentBits) => {
    // Between every two neighbours: the middle, and the float32 numbers just beside it. The largest finite number's
    // upper neighbour is the power of two that would come next, and it is an infinity.
    const infinity = 2 ** exponentBits * 2 ** (15 - exponentBits) - 2 ** (15 - exponentBits);
    const bits = new DataView(new ArrayBuffer(4));
    const beside = (value: number, by: number) => {
      bits.setFloat32(0, value);
      bits.setInt32(0, bits.getInt32(0) + by);
      return bits.getFloat32(0);
    };
    const given: number[] = [];
    const expected: number[] = [];
    for (let low = 0; low < infinity; low++) {
      const [a, b] = [low, low + 1].map((v) => halfValue(v, exponentBits));
      const above = b === Number.POSITIVE_INFINITY ? 2 ** (2 ** (exponentBits - 1)) : (b as number);
      const middle = (a as number) / 2 + above / 2;
      if (Math.fround(middle) !== middle || middle === 0) continue; // below float32's own subnormals
      given.push(beside(middle, -1), middle, beside(middle, 1), -middle);
      const even = low % 2 ? low + 1 : low;
      expected.push(low, even, low + 1, 0x8000 | even);
    }
    expect(given.length).toBeGreaterThan(4 * 31_000);
    const rounded = await readHalves(native.cast(floats([given.length], given), dtype));
    expect(rounded.findIndex((v, i) => v !== expected[i])).toBe(-1);
  });

  it('overflows to infinity, keeps NaN, and rounds what is too small to zero', async () => {
    const given = [3.4e38, -3.4e38, 70_000, 1e-45, -1e-45, 1e-8, Number.NaN, Number.NEGATIVE_INFINITY, -0];
    const [half, brain] = await Promise.all(
      HALVES.map(([dtype]) => readFloats(native.cast(native.cast(floats([9], given), dtype), 'float32'))),
    );
    const INF = Number.POSITIVE_INFINITY;
    expect([...half!]).toEqual([INF, -INF, INF, 0, -0, 0, Number.NaN, -INF, -0]);
    expect([...brain!]).toEqual([INF, -INF, 70_144, 0, -0, 1.0011717677116394e-8, Number.NaN, -INF, -0]);
  });

  it('goes between the 16-bit types by float32, keeps the shape, and views', async () => {
    const x = native.createTensor(
      'cpu',
      'float16',
      [2, 3],
      Uint16Array.of(0x3c00, 0x3c01, 0x7bff, 0x0001, 0xfc00, 0x3555),
    );
    const y = native.cast(x.view([5], 1), 'bfloat16');
    expect([y.dtype(), y.shape()]).toEqual(['bfloat16', [5]]);
    expect([...(await readHalves(y))]).toEqual([0x3f80, 0x4780, 0x3380, 0xff80, 0x3eab]);
    expect(native.cast(x, 'float32').shape()).toEqual([2, 3]);
    expect(native.cast(floats([0, 2], []), 'float16').shape()).toEqual([0, 2]);
  });

  it('refuses other types', () => {
    expect(() => native.cast(ints([1], [0]), 'float32')).toThrow('x: expected float32, float16 or bfloat16, got int32');
    expect(() => native.cast(floats([1], [0]), 'int32')).toThrow('dtype: expected float32, float16 or bfloat16');
    expect(() => native.cast(floats([1], [0]), 'float64' as 'float32')).toThrow("got 'float64'");
  });
});

describe('bfloat16', () => {
  const wide = (bits: number) => halfValue(bits, 8);
  const brain = (shape: number[], data: ArrayLike<number>) => native.cast(floats(shape, data), 'bfloat16');
  const rounded = async (data: ArrayLike<number>) =>
    Float32Array.from(await readHalves(brain([data.length], data)), wide);
  const values = async (x: NativeTensor) => {
    expect(x.dtype()).toBe('bfloat16');
    return Float32Array.from(await readHalves(x), wide);
  };

  it('is computed on in float32 and rounded once', async () => {
    const random = new Random(12);
    const [a, b] = [await rounded(randomFloats(random, 1003)), await rounded(randomFloats(random, 1003))];
    const [x, y] = [brain([1003], a), brain([1003], b)];
    expect(await values(native.add(x, y))).toEqual(await rounded(a.map((v, i) => v + b[i]!)));
    expect(await values(native.scale(x, 0.37))).toEqual(await rounded(a.map((v) => v * Math.fround(0.37))));
    const dropped = await readFloats(native.dropout(floats([1003], a), 0.4, 5, 6));
    expect(await values(native.dropout(x, 0.4, 5, 6))).toEqual(await rounded(dropped));
    const repeated = await values(native.repeatRows(x.view([17, 59], 0), 2));
    for (let r = 0; r < 34; r++)
      expect(repeated.subarray(r * 59, (r + 1) * 59)).toEqual(a.subarray((r >> 1) * 59, ((r >> 1) + 1) * 59));
    const sums = native.sumRows(x.view([17, 59], 0));
    expect(await readFloats(sums)).toEqual(await readFloats(native.sumRows(floats([17, 59], a))));
    native.accumulate(x, y, -0.5);
    expect(await values(x)).toEqual(await rounded(a.map((v, i) => v - 0.5 * b[i]!)));
  });

  it('is filled with the rounded value, and refuses what rounds to infinity', async () => {
    const x = Tensor.zeros([5], { dtype: 'bfloat16' });
    expect([...(await x.read())]).toEqual([0, 0, 0, 0, 0]);
    native.fill(x.handle.view([2], 1), 1 + 2 ** -8 + 2 ** -20);
    expect([...(await x.read())]).toEqual([0, 0x3f81, 0x3f81, 0, 0]);
    native.fill(x.handle, Number.NEGATIVE_INFINITY);
    expect([...(await x.read())]).toEqual(Array(5).fill(0xff80));
    expect(() => native.fill(x.handle, 3.4e38)).toThrow('value: expected a number in the range of bfloat16');
  });

  it('does not mix with float32', () => {
    const [x, y] = [floats([2], [1, 2]), brain([2], [1, 2])];
    expect(() => native.add(x, y)).toThrow('b: expected float32, got bfloat16');
    expect(() => native.add(y, x)).toThrow('b: expected bfloat16, got float32');
    expect(() => native.accumulate(y, x, 1)).toThrow('source: expected bfloat16, got float32');
    expect(() => native.sumAll(y)).toThrow(DTypeError);
    const half = native.cast(x, 'float16');
    expect(() => native.scale(half, 1)).toThrow('x: expected float32 or bfloat16, got float16');
    expect(() => native.repeatRows(half, 1)).toThrow('x: expected float32, bfloat16 or int32, got float16');
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
