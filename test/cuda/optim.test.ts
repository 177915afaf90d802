import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import type { Device } from '../../lib/tensor/device.ts';
import { bothDevices, expectAgreement, placed, sameBytes } from '../support/both-devices.ts';
import { BUILD_TIMEOUT, ORDERS, setOrder } from '../support/emulated-device.ts';
import { randomFloats } from '../support/random-data.ts';

let devices: { cpu: Device; cuda: Device };
beforeAll(async () => {
  devices = await bothDevices();
}, BUILD_TIMEOUT);
afterEach(() => setOrder('forward'));

/** Sizes around a pack, a tile of the update and a tile of the norm, and empty. */
const SIZES = [1, 7, 0, 4101, 33, 16_391, 0];
/** More tensors than one launch takes, tiny ones and most of them empty. */
const MANY = Array.from({ length: 200 }, (_, i) => (i % 33 === 1 ? 3 : 0));

interface Step {
  sizes: readonly number[];
  skew?: number;
  norm?: number | 'global' | null;
  maxNorm?: number;
  schedule?: readonly number[];
  gradients?: (arrays: Float32Array[]) => void;
}

function update(on: Device, { sizes, skew = 0, norm = 'global', maxNorm = 0.5, schedule, gradients }: Step) {
  const random = new Random(sizes.length);
  const arrays = (scale: number) => sizes.map((n) => randomFloats(random, n, scale));
  const place = (list: readonly Float32Array[]) => list.map((data) => placed(on, data, [data.length], { skew }));
  const [p, g, m] = [arrays(1), arrays(0.1), arrays(0.1)];
  const v = arrays(0.1).map((x) => x.map(Math.abs));
  gradients?.(g);
  const [parameters, grads, first, second] = [place(p), place(g), place(m), place(v)];
  const total =
    norm === 'global' ? native.globalNorm(grads) : norm === null ? null : placed(on, Float32Array.of(norm), [1]);
  native.adamw(
    ...([parameters, grads, first, second, sizes.map((_, i) => (i % 3) * 0.1)] as const),
    ...([0.01, 0.9, 0.999, 1e-8, 7, total, maxNorm] as const),
    schedule && placed(on, Float32Array.from(schedule), [2], { skew }),
  );
  return { state: [...parameters, ...first, ...second], before: [...p, ...m, ...v] };
}

const messageOf = (on: Device): Promise<string> =>
  native.synchronize(on.id).then(
    () => 'no error',
    (error: Error) => `${error.name}: ${error.message}`,
  );

describe('globalNorm on the emulated CUDA device', () => {
  const norm = (on: Device, arrays: readonly Float32Array[], skew = 0) =>
    native.globalNorm(arrays.map((data) => placed(on, data, [data.length], { skew })));

  it.each([0, 1])('equals the CPU, %i elements off', async (skew) => {
    const random = new Random(5);
    for (const sizes of [[1], SIZES, MANY, [0], [33_001]]) {
      const arrays = sizes.map((n) => randomFloats(random, n));
      await expectAgreement((on) => [norm(on, arrays, skew)], devices, 1e-7);
    }
  });

  it('neither overflows nor underflows on the way', async () => {
    for (const size of [6e37, 1e30, 1e-30, 1e-38, 3e-45]) {
      const arrays = [Float32Array.of(3 * size, 0), new Float32Array(100), Float32Array.of(-4 * size)];
      await expectAgreement((on) => [norm(on, arrays)], devices, 1e-6);
    }
    const mixed = randomFloats(new Random(6), 4097).map((v, i) => v * 10 ** ((i % 70) - 33));
    await expectAgreement((on) => [norm(on, [mixed])], devices, 1e-6);
  });

  it('reports the same fault as the CPU', async () => {
    const long = new Float32Array(20_000);
    for (const i of [19_999, 17_001, 17_000]) long[i] = Number.NaN;
    const bad = (n: number, at: number, value: number) => new Float32Array(n).fill(value, at, at + 1);
    const cases = [
      [Float32Array.of(1, 2), bad(6, 2, Number.NaN)],
      [new Float32Array(0), bad(9, 8, Number.NEGATIVE_INFINITY), bad(2, 0, Number.NaN)],
      [long, bad(1, 0, Number.NaN)],
      [...MANY.map((n) => new Float32Array(n)), bad(3, 1, Number.POSITIVE_INFINITY)],
      [Float32Array.of(3e38, 3e38)],
    ];
    for (const arrays of cases) {
      norm(devices.cpu, arrays);
      const expected = await messageOf(devices.cpu);
      expect(expected).toContain('ValueError: gradients: expected');
      for (const order of ORDERS) {
        setOrder(order);
        norm(devices.cuda, arrays);
        expect(await messageOf(devices.cuda)).toBe(expected);
      }
    }
  });
});

describe('adamw on the emulated CUDA device', () => {
  it.each([
    ['many sizes', { sizes: SIZES }],
    ['many tensors', { sizes: MANY }],
    ['no clipping', { sizes: SIZES, maxNorm: Number.POSITIVE_INFINITY }],
    ['a given norm', { sizes: [33], norm: 2, maxNorm: 1 }],
    ['no norm', { sizes: [5, 0, 4101], norm: null }],
    ['unaligned tensors', { sizes: [40, 4101], skew: 1 }],
    ['a schedule', { sizes: [33, 4096], schedule: [0.3, 2] }],
    ['a late schedule, no norm', { sizes: [40], norm: null, schedule: [0.3, 2 ** 24], skew: 3 }],
    ['a learning rate of 0', { sizes: [9], schedule: [0, 1] }],
    ['no elements', { sizes: [0, 0], norm: 1 }],
  ] as [string, Step][])('equals the CPU: %s', async (_, step) => {
    await expectAgreement((on) => update(on, step).state, devices, 1e-6);
  });

  it('reads its schedule in every replay of a recorded step', async () => {
    const run = async (on: Device): Promise<number[]> => {
      const tensor = (...values: number[]) => placed(on, Float32Array.from(values), [values.length]);
      const [parameter, first, second] = [tensor(1, 2, 3), tensor(0, 0, 0), tensor(0, 0, 0)];
      const [gradient, schedule] = [tensor(0.5, -0.25, 2), tensor(0, 0)];
      native.beginProgram();
      const norm = native.globalNorm([gradient]);
      native.adamw([parameter], [gradient], [first], [second], [0.1], 99, 0.9, 0.99, 1e-8, 99, norm, 1, schedule);
      const program = native.endProgram();
      for (let t = 1; t <= 3; t++) {
        schedule.write(Float32Array.of(0.1 / t, t));
        native.replayProgram(program);
      }
      const replayed = [...(await parameter.read())];
      native.disposeProgram(program);
      // The same without a program or a schedule.
      const [p, m, v] = [tensor(1, 2, 3), tensor(0, 0, 0), tensor(0, 0, 0)];
      for (let t = 1; t <= 3; t++) {
        const rate = Math.fround(0.1 / t);
        native.adamw([p], [gradient], [m], [v], [0.1], rate, 0.9, 0.99, 1e-8, t, native.globalNorm([gradient]), 1);
      }
      expect(replayed).toEqual([...(await p.read())]);
      return replayed;
    };
    const [expected, actual] = [await run(devices.cpu), await run(devices.cuda)];
    for (const [i, value] of expected.entries()) expect(actual[i]).toBeCloseTo(value, 6);
  });

  it('leaves everything as it was when it fails, with the fault of the CPU', async () => {
    const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
    const put = (tensor: number, at: number, value: number) => (arrays: Float32Array[]) => {
      (arrays[tensor] as Float32Array)[at] = value;
    };
    const sizes = [33, 4101];
    const cases: Step[] = [
      { sizes, gradients: put(1, 17, nan) },
      { sizes, norm: null, gradients: put(1, 4100, infinity) },
      { sizes, norm: null, gradients: put(1, 0, nan) },
      { sizes: MANY, norm: null, gradients: put(199, 2, nan) },
      { sizes, norm: -1 },
      { sizes, norm: infinity },
      { sizes, norm: nan },
      { sizes, schedule: [nan, 1], norm: -1 },
      { sizes, schedule: [-0.5, 1] },
      { sizes, schedule: [0.1, 0] },
      { sizes, schedule: [0.1, 1.5], norm: null, gradients: put(0, 0, nan) },
      { sizes, schedule: [0.1, -3] },
      { sizes, schedule: [0.1, 2 ** 25], norm: -1 },
    ];
    for (const step of cases) {
      const expected = update(devices.cpu, step);
      const message = await messageOf(devices.cpu);
      expect(message).toContain('ValueError');
      for (const order of ORDERS) {
        setOrder(order);
        const actual = update(devices.cuda, step);
        expect(await messageOf(devices.cuda)).toBe(message);
        for (const { state, before } of [expected, actual])
          for (const [i, tensor] of state.entries()) expect(sameBytes(await tensor.read(), before[i])).toBe(true);
      }
    }
  });
});
