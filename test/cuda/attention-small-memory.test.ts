import { beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../lib/tensor/device.ts';
import { gradientTolerance, own, run } from '../support/attention-cases.ts';
import { bothDevices, expectAgreement } from '../support/both-devices.ts';
import { BUILD_TIMEOUT } from '../support/emulated-device.ts';

let devices: { cpu: Device; cuda: Device };
beforeAll(async () => {
  devices = await bothDevices();
}, BUILD_TIMEOUT);

describe('attention where a block has little shared memory', () => {
  it('takes narrower tiles', async () => {
    const c = own(1, 37, 1, 64, 'float32', true);
    await expectAgreement((on) => run(on, c, true), devices, gradientTolerance(c.dtype));
  });

  it('fails with a reason where there are none', async () => {
    const [out] = run(devices.cuda, own(1, 3, 1, 128, 'float32', true), false);
    await expect(out!.read()).rejects.toThrow(
      /^a kernel needs \d+ bytes of shared memory, a block has at most \d+ here$/,
    );
  });
});
