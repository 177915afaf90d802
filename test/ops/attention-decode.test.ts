import { describe, expect, it } from 'vitest';
import { ShapeError, ValueError } from '../../lib/errors.ts';
import { type NativeTensor, native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { attentionReference, type Sizes } from '../support/attention-reference.ts';
import { largestError, randomFloats, sameBits } from '../support/random-data.ts';

const ints = (...values: number[]) => Tensor.from(Int32Array.from(values), [values.length]).handle;
const floats = (data: Float32Array, shape: number[]) => Tensor.from(data, shape).handle;
const read = async (tensor: NativeTensor) => (await tensor.read()) as Float32Array;

/** Position i of every row of qkv [rows, positions, 3, heads, headDim]. */
function positionOf(qkv: Float32Array, { rows, positions, heads, headDim }: Sizes, i: number): Float32Array {
  const width = 3 * heads * headDim;
  const out = new Float32Array(rows * width);
  for (let r = 0; r < rows; r++)
    out.set(qkv.subarray((r * positions + i) * width, (r * positions + i + 1) * width), r * width);
  return out;
}

/** Decodes from position `first` on, the earlier ones written at once; returns [rows, positions − first, width]. */
async function decodeAll(qkv: Float32Array, s: Sizes, starts: number[], capacity: number, first: number) {
  const cache = floats(new Float32Array(2 * s.rows * s.heads * capacity * s.headDim).fill(Number.NaN), [
    2,
    s.rows,
    s.heads,
    capacity,
    s.headDim,
  ]);
  const width = s.heads * s.headDim;
  if (first > 0) {
    const prompt = Float32Array.from({ length: s.rows * first * 3 * width }, (_, i) => {
      const r = Math.floor(i / (first * 3 * width));
      return qkv[r * s.positions * 3 * width + (i % (first * 3 * width))]!;
    });
    native.cacheWrite(floats(prompt, [s.rows, first, 3, s.heads, s.headDim]), cache, ints(0));
  }
  const out = new Float32Array(s.rows * (s.positions - first) * width);
  for (let i = first; i < s.positions; i++) {
    const step = floats(positionOf(qkv, s, i), [s.rows, 1, 3, s.heads, s.headDim]);
    const got = native.attentionDecode(step, cache, ints(...starts), ints(i));
    expect(got.shape()).toEqual([s.rows, width]);
    const data = await read(got);
    for (let r = 0; r < s.rows; r++) {
      out.set(data.subarray(r * width, (r + 1) * width), (r * (s.positions - first) + i - first) * width);
    }
  }
  return out;
}

describe('attentionDecode and cacheWrite', () => {
  it.each([
    [{ rows: 1, positions: 1, heads: 1, headDim: 1 }, [0], 1],
    [{ rows: 3, positions: 7, heads: 2, headDim: 5 }, [0, 2, 7], 7],
    [{ rows: 4, positions: 35, heads: 2, headDim: 16 }, [0, 3, 34, 20], 40],
    [{ rows: 2, positions: 33, heads: 1, headDim: 33 }, [0, 1], 33],
    [{ rows: 2, positions: 19, heads: 3, headDim: 64 }, [5, 0], 64],
    [{ rows: 1, positions: 9, heads: 1, headDim: 131 }, [0], 9],
  ])('gives what causal attention gives at every position of %j from starts %j', async (s, starts, capacity) => {
    const qkv = randomFloats(new Random(s.headDim), s.rows * s.positions * 3 * s.heads * s.headDim, 1.5);
    const ends = starts.map(() => s.positions);
    const reference = attentionReference({ ...s, qkv, starts, ends, causal: true }).out;
    const decoded = await decodeAll(qkv, s, starts, capacity, 0);
    expect(largestError(decoded, reference)).toBeLessThan(4e-6);
    const [out] = native.attentionForward(
      floats(qkv, [s.rows, s.positions, 3, s.heads, s.headDim]),
      ints(...starts),
      ints(...ends),
      true,
    );
    expect(largestError(decoded, await read(out))).toBeLessThan(6e-6);
  });

  it('goes on from a prompt written at once, bit for bit', async () => {
    const s = { rows: 2, positions: 21, heads: 2, headDim: 8 };
    const qkv = randomFloats(new Random(2), 2 * 21 * 48);
    const all = await decodeAll(qkv, s, [0, 4], 30, 0);
    const rest = await decodeAll(qkv, s, [0, 4], 30, 13);
    for (let r = 0; r < 2; r++) {
      const expected = all.slice((r * 21 + 13) * 16, (r + 1) * 21 * 16);
      expect(sameBits(rest.slice(r * 8 * 16, (r + 1) * 8 * 16), expected)).toBe(true);
    }
  });

  it('depends neither on the batch nor on the capacity, bit for bit', async () => {
    const s = { rows: 7, positions: 26, heads: 2, headDim: 24 };
    const qkv = randomFloats(new Random(3), 7 * 26 * 144);
    const starts = [0, 1, 2, 3, 4, 25, 26];
    const all = await decodeAll(qkv, s, starts, 26, 0);
    for (const r of [0, 3, 5]) {
      const alone = await decodeAll(
        qkv.slice(r * 26 * 144, (r + 1) * 26 * 144),
        { ...s, rows: 1 },
        [starts[r]!],
        100,
        0,
      );
      expect(sameBits(alone, all.slice(r * 26 * 48, (r + 1) * 26 * 48))).toBe(true);
    }
    expect(all.slice(6 * 26 * 48).every((x) => x === 0)).toBe(true); // never a key
  });

  it('writes keys and values where the layout says, and nothing else', async () => {
    const cache = floats(new Float32Array(2 * 2 * 2 * 5 * 3).fill(-1), [2, 2, 2, 5, 3]);
    const qkv = Float32Array.from({ length: 2 * 2 * 18 }, (_, i) => i);
    native.cacheWrite(floats(qkv, [2, 2, 3, 2, 3]), cache, ints(2));
    const got = await read(cache);
    for (let part = 0; part < 2; part++) {
      for (let r = 0; r < 2; r++) {
        for (let h = 0; h < 2; h++) {
          for (let p = 0; p < 5; p++) {
            for (let d = 0; d < 3; d++) {
              const want = p < 2 || p > 3 ? -1 : qkv[(((r * 2 + p - 2) * 3 + part + 1) * 2 + h) * 3 + d];
              expect(got[(((part * 2 + r) * 2 + h) * 5 + p) * 3 + d]).toBe(want);
            }
          }
        }
      }
    }
  });

  it('can be replayed as a program that counts its own position', async () => {
    const s = { rows: 2, positions: 6, heads: 1, headDim: 4 };
    const qkv = randomFloats(new Random(4), 2 * 6 * 12);
    const expected = await decodeAll(qkv, s, [0, 1], 6, 0);
    const cache = floats(new Float32Array(2 * 2 * 6 * 4), [2, 2, 1, 6, 4]);
    const step = floats(new Float32Array(24), [2, 1, 3, 1, 4]);
    const position = ints(0);
    const starts = ints(0, 1);
    native.beginProgram();
    const out = native.attentionDecode(step, cache, starts, position);
    const program = native.endProgram();
    for (let i = 0; i < 6; i++) {
      step.write(positionOf(qkv, s, i));
      position.write(Int32Array.of(i));
      native.replayProgram(program);
      const got = await read(out);
      for (let r = 0; r < 2; r++) {
        expect(sameBits(got.slice(r * 4, (r + 1) * 4), expected.slice((r * 6 + i) * 4, (r * 6 + i + 1) * 4))).toBe(
          true,
        );
      }
    }
    native.disposeProgram(program);
  });

  it('refuses positions beyond the capacity, negative ones and negative starts, and wrong shapes', async () => {
    const zeros = (shape: number[]) => floats(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
    const step = () => zeros([2, 1, 3, 1, 4]);
    const cache = () => zeros([2, 2, 1, 5, 4]);
    await expect(read(native.attentionDecode(step(), cache(), ints(0, 0), ints(5)))).rejects.toThrow(
      'position: expected 0 to capacity - 1 = 4, got 5',
    );
    await expect(read(native.attentionDecode(step(), cache(), ints(0, 0), ints(-1)))).rejects.toThrow(ValueError);
    await expect(read(native.attentionDecode(step(), cache(), ints(0, -2), ints(3)))).rejects.toThrow(
      'starts: expected at least 0 in row 1, got -2',
    );
    const full = cache();
    native.cacheWrite(zeros([2, 3, 3, 1, 4]), full, ints(3));
    await expect(read(full)).rejects.toThrow('position: expected 3 position(s) from 3 on within the capacity of 5');
    expect(() => native.attentionDecode(zeros([2, 2, 3, 1, 4]), cache(), ints(0, 0), ints(0))).toThrow(
      'qkv: expected [*, 1, 3, *, *], got [2, 2, 3, 1, 4]',
    );
    expect(() => native.attentionDecode(step(), zeros([2, 3, 1, 5, 4]), ints(0, 0), ints(0))).toThrow(ShapeError);
    expect(() => native.attentionDecode(step(), cache(), ints(0), ints(0))).toThrow('starts: expected [2], got [1]');
  });
});

describe('rotary', () => {
  const shape = [3, 5, 3, 2, 10];
  const qkv = randomFloats(new Random(5), 3 * 5 * 60);
  const run = (data: Float32Array, positions: Int32Array, base: number, inverse: boolean) =>
    read(native.rotary(floats(data, shape), Tensor.from(positions, [3, 5]).handle, base, inverse));

  it.each([
    ['consecutive', (i: number) => i % 5, 10000],
    ['far apart and negative', (i: number) => i * 100003 - 200, 500],
    ['equal', () => 7, 1],
  ] as const)('turns pairs of halves by position · base^(−2i/headDim): %s positions', async (_, at, base) => {
    const positions = Int32Array.from({ length: 15 }, (_, i) => at(i));
    const got = await run(qkv, positions, base, false);
    const want = Float64Array.from(qkv, (x, index) => {
      const d = index % 10;
      if (Math.floor(index / 20) % 3 === 2) return x;
      const angle = positions[Math.floor(index / 60)]! * base ** ((-2 * (d % 5)) / 10);
      return d < 5
        ? x * Math.cos(angle) - qkv[index + 5]! * Math.sin(angle)
        : x * Math.cos(angle) + qkv[index - 5]! * Math.sin(angle);
    });
    expect(largestError(got, want)).toBeLessThan(3e-7);
    expect(largestError(await run(got, positions, base, true), qkv)).toBeLessThan(5e-7);
  });

  it('makes scores depend on the distance alone', async () => {
    const dots = async (shift: number) => {
      const got = await run(
        qkv,
        Int32Array.from({ length: 15 }, (_, i) => i + shift),
        10000,
        false,
      );
      let dot = 0;
      for (let d = 0; d < 10; d++) dot += got[4 * 60 + d]! * got[60 + 20 + d]!; // query 4, key 1, head 0
      return dot;
    };
    expect(Math.abs((await dots(0)) - (await dots(1234)))).toBeLessThan(2e-6);
  });

  it('is its inverse’s transpose, so that the inverse is the backward', async () => {
    const positions = Int32Array.from({ length: 15 }, (_, i) => 3 * i);
    const other = randomFloats(new Random(6), qkv.length);
    const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
    const left = dot(await run(qkv, positions, 100, false), other);
    const right = dot(qkv, await run(other, positions, 100, true));
    expect(Math.abs(left - right)).toBeLessThan(1e-5);
  });

  it('refuses odd head dimensions, wrong positions and a base below 1', () => {
    const odd = floats(new Float32Array(2 * 3 * 3), [1, 2, 3, 1, 3]);
    expect(() => native.rotary(odd, ints(0, 1).view([1, 2], 0), 10, false)).toThrow(
      'qkv: expected an even head dimension, got 3',
    );
    const even = floats(qkv, shape);
    expect(() => native.rotary(even, ints(0, 1), 10, false)).toThrow('positions: expected [3, 5], got [2]');
    const positions = Tensor.from(new Int32Array(15), [3, 5]).handle;
    expect(() => native.rotary(even, positions, 0.5, false)).toThrow('base: expected at least 1, got 0.5');
    expect(() => native.rotary(even, positions, Number.NaN, false)).toThrow(ValueError);
  });
});
