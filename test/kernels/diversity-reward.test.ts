import { describe, expect, it } from 'vitest';
import { DTypeError, ShapeError, ValueError } from '../../lib/errors.ts';
import { diversityReward } from '../../lib/kernels/index.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { randomFloats, sameBits } from '../support/random-data.ts';

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const dot = (x: ArrayLike<number>, y: ArrayLike<number>) => Array.from(x).reduce((s, v, i) => s + v * y[i]!, 0);
  const size = Math.sqrt(dot(a, a)) * Math.sqrt(dot(b, b));
  return size === 0 ? 1 : 1 - Math.min(1, Math.max(-1, dot(a, b) / size));
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

/** Reward, advantage and diversity by their definitions, pair by pair. */
function reference(embeddings: Float32Array, prompts: number, samples: number, dimensions: number, given?: number[]) {
  const d = Array.from({ length: prompts }, (_, p) =>
    Array.from({ length: samples }, (_, i) =>
      Array.from({ length: samples }, (_, j) => {
        const at = (k: number) =>
          embeddings.subarray((p * samples + k) * dimensions, (p * samples + k + 1) * dimensions);
        return distance(at(i), at(j));
      }),
    ),
  );
  const pairs = (p: number, without: number) =>
    d[p]!.flatMap((row, i) => row.filter((_, j) => i < j && i !== without && j !== without));
  const diversity = d.map((_, p) => mean(pairs(p, -1)));
  const reward = d.flatMap((matrix) => matrix.map((row, i) => mean(row.filter((_, j) => j !== i))));
  const advantage = reward.map((r, k) => {
    const [p, i] = [Math.floor(k / samples), k % samples];
    const others = diversity.filter((_, q) => q !== p);
    if (given) return r - given[p]!;
    if (samples === 2) return r - (others.length ? mean(others) : 0);
    return r - mean(pairs(p, i));
  });
  return { reward, advantage, diversity };
}

const shapes = [
  [1, 2, 1],
  [1, 2, 5],
  [4, 2, 17],
  [3, 3, 7],
  [2, 5, 33],
  [7, 4, 129],
  [1, 16, 512],
] as const;

describe('diversityReward', () => {
  it.each(shapes)('equals the pairwise definition for [%i, %i, %i]', async (prompts, samples, dimensions) => {
    const random = new Random(prompts * 100 + samples * 10 + dimensions);
    const embeddings = randomFloats(random, prompts * samples * dimensions, 2);
    for (const baselines of [undefined, randomFloats(random, prompts)]) {
      const options = { prompts, samples, dimensions, ...(baselines && { baselines }) };
      const now = diversityReward(embeddings, options);
      const exact = reference(embeddings, prompts, samples, dimensions, baselines && Array.from(baselines));
      for (const key of ['reward', 'advantage', 'diversity'] as const) {
        expect(now[key]).toHaveLength(exact[key].length);
        exact[key].forEach((value, i) => {
          expect(Math.abs(now[key][i]! - value)).toBeLessThan(4e-7);
        });
      }
      const later = diversityReward(
        Tensor.from(embeddings, [prompts, samples, dimensions]),
        baselines ? { baselines: Tensor.from(baselines, [prompts]) } : {},
      );
      expect([later.reward.shape, later.advantage.shape, later.diversity.shape]).toEqual([
        [prompts, samples],
        [prompts, samples],
        [prompts],
      ]);
      expect(sameBits(await later.reward.read(), now.reward)).toBe(true);
      expect(sameBits(await later.advantage.read(), now.advantage)).toBe(true);
      expect(sameBits(await later.diversity.read(), now.diversity)).toBe(true);
    }
  });

  it('identical, opposite, orthogonal and zero vectors', () => {
    const e = Float32Array.of(0.1, 0.7, 0.1, 0.7, -0.3, -2.1, 0, 0);
    const of = (i: number, j: number) => {
      const pair = Float32Array.of(e[2 * i]!, e[2 * i + 1]!, e[2 * j]!, e[2 * j + 1]!);
      return diversityReward(pair, { prompts: 1, samples: 2, dimensions: 2 }).diversity[0];
    };
    expect(of(0, 1)).toBe(0);
    expect(of(0, 2)).toBe(2);
    expect(of(0, 3)).toBe(1);
    expect(of(3, 3)).toBe(1);
    const axes = Float32Array.of(3, 0, 0, 5);
    expect(diversityReward(axes, { prompts: 1, samples: 2, dimensions: 2 }).diversity[0]).toBe(1);
  });

  it('does not depend on the vectors’ lengths, however large or small', () => {
    const e = Float32Array.of(1, 2, -3, 2, 1, 1);
    const options = { prompts: 1, samples: 2, dimensions: 3 };
    const { diversity } = diversityReward(e, options);
    for (const size of [1e38, 2 ** -140]) {
      const scaled = diversityReward(
        e.map((x, i) => (i < 3 ? x * size : x)),
        options,
      );
      expect(scaled.diversity[0]).toBeCloseTo(diversity[0]!, 5);
    }
  });

  it('never leaves [0, 2], for parallel vectors either', () => {
    const random = new Random(31);
    const [prompts, dimensions] = [200, 37];
    const e = randomFloats(random, prompts * 2 * dimensions);
    for (let p = 0; p < prompts; p++) {
      const factor = (p % 2 ? -1 : 1) * (0.1 + random.uniform());
      for (let k = 0; k < dimensions; k++) e[(2 * p + 1) * dimensions + k] = e[2 * p * dimensions + k]! * factor;
    }
    const { diversity } = diversityReward(e, { prompts, samples: 2, dimensions });
    diversity.forEach((d, p) => {
      expect(d).toBeGreaterThanOrEqual(0);
      expect(d).toBeLessThanOrEqual(2);
      expect(Math.abs(d - (p % 2 ? 2 : 0))).toBeLessThan(1e-6);
    });
  });

  it('takes views and does not depend on the thread count', () => {
    const memory = randomFloats(new Random(3), 400 * 4 * 61 + 1);
    const view = memory.subarray(1);
    const options = { prompts: 400, samples: 4, dimensions: 61 };
    const threads = native.threads();
    try {
      native.threads(1);
      const one = diversityReward(view, options);
      native.threads(2);
      expect(diversityReward(view.slice(), options)).toEqual(one);
    } finally {
      native.threads(threads);
    }
  });
});

describe('diversityReward refuses', () => {
  const options = { prompts: 2, samples: 2, dimensions: 3 };
  const twelve = () => new Float32Array(12).fill(1);

  it('a single generation per prompt', () => {
    const one = { prompts: 4, samples: 1, dimensions: 3 };
    expect(() => diversityReward(twelve(), one)).toThrow(ShapeError);
    expect(() => diversityReward(twelve(), one)).toThrow(
      'samples: expected at least 2 per prompt, to compare them, got 1',
    );
    expect(() => diversityReward(Tensor.from(twelve(), [4, 1, 3]))).toThrow('samples: expected at least 2 per prompt');
    const out = () => new Float32Array(4);
    expect(() => native.diversityRewardNow(twelve(), 4, 1, 3, undefined, out(), out(), out(), 'float32')).toThrow(
      ShapeError,
    );
  });

  it('numbers that are not finite', async () => {
    const bad = twelve();
    bad[7] = Number.NaN;
    expect(() => diversityReward(bad, options)).toThrow('embeddings: expected a finite number at [2, 1], got NaN');
    bad[7] = -Infinity;
    await expect(diversityReward(Tensor.from(bad, [2, 2, 3])).reward.read()).rejects.toThrow(
      'embeddings: expected a finite number at [2, 1], got -Infinity',
    );
    expect(() => diversityReward(twelve(), { ...options, baselines: Float32Array.of(0, Infinity) })).toThrow(
      'baselines: expected a finite number in row 1, got Infinity',
    );
  });

  it('lengths, types and options that do not fit', () => {
    expect(() => diversityReward(new Float32Array(11), options)).toThrow(
      'embeddings: expected [prompts, samples, dimensions] = [2, 2, 3], 12 elements, got 11 elements',
    );
    expect(() => diversityReward(twelve(), { ...options, baselines: new Float32Array(3) })).toThrow(ShapeError);
    expect(() => diversityReward(twelve(), { ...options, prompts: 0 })).toThrow(ValueError);
    expect(() => diversityReward(twelve(), { ...options, dimensions: 1.5 })).toThrow(ValueError);
    expect(() => diversityReward(twelve(), { ...options, extra: 1 } as typeof options)).toThrow("unknown key 'extra'");
    expect(() => diversityReward([1, 2] as unknown as Float32Array, options)).toThrow(DTypeError);
    expect(() => diversityReward(Tensor.from(twelve(), [4, 3]))).toThrow(ShapeError);
    expect(() => diversityReward(Tensor.from(twelve(), [2, 2, 3]), { samples: 3 })).toThrow('samples: expected 2');
    const baselines = Tensor.from(new Float32Array(3), [3]);
    expect(() => diversityReward(Tensor.from(twelve(), [2, 2, 3]), { baselines })).toThrow(ShapeError);
  });
});
