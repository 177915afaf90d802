import { beforeAll, describe, expect, it } from 'vitest';
import type { Activation } from '../../lib/native.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import type { Device } from '../../lib/tensor/device.ts';
import { bothDevices, expectAgreement, numbersOf, placed } from '../support/both-devices.ts';
import { BUILD_TIMEOUT } from '../support/emulated-device.ts';
import { randomFloats } from '../support/random-data.ts';

let devices: { cpu: Device; cuda: Device };
beforeAll(async () => {
  devices = await bothDevices();
}, BUILD_TIMEOUT);

const KINDS: Activation[] = ['gelu', 'gelu-tanh', 'silu'];
// Both devices are within 1e-6 of the formula; in bfloat16 they may round to neighbours.
const TYPES = [
  ['float32', 1e-6],
  ['bfloat16', 2 ** -8],
] as const;
const random = (n: number, scale = 5) => randomFloats(new Random(n), n, scale);

describe('activations on the emulated CUDA device', () => {
  it.each(KINDS.flatMap((kind) => TYPES.map(([dtype, tolerance]) => [kind, dtype, tolerance] as const)))(
    '%s equals the CPU in %s, forward and backward',
    async (kind, dtype, tolerance) => {
      for (const n of [0, 1, 5, 129, 1031, 4100]) {
        for (const skew of n > 2000 ? [0] : [0, 1]) {
          const run = (on: Device) => {
            const x = placed(on, random(n), [n], { dtype, skew });
            const gradY = placed(on, random(n + 1, 1).subarray(1), [n], { dtype, skew: 3 * skew });
            return [native.activationForward(kind, x), native.activationBackward(kind, x, gradY)];
          };
          await expectAgreement(run, devices, tolerance);
        }
      }
    },
  );

  it.each(KINDS.flatMap((kind) => TYPES.map(([dtype, tolerance]) => [kind, dtype, tolerance] as const)))(
    'gated %s equals the CPU in %s, forward and backward',
    async (kind, dtype, tolerance) => {
      for (const [rows, n] of [
        [0, 4],
        [1, 1],
        [3, 5],
        [5, 8],
        [11, 40],
        [1, 1030],
        [2, 2056],
      ] as const) {
        for (const skew of n > 2000 ? [0] : [0, 1]) {
          const run = (on: Device) => {
            const x = placed(on, random(2 * rows * n), [rows, 2 * n], { dtype, skew });
            const gradY = placed(on, random(rows * n, 1), [rows, n], { dtype, skew });
            return [native.gatedForward(kind, x), native.gatedBackward(kind, x, gradY)];
          };
          await expectAgreement(run, devices, tolerance);
        }
      }
    },
  );

  it.each(KINDS)('%s keeps the relative accuracy of the CPU in the tails', async (kind) => {
    const n = 4001;
    const x = Float32Array.from({ length: n }, (_, i) => (i - 2000) / 160); // −12.5 … 12.5
    const values = async (on: Device) => {
      const y = native.activationForward(kind, placed(on, x, [n]));
      return numbersOf(y, await y.read());
    };
    const [expected, actual] = [await values(devices.cpu), await values(devices.cuda)];
    // gelu-tanh's argument of tanh is rounded, which the exponential magnifies (see the contract).
    for (const [i, value] of expected.entries()) {
      const u = Math.abs(1.5957691 * x[i]! + 0.071354816 * x[i]! ** 3);
      const tolerance = 1e-6 + (kind === 'gelu-tanh' ? 2e-7 * u : 0);
      expect(Math.abs(actual[i]! - value)).toBeLessThanOrEqual(tolerance * Math.abs(value) + 1e-36);
    }
  });

  it.each(KINDS)('%s of NaN is NaN; the largest numbers give themselves or 0', async (kind) => {
    const x = Float32Array.of(Number.NaN, 3e38, -3e38, 1e-40, 0);
    const read = async (on: Device) => {
      const given = placed(on, x, [5]);
      const ones = placed(on, new Float32Array(5).fill(1), [5]);
      return [native.activationForward(kind, given), native.activationBackward(kind, given, ones)];
    };
    const [value, slope] = await Promise.all(
      (await read(devices.cuda)).map(async (t) => Array.from((await t.read()) as Float32Array)),
    );
    expect(value![0]).toBeNaN();
    expect(slope![0]).toBeNaN();
    expect(value![1]).toBe(x[1]);
    expect(Math.abs(value![2]!)).toBe(0);
    expect(slope![2]).toBeCloseTo(0, 6);
    expect(slope![1]).toBeCloseTo(1, 6);
    expect(slope![3]).toBeCloseTo(0.5, 6);
  });
});
