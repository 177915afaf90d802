import { describe, expect, it } from 'vitest';
import { DTypeError, ShapeError, ValueError } from '../../lib/errors.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { largestError, randomFloats, sameBits } from '../support/random-data.ts';
import { centralDifferences, floats, ints, readFloats, withThreads } from '../support/tensors.ts';

type Numbers = ArrayLike<number>;

/** −log softmax(logits)[target] of each row, 0 at target −1; float64. */
function perRow(logits: Numbers, targets: Numbers): number[] {
  const vocab = logits.length / targets.length;
  return Array.from(targets, (target, r) => {
    if (target < 0) return 0;
    const row = Array.from({ length: vocab }, (_, v) => logits[r * vocab + v]!);
    const top = Math.max(...row);
    return Math.log(row.reduce((a, z) => a + Math.exp(z - top), 0)) - (row[target]! - top);
  });
}

const weighted = (values: Numbers, weights: Numbers | null) =>
  Array.from(values).reduce((a, v, r) => a + v * (weights ? weights[r]! : 1), 0);

async function run(logits: Numbers, targets: Numbers, weights: Numbers | null, factor: number) {
  const rows = targets.length;
  const [loss, each, grad] = native.crossEntropy(
    floats([rows, logits.length / rows], logits),
    ints([rows], targets),
    weights && floats([rows], weights),
    factor,
  );
  return { loss: (await readFloats(loss))[0]!, perRow: await readFloats(each), grad: await readFloats(grad) };
}

describe('cross-entropy', () => {
  it.each([
    [1, 1],
    [3, 7],
    [5, 17],
    [4, 33],
    [2, 1031],
  ])('matches float64 and central differences on %i × %i', async (rows, vocab) => {
    const random = new Random(rows * vocab);
    const logits = randomFloats(random, rows * vocab, 4);
    const targets = Array.from({ length: rows }, () => random.integer(vocab));
    for (const weights of [null, randomFloats(random, rows)]) {
      const result = await run(logits, targets, weights, 0.7);
      const expected = perRow(logits, targets);
      expect(largestError(result.perRow, expected, 0.1)).toBeLessThan(1e-6);
      const magnitude = weighted(expected, weights ? weights.map(Math.abs) : null) + 0.1;
      expect(Math.abs(result.loss - 0.7 * weighted(expected, weights))).toBeLessThan(1e-6 * magnitude);
      const differences = centralDifferences((z) => 0.7 * weighted(perRow(z, targets), weights), logits);
      expect(largestError(result.grad, differences, 0.01)).toBeLessThan(1e-5);
    }
  });

  it('does not read a row with target -1: exactly zero loss and gradient', async () => {
    const logits = [Number.NaN, Number.POSITIVE_INFINITY, 1, 2];
    const result = await run(logits, [-1, 0], null, 1);
    expect(sameBits(result.grad.subarray(0, 2), new Float32Array(2))).toBe(true);
    expect(result.perRow[0]).toBe(0);
    expect(result.loss).toBeCloseTo(Math.log(1 + Math.E), 6);
    const none = await run([1, 2, 3, 4], [-1, -1], null, 1);
    expect([none.loss, ...none.perRow, ...none.grad]).toEqual(Array(7).fill(0));
  });

  it('gives a row of weight 0 its value and an exactly zero gradient', async () => {
    const result = await run([1, 2, 0, 3], [0, 1], [0, 2], 1);
    expect(result.perRow[0]).toBeCloseTo(Math.log(1 + Math.E), 6);
    expect(sameBits(result.grad.subarray(0, 2), new Float32Array(2))).toBe(true);
    expect(result.loss).toBeCloseTo(2 * result.perRow[1]!, 6);
  });

  it('takes -Infinity beside the target, and extreme logits', async () => {
    const never = Number.NEGATIVE_INFINITY;
    const masked = await run([never, 1, 2, never, never], [1], null, 1);
    expect(masked.loss).toBeCloseTo(Math.log(1 + Math.E), 6);
    expect([masked.grad[0], masked.grad[3], masked.grad[4]]).toEqual([0, 0, 0]);
    const large = await run([1e4, -1e4, 1e4, -1e4, 3e38, -3e38], [0, 0, 0], null, 1);
    expect([...large.perRow]).toEqual([0, 0, 0]);
    expect([...large.grad].map(Math.abs)).toEqual(Array(6).fill(0));
    const wrong = await run([1e4, -1e4], [1], null, 1);
    expect(wrong.loss).toBe(2e4);
    expect([...wrong.grad]).toEqual([1, -1]);
    const single = await run([-5], [0], null, 1);
    expect([single.loss, Math.abs(single.grad[0]!)]).toEqual([0, 0]);
  });

  it('reports the first row that cannot be', async () => {
    const cases: [number[], number[], number[] | null, string][] = [
      [[0, 0, 0, Number.NaN], [0, 1], null, 'logits: expected a finite logit or -Infinity at [1, 1], got NaN'],
      [[0, Number.POSITIVE_INFINITY], [0], null, 'got Infinity'],
      [[0, Number.NEGATIVE_INFINITY], [1], null, 'logits: expected a finite logit at the target [0, 1], got -Infinity'],
      [[Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY], [1], null, 'at the target'],
      [[0, 0], [2], null, 'targets: expected a token from -1 to 1 at 0, got 2'],
      [[0, 0], [-2], null, 'targets'],
      [[0, 0], [1], [Number.NaN], 'weights: expected a finite number at 0'],
    ];
    for (const [logits, targets, weights, message] of cases) {
      await expect(run(logits, targets, weights, 1)).rejects.toThrow(message);
      await expect(run(logits, targets, weights, 1)).rejects.toThrow(ValueError);
    }
    const many = new Float32Array(3000 * 11);
    many[2999 * 11 + 3] = Number.NaN;
    many[1700 * 11 + 4] = Number.NaN;
    await expect(run(many, new Int32Array(3000), null, 1)).rejects.toThrow('[1700, 4]');
  });

  it('does not depend on the thread count', async () => {
    const random = new Random(3);
    const logits = randomFloats(random, 1000 * 67, 5);
    const targets = Array.from({ length: 1000 }, () => random.integer(68) - 1);
    const weights = randomFloats(random, 1000);
    const { one, all } = await withThreads(() => run(logits, targets, weights, 1 / 1000));
    expect(one.loss).toBe(all.loss);
    expect(sameBits(one.perRow, all.perRow)).toBe(true);
    expect(sameBits(one.grad, all.grad)).toBe(true);
  });

  it('refuses what does not fit', () => {
    const logits = floats([2, 3], Array(6).fill(0));
    const targets = ints([2], [0, 0]);
    expect(() => native.crossEntropy(logits, ints([3], [0, 0, 0]), null, 1)).toThrow('targets: expected [2], got [3]');
    expect(() => native.crossEntropy(logits, floats([2], [0, 0]), null, 1)).toThrow(DTypeError);
    expect(() => native.crossEntropy(logits, targets, floats([1], [0]), 1)).toThrow('weights: expected [2], got [1]');
    expect(() => native.crossEntropy(logits, targets, null, Number.NaN)).toThrow(ValueError);
    expect(() => native.crossEntropy(floats([2, 0], []), targets, null, 1)).toThrow(ShapeError);
    expect(() => native.crossEntropy(floats([6], Array(6).fill(0)), targets, null, 1)).toThrow(ShapeError);
  });
});
