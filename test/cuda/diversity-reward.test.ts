import { beforeAll, describe, expect, it } from 'vitest';
import type { DType, NativeTensor } from '../../lib/native.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import type { Device } from '../../lib/tensor/device.ts';
import { bothDevices, expectAgreement, placed } from '../support/both-devices.ts';
import { BUILD_TIMEOUT, ORDERS, setOrder } from '../support/emulated-device.ts';
import { randomFloats } from '../support/random-data.ts';

let devices: { cpu: Device; cuda: Device };
beforeAll(async () => {
  devices = await bothDevices();
}, BUILD_TIMEOUT);

const [NAN, INF] = [Number.NaN, Number.POSITIVE_INFINITY];
type Shape = [prompts: number, samples: number, dimensions: number];

function run(
  on: Device,
  data: Float32Array,
  shape: Shape,
  baselines?: Float32Array,
  dtype: DType = 'float32',
  skew = 0,
) {
  return native.diversityReward(
    placed(on, data, shape, { dtype, skew }),
    baselines && placed(on, baselines, [baselines.length]),
  ) as NativeTensor[];
}

function randomEmbeddings(shape: Shape): Float32Array {
  const [prompts, samples, dimensions] = shape;
  const random = new Random(samples * 1009 + dimensions);
  const data = randomFloats(random, prompts * samples * dimensions);
  data.fill(0, 0, dimensions); // a zero vector
  if (samples > 2) data.copyWithin(dimensions, 2 * dimensions, 3 * dimensions); // two that are equal
  return data;
}

// Odd widths, more samples than warps, more dimensions than a chunk, and prompts that shared memory does not hold.
const SHAPES: Shape[] = [
  [1, 2, 1],
  [3, 2, 5],
  [2, 3, 7],
  [3, 4, 64],
  [2, 9, 33],
  [1, 256, 3],
  [2, 5, 515],
  [1, 12, 1033],
  [1, 40, 600],
];

describe('the diversity reward on the emulated CUDA device', () => {
  // Results are computed in double and rounded once; bfloat16 is exact in it.
  for (const dtype of ['float32', 'bfloat16'] as const)
    it.each(SHAPES)(`agrees with the CPU: ${dtype}, [%i, %i, %i]`, async (...shape) => {
      const data = randomEmbeddings(shape);
      await expectAgreement((on) => run(on, data, shape, undefined, dtype), devices, 2e-7);
      const baselines = randomFloats(new Random(2), shape[0]);
      await expectAgreement((on) => run(on, data, shape, baselines, dtype, 1), devices, 2e-7);
    });

  it('takes lengths from the ends of float32', async () => {
    const data = Float32Array.of(3e38, 3e38, -3e38, 3e38, 1e-45, 0, 1e-30, 1e-30, 1, 2, 2, 1);
    await expectAgreement((on) => run(on, data, [1, 6, 2]), devices, 2e-7);
    await expectAgreement((on) => run(on, data, [3, 2, 2]), devices, 2e-7);
  });

  it('is 0 for equal samples and 2 for opposite ones', async () => {
    const one = randomFloats(new Random(4), 37);
    const equal = Float32Array.from([...one, ...one, ...one.map((x) => 3 * x)]);
    const [reward, , diversity] = run(devices.cuda, equal.subarray(0, 74), [1, 2, 37]);
    for (const x of (await reward!.read()) as Float32Array) expect(x).toBeCloseTo(0, 12);
    expect(((await diversity!.read()) as Float32Array)[0]).toBeGreaterThanOrEqual(0);
    const opposite = Float32Array.from([...one, ...one.map((x) => -x)]);
    expect(await run(devices.cuda, opposite, [1, 2, 37])[0]!.read()).toEqual(Float32Array.of(2, 2));
  });

  // [what, embedding index → value, baseline index → value] of 3 prompts, 3 samples, 40 dimensions.
  const BAD: [string, [number, number][], [number, number][]][] = [
    ['NaN', [[5 * 40 + 39, NAN]], []],
    ['+∞', [[8 * 40, INF]], []],
    ['−∞', [[40 + 7, -INF]], []],
    [
      'the lowest of several',
      [
        [3 * 40 + 33, INF],
        [3 * 40 + 4, NAN],
        [7 * 40, NAN],
      ],
      [],
    ],
    ['a baseline that is no number', [], [[1, NAN]]],
    ['an infinite baseline', [], [[2, -INF]]],
    ['both in one row', [[0, NAN]], [[0, INF]]],
  ];
  it.each(BAD)('rejects what the CPU rejects: %s', async (_, inEmbeddings, inBaselines) => {
    const data = randomEmbeddings([3, 3, 40]);
    const baselines = new Float32Array(3);
    for (const [i, value] of inEmbeddings) data[i] = value;
    for (const [i, value] of inBaselines) baselines[i] = value;
    const messageOf = (on: Device) =>
      run(on, data, [3, 3, 40], baselines)[0]!
        .read()
        .then(String, (error: Error) => `${error.name}: ${error.message}`);
    const expected = await messageOf(devices.cpu);
    expect(expected).toMatch(/^ValueError: (embeddings|baselines): expected a finite number .*, got /);
    for (const order of ORDERS) {
      setOrder(order);
      expect(await messageOf(devices.cuda)).toBe(expected);
    }
    setOrder('forward');
  });
});
