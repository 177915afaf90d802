import { beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../lib/tensor/device.ts';
import { type Case, gradientTolerance, other, own, run, tolerance } from '../support/attention-cases.ts';
import { bothDevices, expectAgreement } from '../support/both-devices.ts';
import { BUILD_TIMEOUT } from '../support/emulated-device.ts';

let devices: { cpu: Device; cuda: Device };
beforeAll(async () => {
  process.env.CFGDISTILL_EMULATION_SHARED = String(99 << 10); // what compute capability 8.6 gives, the least of all
  devices = await bothDevices();
}, BUILD_TIMEOUT);

const named = (cases: readonly Case[]) =>
  cases.map((c) => {
    const kind = c.self ? (c.causal ? 'causal' : 'self') : 'cross';
    return [`${c.dtype} ${kind} [${c.rows}, ${c.queries} × ${c.keys}, ${c.heads}, ${c.headDim}]`, c] as const;
  });

const cases: Case[] = [
  own(1, 1, 1, 1, 'float32', true),
  own(3, 7, 2, 5, 'float32', true),
  own(2, 33, 2, 16, 'float32', false),
  own(1, 65, 1, 32, 'float32', true),
  own(1, 70, 1, 64, 'float32', true),
  own(1, 35, 1, 100, 'float32', false),
  own(1, 37, 1, 130, 'float32', true),
  own(2, 7, 2, 5, 'bfloat16', true),
  own(2, 33, 1, 24, 'bfloat16', false),
  own(1, 70, 1, 40, 'bfloat16', true),
  own(1, 9, 1, 192, 'bfloat16', true),
  other(3, 1, 45, 2, 8, 'float32'),
  other(2, 70, 3, 1, 33, 'float32'),
  other(2, 5, 0, 1, 4, 'float32'),
  own(1, 67, 2, 32, 'bfloat16', false),
  own(1, 65, 1, 100, 'bfloat16', true),
  own(1, 19, 1, 128, 'bfloat16', false),
  other(2, 5, 37, 1, 12, 'bfloat16'),
  other(2, 5, 70, 1, 64, 'bfloat16'),
  other(2, 70, 2, 2, 16, 'bfloat16'),
];

describe('attention on the emulated CUDA device', () => {
  it.each(named(cases))('is that of the CPU: %s', async (_, c) => {
    await expectAgreement((on) => run(on, c, false), devices, tolerance(c.dtype));
  });

  it.each(named(cases))('has the gradients of the CPU: %s', async (_, c) => {
    await expectAgreement((on) => run(on, c, true), devices, gradientTolerance(c.dtype));
  });

  it('reads and writes tensors that are aligned to nothing', async () => {
    for (const dtype of ['float32', 'bfloat16'] as const) {
      for (const c of [own(2, 9, 2, 8, dtype, true), other(2, 3, 9, 1, 16, dtype)])
        await expectAgreement((on) => run(on, { ...c, skew: 1 }, true), devices, gradientTolerance(dtype));
    }
  });

  it('has nothing to do without rows or queries, and refuses wide heads', async () => {
    await expectAgreement((on) => run(on, other(0, 3, 4, 1, 8, 'float32'), true), devices, 0);
    await expectAgreement((on) => run(on, other(2, 0, 4, 1, 8, 'float32'), true), devices, 0);
    const [out] = run(devices.cuda, own(1, 2, 1, 257, 'float32', true), false);
    await expect(out!.read()).rejects.toThrow('head_dim: expected at most 256 on CUDA, got 257');
  });

  it('finds the same faults in the same words', async () => {
    const sound = { ...own(3, 5, 2, 4, 'float32', true), starts: [0, 0, 0], ends: [5, 5, 5] };
    for (const wrong of [
      { starts: [0, -1, 7] },
      { starts: [0, 6, -1] },
      { ends: [5, 5, 6] },
      { ends: [-3, 5, 6] },
      { starts: [0, 0, -(2 ** 31)], ends: [5, 5, -1] },
      { ends: [5, 2 ** 31 - 1, 0] },
    ]) {
      const messages = [];
      for (const on of [devices.cpu, devices.cuda]) {
        const [out] = run(on, { ...sound, ...wrong }, false);
        messages.push(await out!.read().then(String, (error: Error) => `${error.name}: ${error.message}`));
      }
      expect(messages[0]).toMatch(/(starts|ends): expected 0 to positions = 5 in row/);
      expect(messages[1]).toBe(messages[0]);
    }
  });
});
