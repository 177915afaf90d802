import { describe, expect, it } from 'vitest';
import { DTypeError, ShapeError, ValueError } from '../../lib/errors.ts';
import { type Activation, type NativeTensor, native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { largestError, randomFloats, sameBits } from '../support/random-data.ts';
import { centralDifferences, dot, floats, readFloats, withThreads } from '../support/tensors.ts';

/** Φ(x) in float64: near 0 by the series of the integral of the density, in the tails by Lentz's continued fraction. */
function normalDistribution(x: number): number {
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  const a = Math.abs(x);
  if (a < 3) {
    let term = x;
    let sum = x;
    for (let k = 1; k < 200; k++) {
      term *= (x * x) / (2 * k + 1);
      sum += term;
    }
    return 0.5 + density * sum;
  }
  // Mills' ratio 1/(a + 1/(a + 2/(a + 3/(a + …)))), from its end.
  let fraction = a;
  for (let k = 200; k >= 1; k--) fraction = a + k / fraction;
  const tail = density / fraction;
  return x > 0 ? 1 - tail : tail;
}

const functions: Record<Activation, (x: number) => number> = {
  gelu: (x) => x * normalDistribution(x),
  'gelu-tanh': (x) => x / (1 + Math.exp(-2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  silu: (x) => x / (1 + Math.exp(-x)),
};

const kinds: Activation[] = ['gelu', 'gelu-tanh', 'silu'];
const sizes = [1, 7, 17, 33];

function gated(f: (x: number) => number, x: ArrayLike<number>, n: number): Float64Array {
  const out = new Float64Array(x.length / 2);
  for (let i = 0; i < out.length; i++) {
    const at = Math.floor(i / n) * 2 * n + (i % n);
    out[i] = f(x[at]!) * x[at + n]!;
  }
  return out;
}

describe('the float64 reference', () => {
  it('knows the normal distribution', () => {
    // Tabulated values, on both sides of the change of method.
    expect(normalDistribution(0)).toBe(0.5);
    expect(normalDistribution(1)).toBeCloseTo(0.8413447460685429, 14);
    expect(normalDistribution(1.96)).toBeCloseTo(0.9750021048517795, 14);
    expect(normalDistribution(-5) / 2.866515718791939e-7).toBeCloseTo(1, 10);
    expect(normalDistribution(-3.0000001) / normalDistribution(-2.9999999)).toBeCloseTo(1, 5);
  });
});

describe.each(kinds)('%s', (kind) => {
  const f = functions[kind];

  it('has its values to 1e-6 relative from -12 to 12, its slopes to 1e-6 absolute', async () => {
    const x = Float32Array.from({ length: 24_001 }, (_, i) => (i - 12_000) / 1000);
    const y = await readFloats(native.activationForward(kind, floats([x.length], x)));
    // In the tail of gelu-tanh the argument of the exponential is large, and rounded.
    const argument = (v: number) => 2 * Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3);
    const bound = (v: number) => 1e-6 + (kind === 'gelu-tanh' ? 2e-7 * Math.abs(argument(v)) : 0);
    const tooFar = [...x].filter((v, i) => {
      const expected = f(v);
      return Math.abs(expected) > 1e-36 && !(Math.abs(y[i]! - expected) <= bound(v) * Math.abs(expected));
    });
    expect(tooFar).toEqual([]);
    const ones = new Float32Array(x.length).fill(1);
    const slopes = await readFloats(native.activationBackward(kind, floats([x.length], x), floats([x.length], ones)));
    const differences = centralDifferences((v) => f(v[0]!), [0]);
    expect(slopes[12_000]).toBeCloseTo(differences[0]!, 6);
    const worst = [...x].reduce((a, v, i) => {
      const slope = (f(v + 1e-5) - f(v - 1e-5)) / 2e-5;
      return Math.max(a, Math.abs(slopes[i]! - slope));
    }, 0);
    expect(worst).toBeLessThan(1e-6);
  });

  it.each(sizes)('backward matches central differences on %i elements', async (n) => {
    const random = new Random(n);
    const x = randomFloats(random, n, 3);
    const grad = randomFloats(random, n);
    const differences = centralDifferences((v) => dot(v.map(f), grad), x);
    const gradX = await readFloats(native.activationBackward(kind, floats([n], x), floats([n], grad)));
    expect(largestError(gradX, differences, 0.1)).toBeLessThan(1e-5);
  });

  it.each(sizes)('gates, forward and backward, %i wide', async (n) => {
    const random = new Random(100 + n);
    const rows = 3;
    const x = randomFloats(random, rows * 2 * n, 3);
    const grad = randomFloats(random, rows * n);
    const y = native.gatedForward(kind, floats([rows, 2 * n], x));
    expect(y.shape()).toEqual([rows, n]);
    expect(largestError(await readFloats(y), gated(f, x, n), 0.1)).toBeLessThan(2e-6);
    const gradX = native.gatedBackward(kind, floats([rows, 2 * n], x), floats([rows, n], grad));
    const differences = centralDifferences((v) => dot(gated(f, v, n), grad), x);
    expect(largestError(await readFloats(gradX), differences, 0.1)).toBeLessThan(1e-5);
  });

  it('is finite for any finite input and hands NaN on', async () => {
    const x = floats([5], [3e38, -3e38, 200, -200, 0]);
    const y = await readFloats(native.activationForward(kind, x));
    expect([...y].map(Math.abs)).toEqual([Math.fround(3e38), 0, 200, 0, 0]);
    const slopes = await readFloats(native.activationBackward(kind, x, floats([5], Array(5).fill(1))));
    expect([...slopes.subarray(0, 4)].map(Math.abs)).toEqual([1, 0, 1, 0]);
    expect(Math.abs(slopes[4]! - 0.5)).toBeLessThan(1e-7);
    const bad = floats([1], [Number.NaN]);
    expect((await readFloats(native.activationForward(kind, bad)))[0]).toBeNaN();
    expect((await readFloats(native.activationBackward(kind, bad, floats([1], [1]))))[0]).toBeNaN();
  });

  it('does not depend on the thread count', async () => {
    const random = new Random(7);
    const x = floats([500, 134], randomFloats(random, 67_000, 4));
    const grad = floats([500, 134], randomFloats(random, 67_000));
    const { one, all } = await withThreads(() =>
      Promise.all(
        [
          native.activationForward(kind, x),
          native.activationBackward(kind, x, grad),
          native.gatedForward(kind, x),
          native.gatedBackward(kind, x, native.gatedForward(kind, x)),
        ].map(readFloats),
      ),
    );
    one.forEach((values, i) => {
      expect(sameBits(values, all[i]!)).toBe(true);
    });
  });
});

describe('activations', () => {
  it('refuse what does not fit', () => {
    const x = floats([2, 3], Array(6).fill(0));
    expect(() => native.activationForward('relu' as Activation, x)).toThrow(ValueError);
    expect(() => native.activationForward('gelu', native.createTensor('cpu', 'int32', [2]))).toThrow(DTypeError);
    expect(() => native.activationBackward('gelu', x, floats([6], Array(6).fill(0)))).toThrow(
      'gradY: expected [2, 3], got [6]',
    );
    expect(() => native.gatedForward('silu', x)).toThrow('x: expected an even last dimension, got [2, 3]');
    expect(() => native.gatedForward('silu', floats([], [0]))).toThrow(ShapeError);
    expect(() => native.gatedBackward('silu', floats([1, 4], Array(4).fill(0)), x)).toThrow('gradY: expected [1, 2]');
  });

  it.each(kinds)('compute %s of bfloat16 in float32 and round once', async (kind) => {
    const brain = (data: Float32Array, shape = [3, 10]) => native.cast(floats(shape, data), 'bfloat16');
    const wide = (x: NativeTensor) => native.cast(x, 'float32');
    const random = new Random(31);
    const [x, gradY] = [brain(randomFloats(random, 30, 3)), brain(randomFloats(random, 30))];
    const half = gradY.view([3, 5], 0);
    const results = [
      [native.activationForward(kind, x), native.activationForward(kind, wide(x))],
      [native.activationBackward(kind, x, gradY), native.activationBackward(kind, wide(x), wide(gradY))],
      [native.gatedForward(kind, x), native.gatedForward(kind, wide(x))],
      [native.gatedBackward(kind, x, half), native.gatedBackward(kind, wide(x), wide(half))],
    ] as const;
    for (const [actual, exact] of results) {
      expect(actual.dtype()).toBe('bfloat16');
      expect(await actual.read()).toEqual(await native.cast(exact, 'bfloat16').read());
    }
    expect(() => native.activationBackward(kind, x, wide(gradY))).toThrow('gradY: expected bfloat16, got float32');
  });

  it('keep leading dimensions', () => {
    const x = floats([2, 1, 4], Array(8).fill(0));
    expect(native.gatedForward('silu', x).shape()).toEqual([2, 1, 2]);
    expect(native.activationForward('gelu', x).shape()).toEqual([2, 1, 4]);
  });
});
