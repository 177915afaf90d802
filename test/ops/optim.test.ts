import { describe, expect, it } from 'vitest';
import { DTypeError, ShapeError, ValueError } from '../../lib/errors.ts';
import { type NativeTensor, native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { largestError, randomFloats, sameBits } from '../support/random-data.ts';
import { floats, ints, readFloats, withThreads } from '../support/tensors.ts';

const sizes = [1, 7, 17, 33, 20_011];
const options = { learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

interface State {
  parameters: NativeTensor[];
  first: NativeTensor[];
  second: NativeTensor[];
}

function zeros(n: number): NativeTensor {
  const tensor = native.createTensor('cpu', 'float32', [n]);
  native.fill(tensor, 0);
  return tensor;
}

function start(parameters: readonly Float32Array[]): State {
  return {
    parameters: parameters.map((p) => floats([p.length], p)),
    first: parameters.map((p) => zeros(p.length)),
    second: parameters.map((p) => zeros(p.length)),
  };
}

function step(
  state: State,
  gradients: readonly NativeTensor[],
  t: number,
  {
    decays = gradients.map(() => 0),
    norm = null as NativeTensor | null,
    maxNorm = Number.POSITIVE_INFINITY,
    schedule = null as NativeTensor | null,
  } = {},
): void {
  const { learningRate, beta1, beta2, epsilon } = options;
  native.adamw(
    ...([state.parameters, gradients, state.first, state.second, decays] as const),
    ...([learningRate, beta1, beta2, epsilon, t, norm, maxNorm, schedule] as const),
  );
}

const content = (state: State) => Promise.all([...state.parameters, ...state.first, ...state.second].map(readFloats));

/** The published algorithm in float64; returns the parameters after all steps. */
function adamwReference(
  parameters: readonly Float32Array[],
  steps: readonly (readonly Float32Array[])[],
  decays: readonly number[],
  maxNorm: number,
): Float64Array[] {
  const { learningRate, beta1, beta2, epsilon } = options;
  const theta = parameters.map((p) => Float64Array.from(p));
  const m = parameters.map((p) => new Float64Array(p.length));
  const v = parameters.map((p) => new Float64Array(p.length));
  steps.forEach((gradients, index) => {
    const t = index + 1;
    const norm = Math.sqrt(gradients.reduce((a, g) => a + g.reduce((b, x) => b + x * x, 0), 0));
    const clip = Math.min(1, maxNorm / norm);
    theta.forEach((p, k) => {
      for (let i = 0; i < p.length; i++) {
        const g = gradients[k]![i]! * clip;
        m[k]![i] = beta1 * m[k]![i]! + (1 - beta1) * g;
        v[k]![i] = beta2 * v[k]![i]! + (1 - beta2) * g * g;
        const update = m[k]![i]! / (1 - beta1 ** t) / (Math.sqrt(v[k]![i]! / (1 - beta2 ** t)) + epsilon);
        p[i] = p[i]! - learningRate * decays[k]! * p[i]! - learningRate * update;
      }
    });
  });
  return theta;
}

describe('globalNorm', () => {
  it('is the Euclidean norm of everything', async () => {
    const random = new Random(1);
    const gradients = sizes.map((n) => randomFloats(random, n));
    const norm = native.globalNorm(gradients.map((g) => floats([g.length], g)));
    const expected = Math.sqrt(gradients.reduce((a, g) => a + g.reduce((b, x) => b + x * x, 0), 0));
    expect(largestError(await readFloats(norm), [expected], 0)).toBeLessThan(1e-7);
    expect([...(await readFloats(native.globalNorm([floats([2, 1], [3, 4]), floats([0], [])])))]).toEqual([5]);
    expect([...(await readFloats(native.globalNorm([floats([], [0])])))]).toEqual([0]);
  });

  it('neither overflows nor underflows on the way', async () => {
    for (const size of [1e30, 1e-30]) {
      const norm = await readFloats(native.globalNorm([floats([1], [3 * size]), floats([1], [4 * size])]));
      expect(largestError(norm, [5 * size], 0)).toBeLessThan(1e-6);
    }
    await expect(native.globalNorm([floats([2], [3e38, 3e38])]).read()).rejects.toThrow('range of float32');
  });

  it('reports what is not finite, by its place', async () => {
    const good = floats([3], [1, 2, 3]);
    for (const [value, name] of [
      [Number.NaN, 'NaN'],
      [Number.NEGATIVE_INFINITY, 'Infinity'],
    ] as const) {
      const norm = native.globalNorm([good, floats([2, 2], [1, 2, value, value])]);
      await expect(norm.read()).rejects.toThrow(`gradients: expected finite numbers, got ${name} in tensor 1 at 2`);
    }
  });

  it('does not depend on the thread count', async () => {
    const random = new Random(2);
    const gradients = [100_003, 5, 50_000].map((n) => floats([n], randomFloats(random, n)));
    const { one, all } = await withThreads(() => readFloats(native.globalNorm(gradients)));
    expect(sameBits(one, all)).toBe(true);
  });

  it('refuses what is no list of tensors', () => {
    expect(() => native.globalNorm([])).toThrow('gradients: expected at least one tensor');
    expect(() => native.globalNorm([ints([1], [1])])).toThrow(DTypeError);
    expect(() => native.globalNorm({} as NativeTensor[])).toThrow(ValueError);
  });
});

describe('adamw', () => {
  it.each([
    ['without clipping', Number.POSITIVE_INFINITY],
    ['with clipping', 0.5],
  ])('matches the published algorithm in float64 over 12 steps %s', async (_, maxNorm) => {
    const random = new Random(3);
    const parameters = sizes.map((n) => randomFloats(random, n));
    const steps = Array.from({ length: 12 }, () => sizes.map((n) => randomFloats(random, n, 0.1)));
    const decays = [0, 0.1, 0.01, 0, 0.2];
    const state = start(parameters);
    steps.forEach((gradients, t) => {
      const tensors = gradients.map((g) => floats([g.length], g));
      step(state, tensors, t + 1, { decays, norm: native.globalNorm(tensors), maxNorm });
    });
    const expected = adamwReference(parameters, steps, decays, maxNorm);
    // Twelve updates of at most 0.01: float32 rounding at the size of the parameters, about 1.
    for (const [k, theta] of expected.entries())
      expect(largestError(await readFloats(state.parameters[k]!), theta, 1)).toBeLessThan(1e-6);
  });

  it('takes a first step of the learning rate, whatever the size of the gradient', async () => {
    const state = start([new Float32Array(4)]);
    step(state, [floats([4], [1e-3, -5, 1e4, 0])], 1);
    const [theta] = await content(state);
    expect(largestError(theta!, [-0.01, 0.01, -0.01, 0], 0.01)).toBeLessThan(1e-5);
    // The decay works without a gradient, and is scaled by the learning rate.
    const decayed = start([new Float32Array([2])]);
    step(decayed, [floats([1], [0])], 1, { decays: [0.5] });
    expect((await content(decayed))[0]![0]).toBeCloseTo(2 * (1 - 0.01 * 0.5), 6);
  });

  it('clips only above maxNorm', async () => {
    const gradient = floats([2], [3, 4]);
    const moments = async (maxNorm: number) => {
      const state = start([new Float32Array(2)]);
      step(state, [gradient], 1, { norm: native.globalNorm([gradient]), maxNorm });
      return (await content(state))[1]!;
    };
    expect(largestError(await moments(5), [0.3, 0.4], 0)).toBeLessThan(1e-6);
    expect(largestError(await moments(1), [0.06, 0.08], 0)).toBeLessThan(1e-6);
    expect(largestError(await moments(Number.POSITIVE_INFINITY), [0.3, 0.4], 0)).toBeLessThan(1e-6);
  });

  it('does not depend on the thread count', async () => {
    const random = new Random(4);
    const parameters = [70_001, 3, 40_000].map((n) => randomFloats(random, n));
    const gradients = parameters.map((p) => floats([p.length], randomFloats(random, p.length)));
    const { one, all } = await withThreads(async () => {
      const state = start(parameters);
      for (const t of [1, 2]) step(state, gradients, t, { norm: native.globalNorm(gradients), maxNorm: 1 });
      return content(state);
    });
    one.forEach((values, i) => {
      expect(sameBits(values, all[i]!)).toBe(true);
    });
  });

  it('takes learning rate and step from a schedule', async () => {
    const random = new Random(5);
    const parameters = [randomFloats(random, 19)];
    const [plain, scheduled] = [start(parameters), start(parameters)];
    const schedule = floats([2], [0, 0]);
    for (const t of [1, 2, 3]) {
      const gradients = [floats([19], randomFloats(random, 19))];
      const rate = Math.fround(0.1 / t);
      const [decay, rest] = [[0.1], [0.9, 0.99, 1e-8] as const];
      native.adamw(plain.parameters, gradients, plain.first, plain.second, decay, rate, ...rest, t, null, 1);
      schedule.write(Float32Array.of(rate, t));
      const { parameters: p, first, second } = scheduled;
      native.adamw(p, gradients, first, second, decay, 5, ...rest, 1000, null, 1, schedule);
    }
    const [expected, actual] = [await content(plain), await content(scheduled)];
    expected.forEach((values, i) => {
      expect(sameBits(values, actual[i]!)).toBe(true);
    });
  });

  describe('leaves everything as it was', () => {
    const parameters = [new Float32Array([1, 2, 3]), new Float32Array([4])];

    async function unchanged(update: (state: State) => void, message: string): Promise<void> {
      const state = start(parameters);
      step(state, [floats([3], [1, 1, 1]), floats([1], [1])], 1);
      const before = await content(state);
      update(state);
      await expect(native.synchronize('cpu')).rejects.toThrow(message);
      const after = await content(state);
      before.forEach((values, i) => {
        expect(sameBits(values, after[i]!)).toBe(true);
      });
      // And it goes on from there.
      step(state, [floats([3], [1, 1, 1]), floats([1], [1])], 2);
      expect((await content(state))[0]![0]).toBeLessThan(before[0]![0]!);
      await native.synchronize('cpu');
    }

    it('after a NaN gradient, by its norm', () =>
      unchanged((state) => {
        const gradients = [floats([3], [1, Number.NaN, 1]), floats([1], [1])];
        step(state, gradients, 2, { norm: native.globalNorm(gradients), maxNorm: 1 });
      }, 'gradients: expected finite numbers, got NaN in tensor 0 at 1'));

    it('after an infinite gradient without a norm', () =>
      unchanged((state) => {
        step(state, [floats([3], [1, 1, 1]), floats([1], [Number.POSITIVE_INFINITY])], 2);
      }, 'gradients: expected finite numbers, got Infinity in tensor 1 at 0'));

    it('after a gradient that an earlier error poisoned', () =>
      unchanged((state) => {
        const bad = native.embeddingForward(floats([1, 3], [1, 2, 3]), ints([], [9]));
        const gradients = [bad, floats([1], [1])];
        step(state, gradients, 2, { norm: native.globalNorm(gradients), maxNorm: 1 });
        step(state, gradients, 2);
      }, 'ids: expected a token from 0 to 0'));

    it('after a norm that is no norm', () =>
      unchanged((state) => {
        const gradients = [floats([3], [1, 1, 1]), floats([1], [1])];
        step(state, gradients, 2, { norm: floats([1], [-1]), maxNorm: 1 });
      }, 'norm: expected a finite number of at least 0, got -1'));

    it.each([
      [[Number.NaN, 1], 'schedule: expected a finite learning rate of at least 0, got nan'],
      [[-1, 1], 'schedule: expected a finite learning rate of at least 0, got -1'],
      [[0.1, 0], 'schedule: expected a step from 1 to 16777216, got 0'],
      [[0.1, 1.5], 'schedule: expected a step from 1 to 16777216, got 1.5'],
      [[0.1, 2 ** 24 + 2], 'schedule: expected a step from 1 to 16777216, got 16777218'],
    ])('after a schedule of %j', (schedule, message) =>
      unchanged((state) => {
        const gradients = [floats([3], [1, 1, 1]), floats([1], [1])];
        step(state, gradients, 2, { schedule: floats([2], schedule) });
      }, message),
    );
  });

  it('refuses what does not fit', () => {
    const state = start([new Float32Array(3), new Float32Array(2)]);
    const gradients = [zeros(3), zeros(2)];
    expect(() => step(state, [zeros(3)], 1, { decays: [0, 0] })).toThrow('gradients: expected 2 tensors, got 1');
    expect(() => step(state, [zeros(3), zeros(3)], 1)).toThrow('gradients: expected [2] like parameter 1, got [3]');
    expect(() => step({ ...state, second: [zeros(2), zeros(2)] }, gradients, 1)).toThrow('secondMoments: expected [3]');
    expect(() => step(state, gradients, 1, { decays: [0] })).toThrow(ShapeError);
    expect(() => step(state, gradients, 1, { decays: [0, -1] })).toThrow('weightDecays: expected at least 0');
    expect(() => step(state, gradients, 0)).toThrow('step: expected an integer');
    expect(() => step(state, gradients, 1, { maxNorm: 0 })).toThrow('maxNorm: expected more than 0');
    expect(() => step(state, gradients, 1, { maxNorm: Number.NaN })).toThrow(ValueError);
    expect(() => step(state, gradients, 1, { norm: zeros(2) })).toThrow('norm: expected [1], got [2]');
    expect(() => step(state, gradients, 1, { schedule: zeros(1) })).toThrow('schedule: expected [2], got [1]');
    expect(() => step({ ...state, first: state.second }, gradients, 1)).toThrow('overlap');
    const p = [floats([1], [0])];
    const rest = [p, [zeros(1)], [zeros(1)], [zeros(1)], [0]] as const;
    expect(() => native.adamw(...rest, -1, 0.9, 0.99, 1e-8, 1, null, 1)).toThrow('learningRate');
    expect(() => native.adamw(...rest, 0.1, 1, 0.99, 1e-8, 1, null, 1)).toThrow('beta1');
    expect(() => native.adamw(...rest, 0.1, 0.9, Number.NaN, 1e-8, 1, null, 1)).toThrow('beta2');
    expect(() => native.adamw(...rest, 0.1, 0.9, 0.99, 1e-60, 1, null, 1)).toThrow('epsilon');
    p[0]!.dispose();
    expect(() => native.adamw(...rest, 0.1, 0.9, 0.99, 1e-8, 1, null, 1)).toThrow('disposed');
  });
});
