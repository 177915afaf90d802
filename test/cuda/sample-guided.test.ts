import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DType } from '../../lib/native.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { type Device, device } from '../../lib/tensor/device.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { placed } from '../support/both-devices.ts';
import { BUILD_TIMEOUT, ORDERS, setOrder, useEmulatedDevice } from '../support/emulated-device.ts';
import { drawDistribution, guide } from '../support/guidance-reference.ts';
import { randomFloats, sameBits } from '../support/random-data.ts';

let cpu: Device;
let cuda: Device;
beforeAll(async () => {
  useEmulatedDevice();
  [cpu, cuda] = await Promise.all([device('cpu'), device('cuda')]);
}, BUILD_TIMEOUT);
afterEach(() => setOrder('forward'));

interface Draw {
  cond: Float32Array;
  uncond: Float32Array | null;
  shape: [rows: number, vocab: number];
  scale?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  seed?: number;
  offset?: number | Int32Array;
  dtype?: DType;
}

async function run(on: Device, draw: Draw): Promise<{ tokens: Int32Array; logProbs: Float32Array }> {
  const { cond, uncond, shape, scale = 2, temperature = 1, topK, topP, seed = 7, offset = 0, dtype = 'float32' } = draw;
  const [tokens, logProbs] = native.sampleGuided(
    placed(on, cond, shape, { dtype }),
    uncond && placed(on, uncond, shape, { dtype }),
    scale,
    temperature,
    topK,
    topP,
    seed,
    typeof offset === 'number' ? offset : Tensor.from(offset, [shape[0]], on).handle,
  );
  return { tokens: (await tokens.read()) as Int32Array, logProbs: (await logProbs.read()) as Float32Array };
}

async function expectSame(draw: Draw): Promise<void> {
  const [expected, actual] = [await run(cpu, draw), await run(cuda, draw)];
  expect(Array.from(actual.tokens)).toEqual(Array.from(expected.tokens));
  for (let r = 0; r < draw.shape[0]; r++) {
    // The weights of both devices carry rounding errors of a few units in the last place of float32.
    const tolerance = 2e-6 * (1 + Math.abs(expected.logProbs[r]!));
    expect(Math.abs(actual.logProbs[r]! - expected.logProbs[r]!)).toBeLessThanOrEqual(tolerance);
  }
}

function randomDraw(rows: number, vocab: number, scale = 4): Draw {
  const random = new Random(rows * 100_003 + vocab);
  const [cond, uncond] = [randomFloats(random, rows * vocab, scale), randomFloats(random, rows * vocab, scale)];
  for (let i = 3; vocab > 1 && i < cond.length; i += 7) cond[i] = Number.NEGATIVE_INFINITY;
  return { cond, uncond, shape: [rows, vocab] };
}

const OPTIONS: Partial<Draw>[] = [
  {},
  { temperature: 0 },
  { temperature: 0.5 },
  { temperature: 3 },
  { topK: 1 },
  { topK: 5 },
  { topK: 2 ** 31 - 1 },
  { topP: 1e-9 },
  { topP: 0.5 },
  { topP: 0.999 },
  { topK: 40, topP: 0.8, temperature: 0.7 },
];

describe('drawing on the emulated CUDA device', () => {
  it.each([
    [9, 1],
    [9, 2],
    [7, 7],
    [5, 17],
    [5, 33],
    [4, 129],
    [2, 1025],
  ])('equals the CPU for every option: [%i, %i]', async (rows, vocab) => {
    for (const options of OPTIONS) {
      await expectSame({ ...randomDraw(rows, vocab), ...options });
      await expectSame({ ...randomDraw(rows, vocab), ...options, uncond: null });
    }
  });

  it.each([
    ['more shared memory than kernels get unasked', 9001],
    ['more than a device has', 12_003],
  ])('equals the CPU for rows that need %s', async (_, vocab) => {
    await expectSame({ ...randomDraw(2, vocab), topK: 3000, topP: 0.95 });
    await expectSame({ ...randomDraw(2, vocab), temperature: 1.3 });
  });

  it.each([
    [5, 33],
    [2, 1040],
  ])('equals the CPU for bfloat16, which has many ties: [%i, %i]', async (rows, vocab) => {
    for (const options of OPTIONS) {
      await expectSame({ ...randomDraw(rows, vocab), ...options, dtype: 'bfloat16' });
      await expectSame({ ...randomDraw(rows, vocab), ...options, uncond: null, dtype: 'bfloat16' });
    }
  });

  it('finds the places of many rows of any length', async () => {
    for (const vocab of [31, 32, 127, 128, 130, 1023, 1024, 1026, 2500]) {
      await expectSame({ ...randomDraw(6, vocab), temperature: 2 });
      await expectSame({ ...randomDraw(6, vocab), topK: Math.ceil(vocab / 3), topP: 0.7 });
    }
  });

  it('keeps lower tokens among equal logits', async () => {
    const random = new Random(3);
    const cond = randomFloats(random, 8 * 61, 3).map(Math.round);
    for (const options of OPTIONS) await expectSame({ cond, uncond: null, shape: [8, 61], ...options });
    // Ten equal tokens: any three of them have the mass asked for, and the first three must be it.
    const flat = { cond: new Float32Array(640), uncond: null, shape: [64, 10] as [number, number] };
    for (const options of [{ topK: 3 }, { topP: 0.3 }, { topK: 5, topP: 0.6 }]) {
      const { tokens, logProbs } = await run(cuda, { ...flat, ...options });
      expect(new Set(tokens)).toEqual(new Set([0, 1, 2]));
      for (const logProb of logProbs) expect(logProb).toBeCloseTo(-Math.log(3), 6);
    }
  });

  it('gives the log-probability of the exact distribution', async () => {
    const draw = { ...randomDraw(40, 23), topK: 9, topP: 0.9, temperature: 0.8 };
    const { tokens, logProbs } = await run(cuda, draw);
    for (let r = 0; r < 40; r++) {
      const row = (x: Float32Array) => x.subarray(r * 23, (r + 1) * 23);
      const exact = drawDistribution(guide(row(draw.cond), row(draw.uncond!), 2), draw);
      expect(logProbs[r]).toBeCloseTo(Math.log(exact[tokens[r]!]!), 5);
    }
  });

  it('draws from any counter', async () => {
    const draw = randomDraw(6, 33);
    await expectSame({ ...draw, offset: 2 ** 53 - 10 });
    await expectSame({ ...draw, offset: Int32Array.of(5, 0, 2 ** 31 - 1, 5, 1, 9), seed: 2 ** 53 - 1 });
  });

  it('stands logits and temperatures at the ends of float32', async () => {
    const cond = Float32Array.of(1e4, -1e4, 0, 3e38, 3e38, -3e38, 0, 0, 0, 1e-40, -1e-40, 0);
    for (const temperature of [1e-45, 1e-30, 1, 1e30]) {
      await expectSame({ cond, uncond: null, shape: [4, 3], temperature });
      await expectSame({ cond, uncond: cond, shape: [4, 3], temperature, scale: 1, topP: 0.5 });
    }
  });

  it('does not depend on the order of the threads', async () => {
    for (const vocab of [37, 1100]) {
      const results = [];
      for (const order of ORDERS) {
        setOrder(order);
        results.push(await run(cuda, { ...randomDraw(3, vocab), topK: 30, topP: 0.9 }));
      }
      for (const { tokens, logProbs } of results) {
        expect(tokens).toEqual(results[0]!.tokens);
        expect(sameBits(logProbs, results[0]!.logProbs)).toBe(true);
      }
    }
  });
});
