import { describe, expect, it } from 'vitest';
import { DTypeError, ShapeError } from '../../lib/errors.ts';
import { type NativeTensor, native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { Tape } from '../../lib/tensor/autograd.ts';
import { crossAttention } from '../../lib/tensor/operations.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import {
  type CrossInput,
  type CrossSizes,
  crossAttentionGradient,
  crossAttentionReference,
} from '../support/attention-reference.ts';
import { numbersOf } from '../support/both-devices.ts';
import { bfloat16Bits, bfloat16Values } from '../support/half.ts';
import { largestError, randomFloats, sameBits } from '../support/random-data.ts';
import { centralDifferences, dot, floats, ints, readFloats, withThreads } from '../support/tensors.ts';

interface Problem extends CrossInput {
  q: Float32Array;
  kv: Float32Array;
}

function randomProblem(s: CrossSizes, seed: number, scale = 1): Problem {
  const random = new Random(seed);
  const q = randomFloats(random, s.rows * s.queries * s.heads * s.headDim, scale);
  const kv = randomFloats(random, s.rows * s.keys * 2 * s.heads * s.headDim, scale);
  const starts = Array.from({ length: s.rows }, (_, r) => (r === 0 ? 0 : random.integer(s.keys + 1)));
  const ends = starts.map((start, r) => (r === 0 ? s.keys : start + random.integer(s.keys - start + 1)));
  return { ...s, q, kv, starts, ends };
}

const inputs = (p: Problem) =>
  [
    floats([p.rows, p.queries, p.heads, p.headDim], p.q),
    floats([p.rows, p.keys, 2, p.heads, p.headDim], p.kv),
    ints([p.rows], p.starts),
    ints([p.rows], p.ends),
  ] as const;

async function forward(p: Problem) {
  const [out, lse] = native.crossAttentionForward(...inputs(p));
  expect(out.shape()).toEqual([p.rows, p.queries, p.heads * p.headDim]);
  expect(lse.shape()).toEqual([p.rows, p.heads, p.queries]);
  return { out: await readFloats(out), lse: await readFloats(lse) };
}

async function backward(p: Problem, gradOut: Float32Array) {
  const given = inputs(p);
  const [out, lse] = native.crossAttentionForward(...given);
  const grad = floats([p.rows, p.queries, p.heads * p.headDim], gradOut);
  const [gradQ, gradKv] = native.crossAttentionBackward(...given, out, lse, grad);
  expect(gradQ.shape()).toEqual(given[0].shape());
  expect(gradKv.shape()).toEqual(given[1].shape());
  return { gradQ: await readFloats(gradQ), gradKv: await readFloats(gradKv) };
}

const gradOutOf = (p: Problem) => randomFloats(new Random(5), p.q.length);

const sizes: CrossSizes[] = [
  { rows: 1, queries: 1, keys: 1, heads: 1, headDim: 1 },
  { rows: 3, queries: 1, keys: 29, heads: 2, headDim: 7 },
  { rows: 4, queries: 7, keys: 3, heads: 3, headDim: 5 },
  { rows: 3, queries: 49, keys: 11, heads: 2, headDim: 17 },
  { rows: 3, queries: 5, keys: 131, heads: 2, headDim: 16 },
  { rows: 2, queries: 97, keys: 100, heads: 1, headDim: 33 },
];

describe('cross-attention', () => {
  it.each(sizes)('agrees with float64, forward and backward: %j', async (s) => {
    const p = randomProblem(s, s.queries + s.keys);
    const [got, want] = [await forward(p), crossAttentionReference(p)];
    expect(largestError(got.out, want.out)).toBeLessThan(2e-6);
    expect(largestError(got.lse, want.lse)).toBeLessThan(1e-6);
    const gradOut = gradOutOf(p);
    const [grads, expected] = [await backward(p, gradOut), crossAttentionGradient(p, gradOut)];
    expect(largestError(grads.gradQ, expected.gradQ)).toBeLessThan(4e-6);
    expect(largestError(grads.gradKv, expected.gradKv)).toBeLessThan(4e-6);
  });

  it('has the derivative of its forward pass: central differences of the float64 reference', async () => {
    const p = {
      ...randomProblem({ rows: 2, queries: 3, keys: 5, heads: 2, headDim: 3 }, 21),
      starts: [0, 2],
      ends: [5, 4],
    };
    const gradOut = gradOutOf(p);
    const got = await backward(p, gradOut);
    const inQ = centralDifferences((q) => dot(crossAttentionReference({ ...p, q }).out, gradOut), p.q);
    const inKv = centralDifferences((kv) => dot(crossAttentionReference({ ...p, kv }).out, gradOut), p.kv);
    expect(largestError(got.gradQ, inQ)).toBeLessThan(2e-6);
    expect(largestError(got.gradKv, inKv)).toBeLessThan(2e-6);
    expect(inQ.some((x) => Math.abs(x) > 0.05) && inKv.some((x) => Math.abs(x) > 0.1)).toBe(true);
  });

  it('gives 0, −Infinity and no gradient without keys', async () => {
    const p = {
      ...randomProblem({ rows: 3, queries: 4, keys: 6, heads: 2, headDim: 5 }, 3),
      starts: [6, 2, 5],
      ends: [6, 5, 1],
    };
    const { out, lse } = await forward(p);
    const { gradQ, gradKv } = await backward(p, gradOutOf(p));
    for (let r = 0; r < 3; r++) {
      const empty = r !== 1;
      expect(out.slice(r * 40, (r + 1) * 40).every((x) => x === 0)).toBe(empty);
      expect(lse.slice(r * 8, (r + 1) * 8).every((x) => x === Number.NEGATIVE_INFINITY)).toBe(empty);
      expect(gradQ.slice(r * 40, (r + 1) * 40).every((x) => x === 0)).toBe(empty);
      for (let j = 0; j < 6; j++) {
        const at = (r * 6 + j) * 20;
        expect(gradKv.slice(at, at + 20).some((x) => x !== 0)).toBe(!empty && j >= 2 && j < 5);
      }
    }
    const none = randomProblem({ rows: 2, queries: 3, keys: 0, heads: 1, headDim: 2 }, 1);
    expect((await forward(none)).out.every((x) => x === 0)).toBe(true);
    expect((await backward(none, gradOutOf(none))).gradKv).toHaveLength(0);
    const mute = {
      ...randomProblem({ rows: 2, queries: 0, keys: 3, heads: 1, headDim: 2 }, 1),
      starts: [0, 0],
      ends: [3, 3],
    };
    expect((await forward(mute)).out).toHaveLength(0);
    expect((await backward(mute, gradOutOf(mute))).gradKv.every((x) => x === 0)).toBe(true);
  });

  it('is self-attention without a causal order when both come from one sequence, bit for bit', async () => {
    const s = { rows: 2, queries: 37, keys: 37, heads: 2, headDim: 8 };
    const p = randomProblem(s, 7);
    const qkv = new Float32Array(2 * 37 * 48);
    for (let i = 0; i < 2 * 37; i++) {
      qkv.set(p.q.subarray(i * 16, (i + 1) * 16), i * 48);
      qkv.set(p.kv.subarray(i * 32, (i + 1) * 32), i * 48 + 16);
    }
    const [out] = native.attentionForward(floats([2, 37, 3, 2, 8], qkv), ints([2], p.starts), ints([2], p.ends), false);
    expect(sameBits((await forward(p)).out, await readFloats(out))).toBe(true);
  });

  it('depends neither on the batch nor on the number of queries nor on the threads, bit for bit', async () => {
    const p = {
      ...randomProblem({ rows: 3, queries: 20, keys: 61, heads: 2, headDim: 8 }, 9),
      starts: [0, 4, 0],
      ends: [61, 60, 9],
    };
    const { one, all } = await withThreads(() => forward(p));
    expect(sameBits(one.out, all.out)).toBe(true);
    const grads = await withThreads(() => backward(p, gradOutOf(p)));
    expect(sameBits(grads.one.gradKv, grads.all.gradKv)).toBe(true);
    const q = p.q.slice(20 * 16 + 5 * 16, 20 * 16 + 6 * 16); // row 1, query 5
    const kv = p.kv.slice(61 * 32, 2 * 61 * 32);
    const alone = await forward({ ...p, rows: 1, queries: 1, q, kv, starts: [4], ends: [60] });
    expect(sameBits(alone.out, all.out.slice(20 * 16 + 5 * 16, 20 * 16 + 6 * 16))).toBe(true);
  });

  it('computes on bfloat16 in float32, rounding its results once', async () => {
    const p = randomProblem({ rows: 3, queries: 5, keys: 13, heads: 2, headDim: 6 }, 4);
    const half = (tensor: NativeTensor, data: Float32Array) =>
      native.createTensor('cpu', 'bfloat16', tensor.shape(), bfloat16Bits(data));
    const rounded = (data: Float32Array) => bfloat16Values(bfloat16Bits(data));
    const [q, kv, starts, ends] = inputs(p);
    const gradOut = gradOutOf(p);
    const [qHalf, kvHalf] = [half(q, p.q), half(kv, p.kv)];
    const [out, lse] = native.crossAttentionForward(qHalf, kvHalf, starts, ends);
    const grad = native.createTensor('cpu', 'bfloat16', out.shape(), bfloat16Bits(gradOut));
    const [gradQ, gradKv] = native.crossAttentionBackward(qHalf, kvHalf, starts, ends, out, lse, grad);
    const exact = { ...p, q: rounded(p.q), kv: rounded(p.kv) };
    const want = crossAttentionReference(exact);
    const wanted = crossAttentionGradient(exact, rounded(gradOut));
    expect(lse.dtype()).toBe('float32');
    expect(largestError(await readFloats(lse), want.lse)).toBeLessThan(1e-6);
    for (const [tensor, expected] of [
      [out, want.out],
      [gradQ, wanted.gradQ], // δ is of the rounded output
      [gradKv, wanted.gradKv],
    ] as const) {
      expect(tensor.dtype()).toBe('bfloat16');
      expect(largestError(numbersOf(tensor, await tensor.read()), expected)).toBeLessThan(2 ** -8);
    }
    expect(() => native.crossAttentionForward(qHalf, kv, starts, ends)).toThrow(DTypeError);
  });

  it('records its gradients', async () => {
    const p = randomProblem({ rows: 2, queries: 3, keys: 4, heads: 1, headDim: 2 }, 8);
    const q = Tensor.from(p.q, [2, 3, 1, 2]);
    const kv = Tensor.from(p.kv, [2, 4, 2, 1, 2]);
    const tape = new Tape([q, kv]);
    const [starts, ends] = [p.starts, p.ends].map((x) => Tensor.from(Int32Array.from(x), [2]));
    const out = tape.record(() => crossAttention(q, kv, starts!, ends!));
    const gradOut = gradOutOf(p);
    const gradients = tape.backward([[out, Tensor.from(gradOut, [2, 3, 2])]]);
    const want = crossAttentionGradient(p, gradOut);
    expect(largestError(await gradients.get(q)!.read(), want.gradQ)).toBeLessThan(2e-6);
    expect(largestError(await gradients.get(kv)!.read(), want.gradKv)).toBeLessThan(2e-6);
  });

  it('refuses ranges outside the keys when it runs, and wrong shapes at the call', async () => {
    const p = {
      ...randomProblem({ rows: 2, queries: 3, keys: 4, heads: 1, headDim: 2 }, 1),
      starts: [0, 0],
      ends: [4, 4],
    };
    await expect(forward({ ...p, starts: [0, -1] })).rejects.toThrow(
      'starts: expected 0 to positions = 4 in row 1, got -1',
    );
    await expect(forward({ ...p, ends: [5, 4] })).rejects.toThrow('ends: expected 0 to positions = 4 in row 0, got 5');
    const [q, kv, starts, ends] = inputs(p);
    expect(() => native.crossAttentionForward(q.view([2, 3, 2], 0), kv, starts, ends)).toThrow(
      'q: expected [*, *, *, *], got [2, 3, 2]',
    );
    expect(() => native.crossAttentionForward(q, kv.view([1, 8, 2, 1, 2], 0), starts, ends)).toThrow(
      'kv: expected [2, *, 2, 1, 2], got [1, 8, 2, 1, 2]',
    );
    const [out, lse] = native.crossAttentionForward(q, kv, starts, ends);
    expect(() => native.crossAttentionBackward(q, kv, starts, ends, out, lse, lse)).toThrow(ShapeError);
  });
});
