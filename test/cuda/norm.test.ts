import { beforeAll, describe, expect, it } from 'vitest';
import { type DType, type NativeTensor, native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import type { Device } from '../../lib/tensor/device.ts';
import { bothDevices, expectAgreement, placed } from '../support/both-devices.ts';
import { BUILD_TIMEOUT } from '../support/emulated-device.ts';
import { randomFloats } from '../support/random-data.ts';

let devices: { cpu: Device; cuda: Device };
beforeAll(async () => {
  devices = await bothDevices();
}, BUILD_TIMEOUT);

interface Case {
  rows: number;
  n: number;
  dtype?: DType; // default float32
  skew?: number;
}

/** Odd sizes, a row in the registers of a warp, of a block, and beyond; more rows than a chunk of the backward has. */
const CASES: Case[] = [
  { rows: 1, n: 1 },
  { rows: 3, n: 7 },
  { rows: 0, n: 5 },
  { rows: 11, n: 8 },
  { rows: 9, n: 64 },
  { rows: 2, n: 1037 },
  { rows: 9, n: 100 },
  { rows: 1, n: 1024 },
  { rows: 2, n: 1032 },
  { rows: 37, n: 12 },
  { rows: 3, n: 64, skew: 1 },
];
const both = (cases: Case[]) => cases.flatMap((c) => [c, { ...c, dtype: 'bfloat16' as const }]);
/** More than the registers of a block. */
const LONG: Case = { rows: 1, n: 8200 };

function inputs({ rows, n, dtype = 'float32', skew = 0 }: Case, offset = 0) {
  const random = new Random(rows * 1000 + n);
  const x = randomFloats(random, rows * n, 2).map((v) => v + offset);
  const gradY = randomFloats(random, rows * n);
  const gain = randomFloats(random, n).map((v) => v + 1.5);
  const bias = randomFloats(random, n);
  return (on: Device) => ({
    x: placed(on, x, [rows, n], { dtype, skew }),
    gradY: placed(on, gradY, [rows, n], { dtype, skew }),
    gain: placed(on, gain, [n], { skew }),
    bias: placed(on, bias, [n], { skew }),
  });
}

/** Rounding of float32 for sums of some hundred terms; bfloat16 results are rounded once more, at 2⁻⁹. */
const tolerance = ({ dtype }: Case) => (dtype === 'bfloat16' ? 1 / 256 : 2e-6);
const present = (tensors: readonly (NativeTensor | null)[]) => tensors.filter((t) => t !== null);

describe('norms on the emulated CUDA device', () => {
  it.each([...both(CASES), LONG])('layer norm equals the CPU: $rows × $n, $dtype', async (given) => {
    const make = inputs(given);
    await expectAgreement(
      (on) => {
        const { x, gain, bias } = make(on);
        return [...native.layerNormForward(x, gain, bias, 1e-5), ...native.layerNormForward(x, gain, null, 1e-5)];
      },
      devices,
      tolerance(given),
    );
    // Statistics of the CPU on both, so that what is compared is the backward alone.
    const host = make(devices.cpu);
    const statistics = native.layerNormForward(host.x, host.gain, null, 1e-5).slice(1) as NativeTensor[];
    const [mean, inverse] = (await Promise.all(statistics.map((t) => t.read()))) as [Float32Array, Float32Array];
    await expectAgreement(
      (on) => {
        const { x, gradY, gain } = make(on);
        const M = placed(on, mean, [given.rows]);
        const I = placed(on, inverse, [given.rows]);
        const [gradX, ...sums] = native.layerNormBackward(gradY, x, gain, M, I, true);
        const all = [...sums, ...native.layerNormBackward(gradY, x, gain, M, I, false).slice(1)];
        // Of a row of one element the terms cancel, and what is left is their rounding.
        return present(given.n === 1 ? all : [gradX, ...all]);
      },
      devices,
      tolerance(given),
    );
  });

  it.each([...both(CASES), { ...LONG, dtype: 'bfloat16' as const }])(
    'RMS norm equals the CPU: $rows × $n, $dtype',
    async (given) => {
      const make = inputs(given);
      await expectAgreement(
        (on) => {
          const { x, gradY, gain } = make(on);
          const [y, inverse] = native.rmsNormForward(x, gain, 1e-5);
          const [gradX, gradGain] = native.rmsNormBackward(gradY, x, gain, inverse);
          return given.n === 1 ? [y, inverse, gradGain] : [y, inverse, gradX, gradGain];
        },
        devices,
        tolerance(given),
      );
    },
  );

  it.each(CASES)('L2 normalisation equals the CPU: $rows × $n', async (given) => {
    const make = inputs(given);
    await expectAgreement(
      (on) => {
        const { x, gradY } = make(on);
        const [y, inverse] = native.l2NormalizeForward(x);
        return [y, inverse, native.l2NormalizeBackward(gradY, y, inverse)];
      },
      devices,
      1e-6,
    );
  });

  it.each([4, 5])('L2 normalisation at the ends of float32 and of zero rows: 5 × %i', async (n) => {
    const sizes = [0, 3e38, 1e-30, 4e-39, 1e-45];
    const x = Float32Array.from({ length: sizes.length * n }, (_, i) => sizes[Math.floor(i / n)]! * (1 - (i % 3) / 4));
    await expectAgreement((on) => [...native.l2NormalizeForward(placed(on, x, [sizes.length, n]))], devices, 1e-6);
  });

  it.each([40, 41])('layer norm holds for rows far from zero: %i', async (n) => {
    const make = inputs({ rows: 6, n }, 1000);
    // The mean is rounded to float32, an absolute error of 6e-5, beside a deviation of about 1.
    await expectAgreement(
      (on) => {
        const { x, gain } = make(on);
        return [native.layerNormForward(x, gain, null, 1e-5)[0]];
      },
      devices,
      1e-4,
    );
  });

  it('backward of no rows gives zero gradients of gain and bias', async () => {
    const none = (shape: number[]) => native.createTensor('cuda:0', 'float32', shape);
    const gain = placed(devices.cuda, Float32Array.of(1, 2, 3), [3]);
    const [, gradGain, gradBias] = native.layerNormBackward(
      none([0, 3]),
      none([0, 3]),
      gain,
      none([0]),
      none([0]),
      true,
    );
    for (const tensor of [gradGain, gradBias]) expect([...(await tensor!.read())]).toEqual([0, 0, 0]);
  });

  it('refuses elements of another type', () => {
    for (const on of [devices.cpu, devices.cuda]) {
      const { x, gain } = inputs({ rows: 2, n: 3, dtype: 'bfloat16' })(on);
      const { gradY, bias } = inputs({ rows: 2, n: 3 })(on);
      const inverse = placed(on, Float32Array.of(1, 1), [2]);
      expect(() => native.rmsNormBackward(gradY, x, gain, inverse)).toThrow('gradY: expected bfloat16, got float32');
      expect(() =>
        native.rmsNormForward(gradY, placed(on, new Float32Array(3), [3], { dtype: 'bfloat16' }), 1),
      ).toThrow('gain: expected float32, got bfloat16');
      expect(() => native.l2NormalizeForward(x)).toThrow('x: expected float32, got bfloat16');
      expect(() => native.layerNormForward(x, gain, bias, 0)).toThrow('epsilon: expected more than 0');
    }
  });
});
