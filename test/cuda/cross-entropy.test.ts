import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type DType, native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import type { Device } from '../../lib/tensor/device.ts';
import { bothDevices, expectAgreement, placed } from '../support/both-devices.ts';
import { BUILD_TIMEOUT, ORDERS, setOrder } from '../support/emulated-device.ts';
import { randomFloats } from '../support/random-data.ts';

let devices: { cpu: Device; cuda: Device };
beforeAll(async () => {
  devices = await bothDevices();
}, BUILD_TIMEOUT);
afterEach(() => setOrder('forward'));

interface Given {
  logits: Float32Array;
  targets: number[];
  weights?: number[] | Float32Array | null;
  factor?: number;
  dtype?: DType;
  skew?: number;
}

function run(on: Device, { logits, targets, weights = null, factor = 0.7, dtype = 'float32', skew = 0 }: Given) {
  const rows = targets.length;
  return native.crossEntropy(
    placed(on, logits, [rows, logits.length / rows], { dtype, skew }),
    placed(on, Int32Array.from(targets), [rows], { skew }),
    weights && placed(on, Float32Array.from(weights), [rows], { skew }),
    factor,
  );
}

function randomCase(rows: number, vocab: number): Given {
  const random = new Random(rows * 1000 + vocab);
  const logits = randomFloats(random, rows * vocab, 4);
  const targets = Array.from({ length: rows }, () => random.integer(vocab));
  for (let i = 0; i < logits.length; i += 5)
    if (i % vocab !== targets[Math.floor(i / vocab)]) logits[i] = Number.NEGATIVE_INFINITY;
  return { logits, targets };
}

const SHAPES: [number, number][] = [
  [1, 1],
  [5, 2],
  [4, 7],
  [3, 33],
  [2, 256],
  [3, 259],
  [1, 1031],
  [2, 4100],
];

describe('cross-entropy on the emulated CUDA device', () => {
  it.each(SHAPES)('equals the CPU: %i × %i', async (rows, vocab) => {
    for (const dtype of ['float32', 'bfloat16'] as const) {
      const tolerance = dtype === 'bfloat16' ? 1 / 256 : 2e-6;
      const given = { ...randomCase(rows, vocab), dtype };
      await expectAgreement((on) => run(on, given), devices, tolerance);
      const weights = randomFloats(new Random(vocab), rows);
      await expectAgreement((on) => run(on, { ...given, weights, factor: -2 }), devices, tolerance);
    }
  });

  it.each([
    ['more shared memory than kernels get unasked', 12_501],
    ['more than a device has', 14_003],
    ['more, with as many threads as a block can have', 16_390],
  ])('equals the CPU for rows that need %s', async (_, vocab) => {
    await expectAgreement((on) => run(on, randomCase(1, vocab)), devices, 2e-6);
  });

  it('equals the CPU in bfloat16 for rows beyond shared memory', async () => {
    await expectAgreement((on) => run(on, { ...randomCase(1, 28_001), dtype: 'bfloat16' }), devices, 1 / 256);
  });

  it.each([1, 3])('reads rows that begin anywhere: %i elements off', async (skew) => {
    for (const dtype of ['float32', 'bfloat16'] as const) {
      const tolerance = dtype === 'bfloat16' ? 1 / 256 : 2e-6;
      for (const [rows, vocab] of [
        [3, 40],
        [4, 41],
        [2, 3],
      ] as const)
        await expectAgreement((on) => run(on, { ...randomCase(rows, vocab), dtype, skew }), devices, tolerance);
    }
  });

  it('does not read a row with target -1, and gives a row of weight 0 its value and no gradient', async () => {
    for (const vocab of [5, 300]) {
      const given = randomCase(4, vocab);
      given.logits.fill(Number.NaN, vocab, 2 * vocab);
      given.targets[1] = -1;
      const weights = [1, 2, 0, 3];
      await expectAgreement((on) => run(on, { ...given, weights }), devices, 2e-6);
      const [, perRow, grad] = run(devices.cuda, { ...given, weights });
      expect([...(await grad.read()).subarray(vocab, 3 * vocab)].every((g) => Object.is(g, 0))).toBe(true);
      expect((await perRow.read())[1]).toBe(0);
    }
    await expectAgreement(
      (on) => run(on, { logits: new Float32Array(6).fill(Number.NaN), targets: [-1, -1] }),
      devices,
      0,
    );
  });

  it('takes extreme logits', async () => {
    const logits = Float32Array.of(1e4, -1e4, 1e4, -1e4, 3e38, -3e38, -3e38, 3e38);
    await expectAgreement((on) => run(on, { logits, targets: [0, 1, 0, 0], factor: 1 }), devices, 1e-6);
    const flat = new Float32Array(300).fill(-3.4028234663852886e38);
    await expectAgreement((on) => run(on, { logits: flat, targets: [7] }), devices, 1e-6);
  });

  it('gives zero for no rows', async () => {
    const on = devices.cuda;
    const [loss, perRow, grad] = native.crossEntropy(
      placed(on, new Float32Array(), [0, 3]),
      placed(on, new Int32Array(), [0]),
      null,
      1,
    );
    expect([...(await loss.read())]).toEqual([0]);
    expect([perRow.shape(), grad.shape()]).toEqual([[0], [0, 3]]);
  });

  it('reports the same fault as the CPU', async () => {
    const [nan, infinity] = [Number.NaN, Number.POSITIVE_INFINITY];
    const many = new Float32Array(40 * 11);
    many[39 * 11 + 3] = nan;
    many[17 * 11 + 9] = infinity;
    many[17 * 11 + 4] = nan;
    const wide = new Float32Array(2 * 1031);
    wide[1031 + 1030] = wide[1031 + 517] = infinity;
    wide[1031 + 516] = Number.NEGATIVE_INFINITY;
    const cases: Given[] = [
      { logits: Float32Array.of(0, 0, 0, nan), targets: [0, 1] },
      { logits: Float32Array.of(0, infinity), targets: [0] },
      { logits: Float32Array.of(0, -infinity), targets: [1] },
      { logits: Float32Array.of(-infinity, -infinity), targets: [1] },
      { logits: Float32Array.of(nan, -infinity), targets: [1] },
      { logits: Float32Array.of(0, 0), targets: [2] },
      { logits: Float32Array.of(0, 0), targets: [2 ** 31 - 1] },
      { logits: Float32Array.of(nan, 0, 0, 0), targets: [0, -2] },
      { logits: Float32Array.of(nan, 0, 0, 0), targets: [0, -(2 ** 31)] },
      { logits: Float32Array.of(nan, 0, 0, 0), targets: [0, 1], weights: [0, -infinity] },
      { logits: Float32Array.of(0, 0), targets: [1], weights: [nan] },
      { logits: Float32Array.of(0, 0, 0, 0), targets: [5, 1], weights: [nan, infinity] },
      { logits: many, targets: Array(40).fill(0) },
      { logits: wide, targets: [0, 516] },
    ];
    const messageOf = (on: Device, given: Given) =>
      run(on, given)[0]
        .read()
        .then(
          () => 'no error',
          (error: Error) => `${error.name}: ${error.message}`,
        );
    for (const given of cases) {
      const expected = await messageOf(devices.cpu, given);
      expect(expected).toContain('ValueError');
      for (const order of ORDERS) {
        setOrder(order);
        expect(await messageOf(devices.cuda, given)).toBe(expected);
      }
    }
    await native.synchronize('cuda:0');
  });
});
