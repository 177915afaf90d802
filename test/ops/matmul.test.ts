import { afterEach, describe, expect, it } from 'vitest';
import { DTypeError, ShapeError, ValueError } from '../../lib/errors.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { bfloat16Bits } from '../support/half.ts';
import { randomFloats, sameBits } from '../support/random-data.ts';

interface Options {
  transposeA?: boolean;
  transposeB?: boolean;
  bias?: Float32Array;
  into?: Float32Array;
}

function transposed(x: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from({ length: x.length }, (_, i) => x[(i % rows) * columns + Math.floor(i / rows)]!);
}

/** a [m, k] and b [k, n] always; they are transposed here when the operation shall undo it. */
async function matmul(
  [m, n, k]: readonly [number, number, number],
  a: Float32Array,
  b: Float32Array,
  { transposeA = false, transposeB = false, bias, into }: Options = {},
): Promise<Float32Array> {
  const left = transposeA ? Tensor.from(transposed(a, m, k), [k, m]) : Tensor.from(a, [m, k]);
  const right = transposeB ? Tensor.from(transposed(b, k, n), [n, k]) : Tensor.from(b, [k, n]);
  const target = into ? Tensor.from(into, [m, n]).handle : null;
  const added = bias ? Tensor.from(bias, [n]).handle : null;
  const out = native.matmul(left.handle, right.handle, transposeA, transposeB, added, target);
  if (target) expect(out).toBe(target);
  expect(out.shape()).toEqual([m, n]);
  return (await out.read()) as Float32Array;
}

/** In float64, with the sum of absolute products: what rounding errors are relative to. */
function reference([m, n, k]: readonly [number, number, number], a: Float32Array, b: Float32Array, options: Options) {
  const out = new Float64Array(m * n);
  const size = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      const base = (options.into?.[i * n + j] ?? 0) + (options.bias?.[j] ?? 0);
      let sum = base;
      let absolute = Math.abs(base);
      for (let l = 0; l < k; l++) {
        const product = a[i * k + l]! * b[l * n + j]!;
        sum += product;
        absolute += Math.abs(product);
      }
      out[i * n + j] = sum;
      size[i * n + j] = absolute;
    }
  }
  return { out, size };
}

const shapes = [
  [1, 1, 1],
  [1, 17, 7],
  [7, 1, 33],
  [5, 16, 256],
  [6, 33, 257],
  [24, 17, 19],
  [25, 31, 64],
  [61, 67, 300],
  [193, 18, 5],
  [197, 130, 520],
  [13, 260, 1031],
] as const;
const layouts = [
  [false, false],
  [true, false],
  [false, true],
  [true, true],
] as const;

const threads = native.threads();
afterEach(() => {
  native.threads(threads);
});

describe('matmul', () => {
  for (const shape of shapes) {
    it(`agrees with float64 at [m, n, k] = [${shape.join(', ')}] in every layout, with bias and into`, async () => {
      const [m, n, k] = shape;
      const random = new Random(m * 1000 + n);
      const a = randomFloats(random, m * k);
      const b = randomFloats(random, k * n);
      const bias = randomFloats(random, n);
      const into = randomFloats(random, m * n);
      const cases: Options[] = [{}, { bias }, { into }, { bias, into }];
      // One rounding per multiply-add of a chain of at most 256, then one per chain.
      const bound = (Math.min(k, 256) + k / 256 + 3) * 2 ** -24;
      for (const [transposeA, transposeB] of layouts) {
        for (const options of cases) {
          const got = await matmul(shape, a, b, { ...options, transposeA, transposeB });
          const { out, size } = reference(shape, a, b, options);
          let worst = 0;
          for (let i = 0; i < out.length; i++) worst = Math.max(worst, Math.abs(got[i]! - out[i]!) / size[i]!);
          expect(worst).toBeLessThanOrEqual(bound);
          expect(got.every(Number.isFinite)).toBe(true);
        }
      }
    });
  }

  it('computes the same, bit for bit, where the factors are packed in several ranges of k', async () => {
    const [m, n, k] = [701, 700, 1100];
    const random = new Random(6);
    const a = randomFloats(random, m * k);
    const b = randomFloats(random, k * n);
    const few = [20, n, k] as const; // read where they lie
    const first = await matmul(few, a.slice(0, 20 * k), b);
    const last = await matmul(few, a.slice((m - 20) * k), b);
    for (const [transposeA, transposeB] of layouts) {
      const whole = await matmul([m, n, k], a, b, { transposeA, transposeB });
      expect(sameBits(whole.slice(0, 20 * n), first)).toBe(true);
      expect(sameBits(whole.slice((m - 20) * n), last)).toBe(true);
    }
  });

  it('computes an element the same way, bit for bit, whatever the batch, the layout, the columns and the threads', async () => {
    const [m, n, k] = [209, 300, 1100];
    const random = new Random(5);
    const a = randomFloats(random, m * k);
    const b = randomFloats(random, k * n);
    const bias = randomFloats(random, n);
    const into = randomFloats(random, m * n);
    const whole = await matmul([m, n, k], a, b, { bias, into });
    for (const count of [1, 2]) {
      native.threads(count);
      for (const [transposeA, transposeB] of layouts) {
        expect(sameBits(await matmul([m, n, k], a, b, { bias, into, transposeA, transposeB }), whole)).toBe(true);
        for (const rows of [1, 2, 5, 6, 24, 25, 193]) {
          for (const first of [0, m - rows]) {
            const part = await matmul([rows, n, k], a.slice(first * k, (first + rows) * k), b, {
              bias,
              into: into.slice(first * n, (first + rows) * n),
              transposeA,
              transposeB,
            });
            expect(sameBits(part, whole.slice(first * n, (first + rows) * n))).toBe(true);
          }
        }
      }
    }
    // Fewer columns: an element at the right edge equals the same element in the middle.
    for (const columns of [1, 7, 17, 255]) {
      const rows = 30;
      const narrow = Float32Array.from(
        { length: k * columns },
        (_, i) => b[Math.floor(i / columns) * n + (i % columns)]!,
      );
      const got = await matmul([rows, columns, k], a.slice(0, rows * k), narrow, { bias: bias.slice(0, columns) });
      const full = await matmul([rows, n, k], a.slice(0, rows * k), b, { bias });
      const expected = Float32Array.from(
        { length: rows * columns },
        (_, i) => full[Math.floor(i / columns) * n + (i % columns)]!,
      );
      expect(sameBits(got, expected)).toBe(true);
    }
  });

  it('gives the same bits with one thread and two at sizes of many tasks', async () => {
    const shape = [513, 515, 300] as const;
    const random = new Random(6);
    const a = randomFloats(random, 513 * 300);
    const b = randomFloats(random, 300 * 515);
    for (const [transposeA, transposeB] of layouts) {
      native.threads(1);
      const one = await matmul(shape, a, b, { transposeA, transposeB });
      native.threads(threads);
      expect(sameBits(await matmul(shape, a, b, { transposeA, transposeB }), one)).toBe(true);
    }
  });

  it('rounds a sum of bfloat16 products once, or not at all, and adds to results of either type', async () => {
    const random = new Random(9);
    const rounded = (x: Float32Array) => {
      const bits = bfloat16Bits(x);
      return { bits, values: new Float32Array(Uint32Array.from(bits, (half) => half << 16).buffer) };
    };
    const [m, n, k] = [13, 19, 70];
    const a = rounded(randomFloats(random, m * k));
    const b = rounded(randomFloats(random, k * n));
    const into = rounded(randomFloats(random, m * n));
    const bias = randomFloats(random, n);
    const half = (shape: number[], { bits }: { bits: Uint16Array }) =>
      native.createTensor('cpu', 'bfloat16', shape, bits);
    for (const [transposeA, transposeB] of layouts) {
      const left = transposeA ? half([k, m], rounded(transposed(a.values, m, k))) : half([m, k], a);
      const right = transposeB ? half([n, k], rounded(transposed(b.values, k, n))) : half([k, n], b);
      for (const options of [{}, { bias }, { bias, into: into.values }]) {
        // In float32 the same products, of which bfloat16 is the rounding.
        const exact = await matmul([m, n, k], a.values, b.values, { ...options, transposeA, transposeB });
        const added = options.bias ? Tensor.from(bias, [n]).handle : null;
        for (const floatOut of [false, true]) {
          const target = !options.into ? null : floatOut ? Tensor.from(into.values, [m, n]).handle : half([m, n], into);
          const out = native.matmul(left, right, transposeA, transposeB, added, target, floatOut);
          expect(out.dtype()).toBe(floatOut ? 'float32' : 'bfloat16');
          if (target) expect(out).toBe(target);
          expect(await out.read()).toEqual(floatOut ? exact : bfloat16Bits(exact));
        }
      }
    }
    const float = await native
      .matmul(
        Tensor.from(a.values, [m, k]).handle,
        Tensor.from(b.values, [k, n]).handle,
        false,
        false,
        null,
        null,
        true,
      )
      .read();
    expect(float).toEqual(await matmul([m, n, k], a.values, b.values));
  });

  it('gives the base for k = 0 and nothing for m = 0 or n = 0', async () => {
    const bias = Float32Array.of(1, 2, 3);
    const none = new Float32Array(0);
    expect(await matmul([2, 3, 0], none, none)).toEqual(new Float32Array(6));
    expect(await matmul([2, 3, 0], none, none, { bias })).toEqual(Float32Array.of(1, 2, 3, 1, 2, 3));
    expect(await matmul([2, 3, 0], none, none, { bias, into: Float32Array.of(1, 1, 1, 2, 2, 2) })).toEqual(
      Float32Array.of(2, 3, 4, 3, 4, 5),
    );
    expect(await matmul([0, 3, 2], none, new Float32Array(6), { bias })).toEqual(none);
    expect(await matmul([2, 0, 2], new Float32Array(4), none)).toEqual(none);
  });

  it('lets NaN and Infinity through, to their row and column only', async () => {
    const a = new Float32Array(9 * 20).fill(1);
    const b = new Float32Array(20 * 18).fill(1);
    a[3 * 20 + 4] = Number.NaN;
    b[19 * 18 + 17] = Number.POSITIVE_INFINITY;
    const out = await matmul([9, 18, 20], a, b);
    for (let i = 0; i < 9; i++) {
      for (let j = 0; j < 18; j++) {
        expect(out[i * 18 + j]).toBe(i === 3 ? Number.NaN : j === 17 ? Number.POSITIVE_INFINITY : 20);
      }
    }
  });

  it('works on views at any offset', async () => {
    const data = randomFloats(new Random(8), 200);
    const all = Tensor.from(data, [200]);
    const a = all.handle.view([4, 5], 3);
    const b = all.handle.view([5, 7], 101);
    const out = (await native.matmul(a, b, false, false, null, null).read()) as Float32Array;
    expect(out).toEqual(await matmul([4, 7, 5], data.slice(3, 23), data.slice(101, 136)));
  });

  it('refuses wrong shapes, dtypes, values and shared memory, naming the argument', () => {
    const f = (shape: number[]) => Tensor.from(new Float32Array(shape.reduce((x, y) => x * y, 1)), shape).handle;
    const call =
      (
        a = f([2, 3]),
        b = f([3, 4]),
        ta = false,
        tb = false,
        bias: typeof a | null = null,
        into: typeof a | null = null,
      ) =>
      () =>
        native.matmul(a, b, ta, tb, bias, into);
    expect(call(f([6]))).toThrow(/^a: expected \[\*, \*\], got \[6\]/);
    expect(call(f([2, 4]))).toThrow('b: expected [4, *], got [3, 4]');
    expect(call(f([2, 3]), f([3, 4]), true)).toThrow('b: expected [2, *], got [3, 4]');
    expect(call(f([2, 3]), f([3, 4]), false, true)).toThrow('b: expected [*, 3], got [3, 4]');
    expect(call(undefined, undefined, false, false, f([3]))).toThrow('bias: expected [4], got [3]');
    expect(call(undefined, undefined, false, false, null, f([2, 3]))).toThrow('into: expected [2, 4], got [2, 3]');
    expect(call(undefined, undefined, false, false, null, f([2, 3]))).toThrow(ShapeError);
    const ids = Tensor.from(new Int32Array(6), [2, 3]).handle;
    expect(call(ids)).toThrow(DTypeError);
    const halves = native.createTensor('cpu', 'bfloat16', [3, 4]);
    expect(call(undefined, halves)).toThrow('b: expected float32, got bfloat16');
    expect(call(halves, native.createTensor('cpu', 'bfloat16', [4, 4]), false, false, null, f([3, 4]))).toThrow(
      'into: expected bfloat16, got float32',
    );
    expect(() => native.matmul(f([2, 3]), f([3, 4]), false, false, null, null, 'yes' as unknown as boolean)).toThrow(
      "floatOut: expected true or false, got 'yes'",
    );
    const square = f([3, 3]);
    expect(call(square, f([3, 3]), false, false, null, square)).toThrow(ValueError);
    const memory = f([20]);
    expect(call(memory.view([2, 4], 0), f([4, 4]), false, false, null, memory.view([2, 4], 7))).toThrow(
      'into: expected memory of its own, got memory that a also uses',
    );
    expect(call(memory.view([2, 4], 0), f([4, 4]), false, false, null, memory.view([2, 4], 8))).not.toThrow();
    const gone = f([2, 3]);
    gone.dispose();
    expect(call(gone)).toThrow(ValueError);
    expect(() => native.matmul(f([2, 3]), f([3, 4]), 1 as unknown as boolean, false, null, null)).toThrow(
      'transposeA: expected true or false, got 1',
    );
  });
});
