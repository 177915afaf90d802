/**
 * The method's gradient estimates against exact gradients, on models small enough to sum over everything they can
 * generate: every combination of generations is put through the kernels, weighted by its probability.
 */
import { describe, expect, it } from 'vitest';
import { type Divergence, distillationLoss, diversityReward } from '../../lib/kernels/index.ts';
import { Random } from '../../lib/random.ts';
import { distillRow, softmax } from '../support/guidance-reference.ts';
import { randomFloats } from '../support/random-data.ts';

/** Every way to choose `length` of the numbers 0 … `count` − 1, in order and with repetition. */
function tuples(count: number, length: number): number[][] {
  return Array.from({ length: count ** length }, (_, index) =>
    Array.from({ length }, (_, place) => Math.floor(index / count ** place) % count),
  );
}

function centralDifferences(f: (theta: Float64Array) => number, theta: ArrayLike<number>, h = 1e-5): number[] {
  return Array.from(theta, (_, i) => {
    const at = (step: number) => {
      const moved = Float64Array.from(theta);
      moved[i]! += step;
      return f(moved);
    };
    return (at(h) - at(-h)) / (2 * h);
  });
}

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const dot = (x: ArrayLike<number>, y: ArrayLike<number>) => Array.from(x).reduce((s, v, i) => s + v * y[i]!, 0);
  return 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

function expectClose(actual: ArrayLike<number>, expected: readonly number[], near: number) {
  expected.forEach((value, i) => {
    expect(Math.abs(actual[i]! - value)).toBeLessThan(near);
  });
}

describe('advantages are unbiased', () => {
  const outcomes = 3;
  const dimensions = 4;

  it.each([
    [1, 2],
    [2, 2],
    [3, 2],
    [1, 3],
    [2, 3],
    [1, 4],
  ])('%i prompts of %i samples: E[(2/N) Σ A ∇log p] = ∇E[r]', (prompts, samples) => {
    const random = new Random(prompts * 10 + samples);
    const theta = Array.from({ length: prompts }, () => randomFloats(random, outcomes, 1.5));
    // Embeddings of the outcomes, other ones for each prompt.
    const embedding = Array.from({ length: prompts }, () =>
      Array.from({ length: outcomes }, () => randomFloats(random, dimensions)),
    );
    const estimate = theta.map(() => new Float64Array(outcomes));
    for (const tuple of tuples(outcomes, prompts * samples)) {
      const p = theta.map((logits) => softmax(logits));
      const probability = tuple.reduce((product, y, k) => product * p[Math.floor(k / samples)]![y]!, 1);
      const embeddings = new Float32Array(tuple.length * dimensions);
      tuple.forEach((y, k) => {
        embeddings.set(embedding[Math.floor(k / samples)]![y]!, k * dimensions);
      });
      const { advantage } = diversityReward(embeddings, { prompts, samples, dimensions });
      tuple.forEach((y, k) => {
        const prompt = Math.floor(k / samples);
        for (let v = 0; v < outcomes; v++) {
          const score = (v === y ? 1 : 0) - p[prompt]![v]!;
          estimate[prompt]![v]! += probability * (2 / samples) * advantage[k]! * score;
        }
      });
    }
    for (let prompt = 0; prompt < prompts; prompt++) {
      const expected = (logits: ArrayLike<number>) => {
        const p = softmax(logits);
        let sum = 0;
        for (const [i, j] of tuples(outcomes, 2) as [number, number][])
          sum += p[i]! * p[j]! * distance(embedding[prompt]![i]!, embedding[prompt]![j]!);
        return sum;
      };
      const gradient = centralDifferences(expected, theta[prompt]!);
      expect(Math.max(...gradient.map(Math.abs))).toBeGreaterThan(1e-2);
      expectClose(estimate[prompt]!, gradient, 1e-6);
    }
  });
});

describe('the whole gradient on a model of two tokens', () => {
  // The student's logits for the first token (row 0) and, after token v, for the second (row 1 + v).
  const vocab = 3;
  const states = 1 + vocab;
  const sequences = tuples(vocab, 2) as [number, number][];
  const random = new Random(2024);
  const student = randomFloats(random, states * vocab, 1.5);
  const cond = randomFloats(random, states * vocab, 1.5);
  const uncond = randomFloats(random, states * vocab, 1.5);
  const scale = 2;
  const beta = 1.7;
  const dimensions = 5;
  const embedding = sequences.map(() => randomFloats(random, dimensions));
  const row = (logits: ArrayLike<number>, state: number) =>
    Array.from(logits).slice(state * vocab, (state + 1) * vocab);

  const divergenceAt = (theta: ArrayLike<number>, state: number, temperature: number, divergence: Divergence) =>
    distillRow({
      student: row(theta, state),
      cond: row(cond, state),
      uncond: row(uncond, state),
      scale,
      temperature,
      divergence,
      jsdWeight: 0.5,
      weight: 1,
      token: 0,
      coefficient: 0,
    }).divergence;
  const probabilities = (theta: ArrayLike<number>, temperature: number) => {
    const first = softmax(row(theta, 0), temperature);
    return sequences.map(([a, b]) => first[a]! * softmax(row(theta, 1 + a), temperature)[b]!);
  };
  const expectedDiversity = (theta: ArrayLike<number>, temperature: number) => {
    const p = probabilities(theta, temperature);
    let sum = 0;
    for (let i = 0; i < p.length; i++)
      for (let j = 0; j < p.length; j++) sum += p[i]! * p[j]! * distance(embedding[i]!, embedding[j]!);
    return sum;
  };

  /** Gradient of the student's logits, averaged over every choice of `samples` generations. */
  function estimate(samples: number, temperature: number, divergence: Divergence, future: boolean): Float64Array {
    const p = probabilities(student, temperature);
    const choices = tuples(sequences.length, samples);
    const rows = choices.length * samples * 2;
    const stateOf = new Int32Array(rows);
    const tokens = new Int32Array(rows);
    const embeddings = new Float32Array(choices.length * samples * dimensions);
    choices.flat().forEach((sequence, k) => {
      const [a, b] = sequences[sequence]!;
      stateOf.set([0, 1 + a], 2 * k);
      tokens.set([a, b], 2 * k);
      embeddings.set(embedding[sequence]!, k * dimensions);
    });
    const gather = (logits: Float32Array) => {
      const out = new Float32Array(rows * vocab);
      stateOf.forEach((state, r) => {
        out.set(row(logits, state), r * vocab);
      });
      return out;
    };
    // One prompt per choice; two samples have the baseline of a step with one prompt.
    const baselines = samples === 2 ? { baselines: new Float32Array(choices.length) } : {};
    const shape = { prompts: choices.length, samples, dimensions, ...baselines };
    const { advantage } = diversityReward(embeddings, shape);
    const options = { vocab, scale, temperature, divergence };
    const weights = new Float32Array(rows).fill(1 / samples);
    const inputs = [gather(student), gather(cond), gather(uncond)] as const;
    const { perToken } = distillationLoss(...inputs, { ...options, weights });
    const coefficients = Float32Array.from({ length: rows }, (_, r) => {
      const policy = (2 * beta * advantage[r >> 1]!) / samples;
      return r % 2 === 0 && future ? policy - perToken[r + 1]! / samples : policy;
    });
    const { grad } = distillationLoss(...inputs, { ...options, weights, policy: { tokens, coefficients } });
    const total = new Float64Array(states * vocab);
    choices.forEach((choice, c) => {
      const probability = choice.reduce((product, sequence) => product * p[sequence]!, 1);
      for (let r = 2 * samples * c; r < 2 * samples * (c + 1); r++)
        for (let v = 0; v < vocab; v++) total[stateOf[r]! * vocab + v]! += probability * grad[r * vocab + v]!;
    });
    return total;
  }

  const settings = [
    [2, 1, 'reverse'],
    [2, 0.7, 'reverse'],
    [3, 1.4, 'reverse'],
    [3, 0.7, 'forward'],
    [2, 1.3, 'jsd'],
  ] as const;

  it.each(settings)(
    '%i samples, T = %d, %s: the semi-gradient holds the prefixes constant',
    (samples, t, divergence) => {
      const prefix = softmax(row(student, 0), t);
      const objective = (theta: ArrayLike<number>) => {
        let sum = divergenceAt(theta, 0, t, divergence);
        for (let v = 0; v < vocab; v++) sum += prefix[v]! * divergenceAt(theta, 1 + v, t, divergence);
        return sum - beta * expectedDiversity(theta, t);
      };
      expectClose(estimate(samples, t, divergence, false), centralDifferences(objective, student), 3e-6);
    },
  );

  it.each(settings)(
    '%i samples, T = %d, %s: with the future divergence as cost it is the full gradient',
    (samples, t, divergence) => {
      const objective = (theta: ArrayLike<number>) => {
        const prefix = softmax(row(theta, 0), t);
        let sum = divergenceAt(theta, 0, t, divergence);
        for (let v = 0; v < vocab; v++) sum += prefix[v]! * divergenceAt(theta, 1 + v, t, divergence);
        return sum - beta * expectedDiversity(theta, t);
      };
      const exact = centralDifferences(objective, student);
      const semi = estimate(samples, t, divergence, false);
      expect(Math.max(...exact.map((g, i) => Math.abs(g - semi[i]!)))).toBeGreaterThan(1e-3);
      expectClose(estimate(samples, t, divergence, true), exact, 3e-6);
    },
  );
});
