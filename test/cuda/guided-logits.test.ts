import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { type Device, device } from '../../lib/tensor/device.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { expectAgreement, placed } from '../support/both-devices.ts';
import { BUILD_TIMEOUT, ORDERS, setOrder, useEmulatedDevice } from '../support/emulated-device.ts';
import { randomFloats, sameBits } from '../support/random-data.ts';

let cpu: Device;
let cuda: Device;
beforeAll(async () => {
  useEmulatedDevice();
  [cpu, cuda] = await Promise.all([device('cpu'), device('cuda')]);
}, BUILD_TIMEOUT);
afterEach(() => setOrder('forward'));

interface Case {
  cond: Float32Array;
  uncond: Float32Array;
  scale: number | Float32Array;
  shape: [rows: number, vocab: number];
}

function randomCase(rows: number, vocab: number, scale?: number): Case {
  const random = new Random(rows * 100_003 + vocab);
  const [cond, uncond] = [randomFloats(random, rows * vocab, 20), randomFloats(random, rows * vocab, 20)];
  for (let i = 0; i < cond.length; i += 11) cond[i] = Number.NEGATIVE_INFINITY;
  for (let i = 5; i < cond.length; i += 13) uncond[i] = Number.NEGATIVE_INFINITY;
  return { cond, uncond, scale: scale ?? randomFloats(random, rows, 4), shape: [rows, vocab] };
}

async function run(on: Device, { cond, uncond, scale, shape }: Case): Promise<Float32Array> {
  const given = typeof scale === 'number' ? scale : Tensor.from(scale, [shape[0]], on).handle;
  const out = native.guidedLogits(Tensor.from(cond, shape, on).handle, Tensor.from(uncond, shape, on).handle, given);
  return (await out.read()) as Float32Array;
}

const SHAPES: [number, number][] = [
  [1, 1],
  [3, 7],
  [2, 16],
  [5, 33],
  [3, 1028],
  [2, 4096],
  [2, 4099],
  [1, 12_289],
  [3, 8_193],
  [700, 13],
];

describe('guided logits on the emulated CUDA device', () => {
  it.each(SHAPES)('equal those of the CPU up to one rounding: [%i, %i]', async (rows, vocab) => {
    for (const scale of [undefined, 3, -0.5]) {
      const given = randomCase(rows, vocab, scale);
      const [expected, actual] = [await run(cpu, given), await run(cuda, given)];
      let worst = 0; // error in units of the rounding of what is added up
      for (let i = 0; i < expected.length; i++) {
        if (expected[i] === actual[i]) continue;
        const gamma = Math.abs(typeof given.scale === 'number' ? given.scale : given.scale[Math.floor(i / vocab)]!);
        const size = Math.abs(given.uncond[i]!) + gamma * Math.abs(given.cond[i]! - given.uncond[i]!);
        const error = Math.abs(actual[i]! - expected[i]!) / (2 ** -23 * size);
        if (!(error <= worst)) worst = error; // NaN, too, where only one of them is −∞
      }
      expect(worst).toBeLessThanOrEqual(1);
    }
  });

  it('are the inputs, bit for bit, at scales 0 and 1', async () => {
    const given = randomCase(3, 17);
    for (let i = 0; i < given.cond.length; i++) {
      if (given.cond[i] === Number.NEGATIVE_INFINITY) given.uncond[i] = Number.NEGATIVE_INFINITY;
      if (given.uncond[i] === Number.NEGATIVE_INFINITY) given.cond[i] = Number.NEGATIVE_INFINITY;
    }
    expect(sameBits(await run(cuda, { ...given, scale: 0 }), given.uncond)).toBe(true);
    expect(sameBits(await run(cuda, { ...given, scale: 1 }), given.cond)).toBe(true);
  });

  it('do not depend on the order of the threads', async () => {
    const given = randomCase(5, 1027);
    const results: Float32Array[] = [];
    for (const order of ORDERS) {
      setOrder(order);
      results.push(await run(cuda, given));
    }
    expect(results.every((result) => sameBits(result, results[0]!))).toBe(true);
  });

  it('read rows that are not aligned to 16 bytes', async () => {
    const { cond, uncond } = randomCase(1, 3 * 8 + 1);
    const view = (data: Float32Array, on: Device) => Tensor.from(data, [data.length], on).handle.view([3, 8], 1);
    const results = [];
    for (const on of [cpu, cuda]) results.push(await native.guidedLogits(view(cond, on), view(uncond, on), 1).read());
    expect(results[1]).toEqual(results[0]);
  });

  it.each(SHAPES)('agree with the CPU in bfloat16, from any place in memory: [%i, %i]', async (rows, vocab) => {
    for (const scale of [undefined, 3, 0, 1])
      for (const skew of [0, 3]) {
        const given = randomCase(rows, vocab, scale);
        const tensor = (on: Device, data: Float32Array) => placed(on, data, given.shape, { dtype: 'bfloat16', skew });
        const run = (on: Device) => [
          native.guidedLogits(
            tensor(on, given.cond),
            tensor(on, given.uncond),
            typeof given.scale === 'number' ? given.scale : Tensor.from(given.scale, [rows], on).handle,
          ),
        ];
        await expectAgreement(run, { cpu, cuda }, 1 / 200);
      }
  });

  it('name row and token also where all rows are worked on as one', async () => {
    const cond = new Float32Array(600 * 7);
    cond[431 * 7 + 5] = Number.NaN;
    cond[500 * 7] = Number.NaN;
    const given = { cond, uncond: new Float32Array(600 * 7), scale: 2, shape: [600, 7] as [number, number] };
    await expect(run(cuda, given)).rejects.toThrow('cond: expected a finite logit or -Infinity at [431, 5], got NaN');
  });

  it('are empty for no rows', async () => {
    const none = new Float32Array();
    expect(await run(cuda, { cond: none, uncond: none, scale: 2, shape: [0, 4] })).toHaveLength(0);
  });
});
