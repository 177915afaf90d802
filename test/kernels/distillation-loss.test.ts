import { describe, expect, it } from 'vitest';
import { type Divergence, distillationLoss, guidedLogits } from '../../lib/kernels/index.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { distillRow, distillRowGradient, type RowCase } from '../support/guidance-reference.ts';
import { randomFloats, sameBits } from '../support/random-data.ts';

const divergences = ['reverse', 'forward', 'jsd'] as const satisfies readonly Divergence[];
const shapes = [
  [1, 1],
  [3, 2],
  [5, 7],
  [4, 17],
  [3, 33],
  [2, 131],
] as const;

function problem(rows: number, vocab: number, size = 4) {
  const random = new Random(rows * 1009 + vocab);
  return {
    student: randomFloats(random, rows * vocab, size),
    cond: randomFloats(random, rows * vocab, size),
    uncond: randomFloats(random, rows * vocab, size),
    scale: randomFloats(random, rows, 3),
    weights: randomFloats(random, rows, 2),
    tokens: Int32Array.from({ length: rows }, () => random.integer(vocab)),
    coefficients: randomFloats(random, rows, 2),
  };
}

type Problem = ReturnType<typeof problem>;

function rowCase(p: Problem, r: number, vocab: number, options: Partial<RowCase>): RowCase {
  const part = (logits: Float32Array) => logits.subarray(r * vocab, (r + 1) * vocab);
  return {
    student: part(p.student),
    cond: part(p.cond),
    uncond: part(p.uncond),
    scale: p.scale[r]!,
    temperature: 1,
    divergence: 'reverse',
    jsdWeight: 0.5,
    weight: p.weights[r]!,
    token: p.tokens[r]!,
    coefficient: p.coefficients[r]!,
    ...options,
  };
}

/** What float32 allows: some roundings of the largest logit over T, and of the terms of the loss. */
function tolerance(row: RowCase): number {
  const teacher = 1 + 2 * Math.abs(row.scale);
  const finite = [...Array.from(row.student), ...Array.from(row.cond)].filter(Number.isFinite).map(Math.abs);
  return 2 ** -22 * (1 + (Math.max(...finite) * teacher) / row.temperature);
}

function compare(p: Problem, vocab: number, options: Partial<RowCase>, uncond: Float32Array | null = p.uncond) {
  const rows = p.student.length / vocab;
  const { temperature = 1, divergence = 'reverse', jsdWeight = 0.5 } = options;
  const result = distillationLoss(p.student, p.cond, uncond, {
    vocab,
    ...(uncond && { scale: p.scale }),
    temperature,
    divergence,
    jsdWeight,
    weights: p.weights,
    policy: { tokens: p.tokens, coefficients: p.coefficients },
  });
  let loss = 0;
  let lossTolerance = 0;
  for (let r = 0; r < rows; r++) {
    const row = rowCase(p, r, vocab, uncond ? options : { ...options, uncond: null, scale: 1 });
    const exact = distillRow(row);
    const near = tolerance(row);
    expect(Math.abs(result.perToken[r]! - exact.divergence)).toBeLessThan(near * (1 + exact.divergence));
    expect(Math.abs(result.entropy[r]! - exact.entropy)).toBeLessThan(near * 2);
    const share = (Math.abs(row.weight) * (1 + exact.divergence) + Math.abs(row.coefficient)) / temperature;
    const gradient = distillRowGradient(row);
    let worst = 0;
    for (let v = 0; v < vocab; v++) {
      // The second term is the central differences' own error.
      const allowed = near * share + (1e-8 * (1 + share)) / temperature ** 2;
      worst = Math.max(worst, Math.abs(result.grad[r * vocab + v]! - gradient[v]!) / allowed);
    }
    expect(worst).toBeLessThan(1);
    loss += exact.loss;
    lossTolerance += near * share * Math.max(1, temperature) + 2 ** -24 * Math.abs(exact.loss);
  }
  expect(Math.abs(result.loss - loss)).toBeLessThan(lossTolerance + 2 ** -23 * Math.abs(loss));
  return result;
}

describe.each(divergences)('distillationLoss, %s', (divergence) => {
  it.each(shapes)('value, entropy and gradient equal float64 and central differences for [%i, %i]', (rows, vocab) => {
    for (const temperature of [1, 0.7, 2.5]) {
      for (const jsdWeight of divergence === 'jsd' ? [0.5, 0.1, 0.95] : [0.5])
        compare(problem(rows, vocab), vocab, { temperature, divergence, jsdWeight });
    }
  });

  it('without guidance the teacher is cond', () => {
    compare(problem(4, 19), 19, { divergence, temperature: 0.8 }, null);
  });

  it('gives the same as with separately guided logits', () => {
    const p = problem(6, 77);
    const options = { vocab: 77, divergence, temperature: 0.9 };
    const guided = guidedLogits(p.cond, p.uncond, p.scale, { vocab: 77 });
    expect(distillationLoss(p.student, p.cond, p.uncond, { ...options, scale: p.scale })).toEqual(
      distillationLoss(p.student, guided, null, options),
    );
  });

  it('a token that is −∞ anywhere leaves both distributions, and has gradient exactly 0', () => {
    const p = problem(4, 21);
    for (let r = 0; r < 4; r++) {
      p.student[r * 21 + 3] = -Infinity;
      p.cond[r * 21 + 8] = -Infinity;
      p.uncond[r * 21 + 20] = -Infinity;
      p.cond[r * 21 + 15] = -Infinity;
      p.uncond[r * 21 + 15] = -Infinity;
      p.student[r * 21 + 15] = -Infinity;
      if ([3, 8, 15, 20].includes(p.tokens[r]!)) p.tokens[r] = 0;
    }
    // The largest logits of the student and the teacher are outside the support.
    p.student[8] = 50;
    p.cond[3] = 90;
    const { grad, perToken } = compare(p, 21, { divergence, temperature: 0.9 });
    for (let r = 0; r < 4; r++) for (const v of [3, 8, 15, 20]) expect(Object.is(grad[r * 21 + v], 0)).toBe(true);
    const kept = Array.from({ length: 21 }, (_, v) => v).filter((v) => ![3, 8, 15, 20].includes(v));
    const without = (logits: Float32Array) =>
      Float32Array.from({ length: 4 * kept.length }, (_, i) => {
        return logits[Math.floor(i / kept.length) * 21 + kept[i % kept.length]!]!;
      });
    const shorter = distillationLoss(without(p.student), without(p.cond), without(p.uncond), {
      vocab: kept.length,
      scale: p.scale,
      temperature: 0.9,
      divergence,
    });
    for (let r = 0; r < 4; r++) expect(perToken[r]).toBeCloseTo(shorter.perToken[r]!, 5);
  });

  it('equal rows: divergence and gradient are exactly 0', () => {
    for (const vocab of [1, 7, 64, 1000]) {
      const row = randomFloats(new Random(vocab), 3 * vocab, 8);
      for (const jsdWeight of [0.5, 0.3]) {
        const options = { vocab, divergence, jsdWeight, temperature: 0.99, scale: 1 };
        const { perToken, loss, grad } = distillationLoss(row, row.slice(), row.slice(), options);
        expect(Array.from(perToken)).toEqual([0, 0, 0]);
        expect(loss).toBe(0);
        expect(grad.every((g) => Object.is(g, 0))).toBe(true);
      }
    }
  });

  it('nearly equal rows: never negative, however close', () => {
    const random = new Random(4);
    const student = randomFloats(random, 200 * 50, 5);
    const cond = student.map((z) => z * (1 + 1e-7 * (random.uniform() - 0.5)));
    const { perToken } = distillationLoss(student, cond, null, { vocab: 50, divergence });
    expect(perToken.every((d) => d >= 0 && d < 1e-6)).toBe(true);
  });

  it('a vocabulary of one token', () => {
    const { loss, perToken, entropy, grad } = distillationLoss(
      Float32Array.of(3, -1e4),
      Float32Array.of(-5, 1e4),
      Float32Array.of(1, 0),
      {
        vocab: 1,
        scale: 3,
        divergence,
        temperature: 0.7,
        policy: { tokens: new Int32Array(2), coefficients: Float32Array.of(0.3, -1) },
      },
    );
    expect([loss, ...perToken, ...entropy, ...grad].map((x) => x + 0)).toEqual([0, 0, 0, 0, 0, 0, 0]);
  });

  it('extreme logits', () => {
    const student = Float32Array.of(1e4, -1e4, 0, 1e4, /**/ 0, 0, 1e4, -1e4, /**/ -1e4, -1e4, -1e4, -1e4);
    const cond = Float32Array.of(-1e4, 1e4, 0, 1e4, /**/ 0, 0, 0, 1e4, /**/ 1e4, 1e4, 9999, 1e4);
    const uncond = Float32Array.of(1e4, -1e4, 0, 1e4, /**/ 0, 0, 0, -1e4, /**/ 1e4, 1e4, 1e4, 1e4);
    const p: Problem = {
      student,
      cond,
      uncond,
      scale: Float32Array.of(3, 2, 1.5),
      weights: Float32Array.of(1, 1, 0.5),
      tokens: Int32Array.of(1, 2, 3),
      coefficients: Float32Array.of(0, 0.5, -0.25),
    };
    const { loss, perToken, grad } = compare(p, 4, { divergence });
    for (const x of [loss, ...perToken, ...grad]) expect(Number.isFinite(x)).toBe(true);
    if (divergence === 'reverse') expect(perToken[0]).toBeGreaterThan(1e4);
    if (divergence === 'jsd') for (const d of perToken) expect(d).toBeLessThanOrEqual(Math.fround(Math.log(2)));
  });

  it('Tensors give the same numbers bit for bit', async () => {
    for (const [rows, vocab] of [...shapes, [40, 517] as const]) {
      const p = problem(rows, vocab);
      const options = { temperature: 0.8, divergence, jsdWeight: 0.3 };
      const now = distillationLoss(p.student, p.cond, p.uncond, {
        ...options,
        vocab,
        scale: p.scale,
        weights: p.weights,
        policy: { tokens: p.tokens, coefficients: p.coefficients },
      });
      const logits = (data: Float32Array) => Tensor.from(data, [rows, vocab]);
      const later = distillationLoss(logits(p.student), logits(p.cond), logits(p.uncond), {
        ...options,
        scale: Tensor.from(p.scale, [rows]),
        weights: Tensor.from(p.weights, [rows]),
        policy: { tokens: Tensor.from(p.tokens, [rows]), coefficients: Tensor.from(p.coefficients, [rows]) },
      });
      expect([later.loss.shape, later.perToken.shape, later.entropy.shape]).toEqual([[1], [rows], [rows]]);
      expect(later.grad.shape).toEqual([rows, vocab]);
      expect(await later.loss.read()).toEqual(Float32Array.of(now.loss));
      expect(sameBits(await later.perToken.read(), now.perToken)).toBe(true);
      expect(sameBits(await later.entropy.read(), now.entropy)).toBe(true);
      expect(sameBits(await later.grad.read(), now.grad)).toBe(true);
    }
  });

  it.each(['student', 'cond', 'uncond'] as const)('may write the gradient over %s', (target) => {
    const p = problem(9, 70);
    const options = { vocab: 70, scale: p.scale, divergence, temperature: 0.9, weights: p.weights };
    const expected = distillationLoss(p.student, p.cond, p.uncond, options);
    const out = p[target];
    const result = distillationLoss(p.student, p.cond, p.uncond, { ...options, out });
    expect(result.grad).toBe(out);
    expect(sameBits(out, expected.grad)).toBe(true);
    expect(result.loss).toBe(expected.loss);
  });

  it('the error of a long row does not grow with it', () => {
    const vocab = 131_072;
    const random = new Random(8);
    const p: Problem = {
      ...problem(1, vocab),
      student: randomFloats(random, vocab, 3),
      cond: randomFloats(random, vocab, 3),
      uncond: randomFloats(random, vocab, 3),
      scale: Float32Array.of(2),
    };
    const { perToken, entropy, grad } = distillationLoss(p.student, p.cond, p.uncond, { vocab, scale: 2, divergence });
    const exact = distillRow(rowCase(p, 0, vocab, { divergence, scale: 2 }));
    expect(Math.abs(perToken[0]! / exact.divergence - 1)).toBeLessThan(1e-6);
    expect(Math.abs(entropy[0]! / exact.entropy - 1)).toBeLessThan(1e-6);
    expect(Math.abs(grad.reduce((a, b) => a + b, 0))).toBeLessThan(1e-6);
  });
});

describe('distillationLoss', () => {
  it('has a gradient that central differences of the kernel itself confirm', () => {
    const p = problem(2, 9, 2);
    const options = {
      vocab: 9,
      scale: 2,
      temperature: 1.3,
      weights: p.weights,
      policy: { tokens: p.tokens, coefficients: p.coefficients },
    };
    const { grad } = distillationLoss(p.student, p.cond, p.uncond, options);
    const h = 2 ** -6;
    for (let i = 0; i < grad.length; i++) {
      const at = (step: number) => {
        const moved = p.student.slice();
        moved[i]! += step;
        return distillationLoss(moved, p.cond, p.uncond, options).loss;
      };
      // Rounding of the loss over 2h, and the third derivative's h² / 6.
      expect(Math.abs((at(h) - at(-h)) / (2 * h) - grad[i]!)).toBeLessThan(3e-4);
    }
  });

  it('does not read a row of weight 0 and coefficient 0; weight 0 alone takes only the divergence out', () => {
    const p = problem(3, 5);
    p.student.fill(Number.NaN, 5, 10);
    p.cond.fill(Infinity, 5, 10);
    p.uncond.fill(-Infinity, 5, 10);
    p.scale[1] = Number.NaN;
    const weights = Float32Array.of(0, 0, 1);
    const policy = { tokens: Int32Array.of(2, 4, 0), coefficients: Float32Array.of(0.5, -0, 0) };
    const options = { vocab: 5, scale: p.scale, weights, policy };
    const out = new Float32Array(15).fill(7);
    const all = distillationLoss(p.student, p.cond, p.uncond, { ...options, out });
    expect([all.perToken[1], all.entropy[1]]).toEqual([0, 0]);
    expect(all.grad.subarray(5, 10).every((g) => Object.is(g, 0))).toBe(true);
    const first = distillRow(rowCase(p, 0, 5, { weight: 0, token: 2, coefficient: 0.5 }));
    const last = distillRow(rowCase(p, 2, 5, { weight: 1, coefficient: 0 }));
    expect(all.perToken[0]).toBeCloseTo(first.divergence, 5);
    expect(all.loss).toBeCloseTo(first.loss + last.loss, 5);
    const gradient = distillRowGradient(rowCase(p, 0, 5, { weight: 0, token: 2, coefficient: 0.5 }));
    for (let v = 0; v < 5; v++) expect(all.grad[v]).toBeCloseTo(gradient[v]!, 5);
  });

  it('weights default to 1; temperature, divergence and jsdWeight have their defaults', () => {
    const p = problem(3, 11);
    const plain = distillationLoss(p.student, p.cond, p.uncond, { vocab: 11, scale: 3 });
    expect(plain.loss).toBeCloseTo(
      plain.perToken.reduce((a, b) => a + b, 0),
      5,
    );
    const spelled = { vocab: 11, scale: 3, temperature: 1, divergence: 'reverse', weights: Float32Array.of(1, 1, 1) };
    expect(distillationLoss(p.student, p.cond, p.uncond, spelled as { vocab: number })).toEqual(plain);
    const jsd = { vocab: 11, scale: 3, divergence: 'jsd' } as const;
    expect(distillationLoss(p.student, p.cond, p.uncond, jsd)).toEqual(
      distillationLoss(p.student, p.cond, p.uncond, { ...jsd, jsdWeight: 0.5 }),
    );
  });

  it('does not depend on the thread count or on the batch', () => {
    const p = problem(300, 61);
    const options = { vocab: 61, scale: 2, temperature: 0.9 };
    const threads = native.threads();
    try {
      native.threads(1);
      const one = distillationLoss(p.student, p.cond, p.uncond, options);
      native.threads(2);
      expect(distillationLoss(p.student, p.cond, p.uncond, options)).toEqual(one);
      const part = (logits: Float32Array) => logits.subarray(61 * 150, 61 * 151);
      const row = distillationLoss(part(p.student), part(p.cond), part(p.uncond), options);
      expect(row.perToken[0]).toBe(one.perToken[150]);
      expect(sameBits(row.grad, part(one.grad))).toBe(true);
    } finally {
      native.threads(threads);
    }
  });

  it('takes no rows at all', () => {
    const none = new Float32Array(0);
    const result = distillationLoss(none, none, none, { vocab: 4, scale: 2 });
    expect(result.loss).toBe(0);
    expect(result.grad).toHaveLength(0);
  });
});
