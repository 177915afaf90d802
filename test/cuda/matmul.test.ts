import { beforeAll, describe, expect, it } from 'vitest';
import type { NativeTensor } from '../../lib/native.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import type { Device } from '../../lib/tensor/device.ts';
import { bothDevices, expectAgreement, placed } from '../support/both-devices.ts';
import { BUILD_TIMEOUT } from '../support/emulated-device.ts';
import { randomFloats } from '../support/random-data.ts';

let devices: { cpu: Device; cuda: Device };
beforeAll(async () => {
  devices = await bothDevices();
}, BUILD_TIMEOUT);

type Size = readonly [m: number, n: number, k: number];
interface Product {
  dtype?: 'float32' | 'bfloat16';
  transposeA?: boolean;
  transposeB?: boolean;
  bias?: boolean;
  into?: boolean;
  floatOut?: boolean;
  /** How far a, b, bias and into begin from an aligned address, in elements. */
  skews?: readonly [number, number, number, number];
}

/** Random operands, the same on every device. */
function product([m, n, k]: Size, options: Product): (on: Device) => [NativeTensor] {
  const { dtype = 'float32', transposeA = false, transposeB = false, floatOut = false, skews = [0, 0, 0, 0] } = options;
  const random = new Random(m * 1009 + n * 13 + k);
  const [a, b, bias, into] = [m * k, k * n, n, m * n].map((count) => randomFloats(random, count)) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  return (on) => {
    const left = placed(on, a, transposeA ? [k, m] : [m, k], { dtype, skew: skews[0] });
    const right = placed(on, b, transposeB ? [n, k] : [k, n], { dtype, skew: skews[1] });
    const added = options.bias ? placed(on, bias, [n], { skew: skews[2] }) : null;
    const result = floatOut ? 'float32' : dtype;
    const target = options.into ? placed(on, into, [m, n], { dtype: result, skew: skews[3] }) : null;
    return [native.matmul(left, right, transposeA, transposeB, added, target, floatOut)];
  };
}

/** Rounding of a chain of k multiply-adds relative to the size of the results, which grows as √k; and of the output. */
const tolerance = ([, , k]: Size, { dtype = 'float32', floatOut = false }: Product) =>
  Math.sqrt(k + 1) * 2 ** -22 + (dtype === 'bfloat16' && !floatOut ? 2 ** -8 : 0);
const agree = (size: Size, options: Product) =>
  expectAgreement(product(size, options), devices, tolerance(size, options));

const LAYOUTS = [
  [false, false],
  [true, false],
  [false, true],
  [true, true],
] as const;
const KINDS: Product[] = [{}, { dtype: 'bfloat16' }, { dtype: 'bfloat16', floatOut: true }];

describe.each(KINDS)('a product on the emulated CUDA device, %o', (kind) => {
  it.each([
    [1, 1, 1],
    [1, 37, 65],
    [2, 130, 33],
    [3, 16, 520],
    [4, 264, 40],
    [5, 7, 9],
    [9, 64, 16],
    [64, 64, 48],
    [65, 67, 70],
  ] as Size[])('is that of the CPU: [m, n, k] = [%i, %i, %i]', async (...size) => {
    for (const [transposeA, transposeB] of LAYOUTS)
      await agree(size, { ...kind, transposeA, transposeB, bias: !transposeA, into: transposeB });
  });

  it.each(LAYOUTS)('reads operands at any address, transposed %s and %s', async (transposeA, transposeB) => {
    for (const [m, n, k] of [
      [70, 72, 40],
      [1, 72, 40],
    ] as Size[]) {
      for (const skews of [
        [1, 0, 0, 0],
        [0, 3, 0, 0],
        [0, 0, 1, 1],
        [1, 1, 3, 2],
      ] as const)
        await agree([m, n, k], { ...kind, transposeA, transposeB, bias: true, into: true, skews });
    }
  });

  it('adds to the bias, or to what is there', async () => {
    for (const size of [
      [1, 33, 70],
      [20, 33, 70],
    ] as Size[]) {
      await agree(size, { ...kind, bias: true });
      await agree(size, { ...kind, into: true });
    }
  });

  it('is its base where k is 0, and empty where m or n is', async () => {
    for (const size of [
      [1, 5, 0],
      [70, 5, 0],
      [0, 5, 3],
      [5, 0, 3],
    ] as Size[]) {
      await agree(size, kind);
      await agree(size, { ...kind, bias: true, into: true });
    }
  });

  it.each(LAYOUTS)('comes in large tiles where the result is large, transposed %s and %s', async (...transposed) => {
    const [transposeA, transposeB] = transposed;
    await agree([131, 101, 37], { ...kind, transposeA, transposeB, bias: true });
    await agree([40, 136, 72], { ...kind, transposeA, transposeB, into: true });
  });

  it('lets NaN and infinities through to their rows and columns only', async () => {
    const { dtype = 'float32', floatOut = false } = kind;
    for (const m of [1, 20]) {
      const a = new Float32Array(m * 40).fill(1);
      const b = new Float32Array(40 * 33).fill(1);
      a[(m - 1) * 40 + 39] = Number.NaN;
      b[39 * 33 + 32] = Number.NEGATIVE_INFINITY;
      const run = (on: Device) => [
        native.matmul(placed(on, a, [m, 40], { dtype: 'float32' }), placed(on, b, [40, 33]), false, false, null, null),
      ];
      const cast = (on: Device) => {
        const bits = (x: Float32Array) => Uint16Array.from(new Uint32Array(x.buffer), (word) => word >>> 16);
        const [left, right] = [
          native.createTensor(on.id, 'bfloat16', [m, 40], bits(a)),
          native.createTensor(on.id, 'bfloat16', [40, 33], bits(b)),
        ];
        return [native.matmul(left, right, false, false, null, null, floatOut)];
      };
      await expectAgreement(dtype === 'float32' ? run : cast, devices, 0);
    }
  });
});

it('refuses operands of two types on either device', () => {
  for (const on of [devices.cpu, devices.cuda]) {
    const [a, b] = [
      placed(on, new Float32Array(4), [2, 2]),
      placed(on, new Float32Array(4), [2, 2], { dtype: 'bfloat16' }),
    ];
    expect(() => native.matmul(a, b, false, false, null, null)).toThrow(/^b: expected float32/);
    expect(() => native.matmul(b, b, false, false, null, a)).toThrow(/^into: expected bfloat16/);
    expect(() => native.matmul(b, b, false, false, null, b, true)).toThrow(/^into: expected float32/);
  }
});
