import { afterEach, describe, expect, it } from 'vitest';
import { DTypeError, ShapeError, ValueError } from '../../lib/errors.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { attentionGradient, attentionReference, type Sizes } from '../support/attention-reference.ts';
import { largestError, randomFloats, sameBits } from '../support/random-data.ts';

interface Problem extends Sizes {
  qkv: Float32Array;
  starts: number[];
  ends: number[];
  causal: boolean;
}

function randomProblem(sizes: Sizes, causal: boolean, seed: number, scale = 1): Problem {
  const random = new Random(seed);
  const { rows, positions, heads, headDim } = sizes;
  const qkv = randomFloats(random, rows * positions * 3 * heads * headDim, scale);
  const starts = Array.from({ length: rows }, (_, r) => (r === 0 ? 0 : random.integer(positions + 1)));
  const ends = starts.map((start, r) => (r === 0 ? positions : start + random.integer(positions - start + 1)));
  return { ...sizes, qkv, starts, ends, causal };
}

function handles(p: Problem) {
  return {
    qkv: Tensor.from(p.qkv, [p.rows, p.positions, 3, p.heads, p.headDim]).handle,
    starts: Tensor.from(Int32Array.from(p.starts), [p.rows]).handle,
    ends: Tensor.from(Int32Array.from(p.ends), [p.rows]).handle,
  };
}

async function forward(p: Problem): Promise<{ out: Float32Array; lse: Float32Array }> {
  const t = handles(p);
  const [out, lse] = native.attentionForward(t.qkv, t.starts, t.ends, p.causal);
  expect(out.shape()).toEqual([p.rows, p.positions, p.heads * p.headDim]);
  expect(lse.shape()).toEqual([p.rows, p.heads, p.positions]);
  return { out: (await out.read()) as Float32Array, lse: (await lse.read()) as Float32Array };
}

async function backward(p: Problem, gradOut: Float32Array): Promise<Float32Array> {
  const t = handles(p);
  const [out, lse] = native.attentionForward(t.qkv, t.starts, t.ends, p.causal);
  const grad = Tensor.from(gradOut, [p.rows, p.positions, p.heads * p.headDim]).handle;
  const result = native.attentionBackward(t.qkv, t.starts, t.ends, p.causal, out, lse, grad);
  expect(result.shape()).toEqual([p.rows, p.positions, 3, p.heads, p.headDim]);
  return (await result.read()) as Float32Array;
}

const sizes: Sizes[] = [
  { rows: 1, positions: 1, heads: 1, headDim: 1 },
  { rows: 3, positions: 1, heads: 2, headDim: 7 },
  { rows: 4, positions: 7, heads: 3, headDim: 5 },
  { rows: 5, positions: 17, heads: 2, headDim: 16 },
  { rows: 3, positions: 49, heads: 2, headDim: 17 },
  { rows: 4, positions: 97, heads: 1, headDim: 32 },
  { rows: 2, positions: 131, heads: 2, headDim: 33 },
];
const named = sizes.flatMap((s) =>
  [true, false].map(
    (causal) =>
      [`[${s.rows}, ${s.positions}, 3, ${s.heads}, ${s.headDim}]${causal ? ', causal' : ''}`, s, causal] as const,
  ),
);

const threads = native.threads();
afterEach(() => {
  native.threads(threads);
});

describe('attentionForward', () => {
  it.each(named)('agrees with float64 at %s', async (_, s, causal) => {
    const p = randomProblem(s, causal, s.positions, 2);
    const got = await forward(p);
    const want = attentionReference(p);
    // Scores of up to some 10 are rounded to 1e-6, which weights carry over; values are at most 2.
    expect(largestError(got.out, want.out)).toBeLessThan(4e-6);
    expect(largestError(got.lse, want.lse)).toBeLessThan(1e-6);
  });

  it('gives 0 and −Infinity for queries without keys, and its values alone for one key', async () => {
    const s = { rows: 4, positions: 9, heads: 2, headDim: 8 };
    const p = { ...randomProblem(s, true, 3), starts: [4, 9, 5, 0], ends: [9, 9, 3, 1] };
    const { out, lse } = await forward(p);
    const width = 16;
    const isEmpty = (r: number, i: number) =>
      out.slice((r * 9 + i) * width, (r * 9 + i + 1) * width).every((x) => x === 0) &&
      lse[r * 18 + i] === Number.NEGATIVE_INFINITY;
    for (let i = 0; i < 9; i++) {
      expect(isEmpty(0, i)).toBe(i < 4);
      expect(isEmpty(1, i)).toBe(true);
      expect(isEmpty(2, i)).toBe(true);
      // One key: its value, whatever the query.
      const values = p.qkv.slice((3 * 9 * 3 + 2) * width, (3 * 9 * 3 + 3) * width);
      expect(sameBits(out.slice((27 + i) * width, (28 + i) * width), values)).toBe(true);
    }
  });

  it('stays exact for scores far apart', async () => {
    const p = randomProblem({ rows: 2, positions: 60, heads: 1, headDim: 8 }, false, 11, 60);
    const got = await forward(p);
    const want = attentionReference(p);
    // Scores of up to 10⁴ carry rounding errors of 10⁻³: compare where the maximum stands out, and lse relatively.
    expect(largestError(got.lse, want.lse)).toBeLessThan(2e-6);
    expect(got.out.every(Number.isFinite)).toBe(true);
  });

  it('does not depend on the batch, on later positions, on padding or on the threads, bit for bit', async () => {
    const s = { rows: 5, positions: 113, heads: 2, headDim: 16 };
    const p = { ...randomProblem(s, true, 17), starts: [0, 0, 20, 70, 0], ends: [113, 100, 113, 113, 113] };
    const whole = await forward(p);
    const perRow = 113 * 3 * 32;
    native.threads(1);
    for (let r = 0; r < 5; r++) {
      const alone = await forward({
        ...p,
        rows: 1,
        qkv: p.qkv.slice(r * perRow, (r + 1) * perRow),
        starts: [p.starts[r]!],
        ends: [p.ends[r]!],
      });
      expect(sameBits(alone.out, whole.out.slice(r * 113 * 32, (r + 1) * 113 * 32))).toBe(true);
    }
    for (const positions of [1, 5, 50, 99]) {
      const prefix = await forward({
        ...p,
        rows: 1,
        positions,
        qkv: p.qkv.slice(0, positions * 96),
        starts: [0],
        ends: [positions],
      });
      expect(sameBits(prefix.out, whole.out.slice(0, positions * 32))).toBe(true);
    }
    // Row 2 without its 20 positions of padding.
    const shorter = await forward({
      ...p,
      rows: 1,
      positions: 93,
      qkv: p.qkv.slice(2 * perRow + 20 * 96, 3 * perRow),
      starts: [0],
      ends: [93],
    });
    expect(sameBits(shorter.out, whole.out.slice((2 * 113 + 20) * 32, 3 * 113 * 32))).toBe(true);
  });

  it('lets NaN through', async () => {
    const p = randomProblem({ rows: 1, positions: 5, heads: 1, headDim: 4 }, false, 4);
    p.qkv[0] = Number.NaN; // query 0
    const { out, lse } = await forward(p);
    expect(Array.from(out.slice(0, 4))).toEqual([Number.NaN, Number.NaN, Number.NaN, Number.NaN]);
    expect(lse[0]).toBeNaN();
    expect(out.slice(4).every(Number.isFinite)).toBe(true);
  });

  it('refuses ranges outside the positions when it runs, and wrong shapes and dtypes at the call', async () => {
    const s = { rows: 2, positions: 4, heads: 1, headDim: 2 };
    const good = { ...randomProblem(s, true, 1), starts: [0, 0], ends: [4, 4] };
    await expect(forward({ ...good, starts: [0, -1] })).rejects.toThrow(
      'starts: expected 0 to positions = 4 in row 1, got -1',
    );
    await expect(forward({ ...good, ends: [5, 4] })).rejects.toThrow(
      'ends: expected 0 to positions = 4 in row 0, got 5',
    );
    const t = handles(good);
    expect(() => native.attentionForward(t.qkv.view([2, 4, 6], 0), t.starts, t.ends, true)).toThrow(
      'qkv: expected [*, *, 3, *, *], got [2, 4, 6]',
    );
    expect(() => native.attentionForward(t.qkv, t.starts.view([1], 0), t.ends, true)).toThrow(ShapeError);
    expect(() => native.attentionForward(t.qkv, t.qkv, t.ends, true)).toThrow(DTypeError);
    const [out, lse] = native.attentionForward(t.qkv, t.starts, t.ends, true);
    expect(() => native.attentionBackward(t.qkv, t.starts, t.ends, true, lse, lse, out)).toThrow(/^out: expected/);
    t.ends.dispose();
    expect(() => native.attentionForward(t.qkv, t.starts, t.ends, true)).toThrow(ValueError);
  });
});

describe('attentionBackward', () => {
  it.each(named)('agrees with the float64 gradient at %s', async (_, s, causal) => {
    const p = randomProblem(s, causal, 100 + s.positions);
    const gradOut = randomFloats(new Random(5), s.rows * s.positions * s.heads * s.headDim);
    const got = await backward(p, gradOut);
    expect(largestError(got, attentionGradient(p, gradOut))).toBeLessThan(4e-6);
  });

  it('is the derivative of the forward pass: central differences of the float64 reference', async () => {
    for (const causal of [true, false]) {
      const p = {
        ...randomProblem({ rows: 2, positions: 5, heads: 2, headDim: 3 }, causal, 21),
        starts: [0, 2],
        ends: [5, 4],
      };
      const gradOut = randomFloats(new Random(6), 2 * 5 * 6);
      const got = await backward(p, gradOut);
      const step = 1e-5;
      const loss = (qkv: Float64Array) =>
        attentionReference({ ...p, qkv }).out.reduce((sum, x, i) => sum + x * gradOut[i]!, 0);
      const numeric = got.map((_, i) => {
        const moved = Float64Array.from(p.qkv);
        moved[i]! += step;
        const up = loss(moved);
        moved[i]! -= 2 * step;
        return (up - loss(moved)) / (2 * step);
      });
      expect(largestError(got, numeric)).toBeLessThan(2e-6);
      expect(numeric.some((x) => Math.abs(x) > 0.1)).toBe(true);
    }
  });

  it('is 0 where there is nothing to differentiate', async () => {
    const s = { rows: 3, positions: 11, heads: 2, headDim: 9 };
    const p = { ...randomProblem(s, true, 8), starts: [3, 11, 6], ends: [8, 11, 2] };
    const got = await backward(p, randomFloats(new Random(7), 3 * 11 * 18));
    for (let r = 0; r < 3; r++) {
      for (let i = 0; i < 11; i++) {
        const at = (r * 11 + i) * 54;
        const used = (part: number) => got.slice(at + part * 18, at + (part + 1) * 18).some((x) => x !== 0);
        // The query of the first key has one key only: no gradient but rounding.
        if (i !== 3) expect(used(0)).toBe(r === 0 && i > 3);
        expect(used(2)).toBe(r === 0 && i >= 3 && i < 8);
        if (!used(2)) expect(used(1)).toBe(false);
      }
    }
  });

  it('does not depend on the batch or the threads, bit for bit', async () => {
    const s = { rows: 6, positions: 61, heads: 3, headDim: 8 };
    const p = randomProblem(s, true, 31);
    const gradOut = randomFloats(new Random(9), 6 * 61 * 24);
    native.threads(1);
    const one = await backward(p, gradOut);
    native.threads(threads);
    expect(sameBits(await backward(p, gradOut), one)).toBe(true);
    const perRow = 61 * 72;
    const alone = await backward(
      { ...p, rows: 1, qkv: p.qkv.slice(2 * perRow, 3 * perRow), starts: [p.starts[2]!], ends: [p.ends[2]!] },
      gradOut.slice(2 * 61 * 24, 3 * 61 * 24),
    );
    expect(sameBits(alone, one.slice(2 * perRow, 3 * perRow))).toBe(true);
  });
});
