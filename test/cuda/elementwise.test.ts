import { beforeAll, describe, expect, it } from 'vitest';
import type { DType, NativeTensor } from '../../lib/native.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import type { Device } from '../../lib/tensor/device.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { bothDevices, expectAgreement, numbersOf, placed } from '../support/both-devices.ts';
import { BUILD_TIMEOUT, ORDERS, setOrder } from '../support/emulated-device.ts';
import { randomFloats } from '../support/random-data.ts';

let devices: { cpu: Device; cuda: Device };
beforeAll(async () => {
  devices = await bothDevices();
}, BUILD_TIMEOUT);

const FLOATS = ['float32', 'bfloat16'] as const;
// Below and above a strip of 16 bytes, a warp, a block's strips, and its strips in flight.
const SIZES = [1, 3, 4, 9, 127, 1025, 4099];
// Both devices do the same float32 operation once and round once.
const EXACT = 0;
const random = (n: number, scale = 1) => randomFloats(new Random(n), n, scale);
/** Every size as it is, and as a view that is not aligned to 16 bytes. */
const cases = SIZES.flatMap((n) => FLOATS.flatMap((dtype) => [0, 1].map((skew) => [n, dtype, skew] as const)));

describe('elementwise operations on the emulated CUDA device', () => {
  it.each(cases)('equal the CPU: %i elements of %s, skew %i', async (n, dtype, skew) => {
    const run = (on: Device): NativeTensor[] => {
      const a = placed(on, random(n), [n], { dtype, skew });
      const b = placed(on, random(n + 1).subarray(1), [n], { dtype, skew: 2 * skew });
      const target = placed(on, random(n), [n], { dtype, skew });
      native.accumulate(target, b, -0.25);
      native.accumulate(target, target, 2);
      return [native.add(a, b), native.scale(a, 0.37), target, native.dropout(a, 0.3, 2 ** 40 + 5, 2 ** 33 + 7)];
    };
    await expectAgreement(run, devices, EXACT);
  });

  it('leave what lies beside a view alone', async () => {
    for (const dtype of FLOATS) {
      const run = (on: Device) => {
        const whole = placed(on, random(2100), [2100], { dtype });
        native.fill(whole.view([13], 3), 0.7);
        native.fill(whole.view([1001], 32), -2);
        native.accumulate(whole.view([1000], 1051), whole.view([1000], 40), 1);
        return [whole];
      };
      await expectAgreement(run, devices, EXACT);
    }
  });

  it('drop the same elements as the CPU, NaN too', async () => {
    const x = new Float32Array(8203).fill(Number.NaN);
    for (const dtype of FLOATS) {
      const mask = async (on: Device) => {
        const dropped = native.dropout(native.cast(placed(on, x, [x.length]), dtype), 0.5, 3, 4);
        return numbersOf(dropped, await dropped.read()).map((v) => Number.isNaN(v));
      };
      const kept = await mask(devices.cpu);
      expect(await mask(devices.cuda)).toEqual(kept);
      expect(kept.filter(Boolean).length).toBeGreaterThan(3900);
    }
  });

  it('reach beyond what a grid covers at once', async () => {
    const n = 2112 * 2048 + 4099;
    const x = new Float32Array(n);
    for (let i = 0; i < n; i++) x[i] = i % 65_521;
    const [a, b] = [x, x].map((data) => placed(devices.cuda, data, [n]));
    const sum = (await native.add(a as NativeTensor, b as NativeTensor).read()) as Float32Array;
    expect(sum.every((v, i) => v === 2 * (i % 65_521))).toBe(true);
  });

  it('of nothing are nothing', async () => {
    const run = (on: Device) => {
      const none = placed(on, new Float32Array(), [0]);
      native.fill(none, 1);
      native.accumulate(none, none, 1);
      return [
        native.add(none, none),
        native.scale(none, 2),
        native.dropout(none, 0.5, 1, 1),
        native.cast(none, 'float16'),
      ];
    };
    await expectAgreement(run, devices, EXACT);
  });
});

describe('fill on the emulated CUDA device', () => {
  it.each(['float32', 'int32', 'bfloat16'] as const)('makes zeros and other values of %s', async (dtype) => {
    for (const n of [1, 9, 127, 4099]) {
      const zeros = Tensor.zeros([n], { dtype, device: devices.cuda });
      expect((await zeros.read()).every((v) => v === 0)).toBe(true);
      const run = (on: Device) => {
        const tensor = native.createTensor(on.id, dtype, [n + 1]);
        native.fill(tensor, 5);
        native.fill(tensor.view([n], 1), dtype === 'int32' ? -7 : 1 + 2 ** -8 + 2 ** -20);
        return [tensor];
      };
      await expectAgreement(run, devices, EXACT);
    }
  });
});

describe('cast on the emulated CUDA device', () => {
  const TYPES: DType[] = ['float32', 'float16', 'bfloat16'];
  // Zeros, subnormals of each type, ties, the largest numbers, what overflows, infinities, NaN.
  const special = [
    0,
    -0,
    1e-45,
    2 ** -25,
    3 * 2 ** -25,
    2 ** -24,
    1 + 2 ** -11,
    1 + 3 * 2 ** -11,
    1 + 2 ** -8,
    1 + 3 * 2 ** -8,
  ]
    .concat([65_504, 65_519.99, 65_520, 3.3895e38, 3.4e38, 1e-40, Number.POSITIVE_INFINITY, Number.NaN])
    .flatMap((v) => [v, -v]);

  it.each(TYPES.flatMap((from) => TYPES.map((to) => [from, to] as const)))(
    'equals the CPU: %s → %s',
    async (from, to) => {
      for (const n of [1, 7, 8, 2051]) {
        for (const skew of [0, 1]) {
          const data = random(n + skew, 100);
          data.set(special.slice(0, n), skew);
          const run = (on: Device) => {
            const given = native.cast(placed(on, data, [n + skew]), from).view([n], skew);
            return [native.cast(native.cast(given, to), 'float32')];
          };
          await expectAgreement(run, devices, EXACT);
        }
      }
    },
  );

  // A GPU's conversion to 16 bits makes one NaN, 0x7fff, of all; the CPU keeps sign and payload.
  it('gives the bits of the CPU for every 16-bit pattern, and some NaN for a NaN', async () => {
    const patterns = Uint16Array.from({ length: 65_536 }, (_, i) => i);
    const infinity = { float32: 0x7f800000, float16: 0x7c00, bfloat16: 0x7f80 };
    for (const from of ['float16', 'bfloat16'] as const) {
      for (const to of ['float32', 'float16', 'bfloat16'] as const) {
        const bits = async (on: Device) => {
          const cast = await native.cast(native.createTensor(on.id, from, [65_536], patterns), to).read();
          const words = to === 'float32' ? new Uint32Array(cast.buffer, cast.byteOffset, cast.length) : cast;
          const magnitude = to === 'float32' ? 0x7fffffff : 0x7fff;
          return Array.from(words, (word) => ((word & magnitude) > infinity[to] ? -1 : word));
        };
        const [actual, expected] = [await bits(devices.cuda), await bits(devices.cpu)];
        const differs = actual.findIndex((word, i) => word !== expected[i]);
        expect(differs, `${from} to ${to}: the first pattern that differs`).toBe(-1);
      }
    }
  });
});

describe('sums on the emulated CUDA device', () => {
  it.each([
    [1, 1],
    [2, 3],
    [7, 17],
    [31, 128],
    [33, 129],
    [257, 5],
    [1000, 3],
    [1, 5000],
    [300, 300],
    [9001, 1],
    [37, 1030],
  ])('equal the CPU: %i × %i', async (rows, n) => {
    for (const dtype of FLOATS) {
      for (const skew of [0, 1]) {
        const x = random(rows * n);
        await expectAgreement((on) => [native.sumRows(placed(on, x, [rows, n], { dtype, skew }))], devices, 1e-6);
      }
    }
    for (const skew of [0, 1]) {
      const x = random(rows * n).map(Math.abs);
      await expectAgreement((on) => [native.sumAll(placed(on, x, [rows, n], { skew }))], devices, 3e-7);
    }
  });

  it('use several chunks in every stage, and small terms are not lost beside a large sum', async () => {
    const n = 300_000; // 19 chunks of everything, hundreds of rows
    const x = new Float32Array(n).fill(1);
    x[0] = 2 ** 26;
    const sums = [native.sumAll(placed(devices.cuda, x, [n])), native.sumRows(placed(devices.cuda, x, [n, 1]))];
    for (const sum of sums) expect(Math.abs(((await sum.read())[0] as number) - (2 ** 26 + n - 1))).toBeLessThan(40);
  });

  it('are the same bits wherever the elements lie', async () => {
    for (const [rows, n] of [
      [300, 64],
      [1100, 33],
      [40, 1],
    ] as const) {
      for (const dtype of FLOATS) {
        const x = random(rows * n);
        const sums = [0, 1, 3].map((skew) =>
          native.sumRows(placed(devices.cuda, x, [rows, n], { dtype, skew })).read(),
        );
        const [first, ...others] = await Promise.all(sums);
        for (const other of others) expect(other).toEqual(first);
      }
    }
  });

  it('are 0 of nothing', async () => {
    const none = (on: Device) => placed(on, new Float32Array(), [0, 3]);
    await expectAgreement((on) => [native.sumRows(none(on)), native.sumAll(none(on))], devices, EXACT);
    await expectAgreement((on) => [native.sumRows(placed(on, new Float32Array(), [3, 0]))], devices, EXACT);
  });
});

describe('repeatRows on the emulated CUDA device', () => {
  it.each([
    [1, 1, 1],
    [3, 7, 2],
    [5, 16, 3],
    [2, 516, 3],
    [70, 8, 5],
    [0, 3, 2],
  ])('equals the CPU: %i rows of %i, %i times', async (rows, n, times) => {
    for (const dtype of [...FLOATS, 'int32'] as const) {
      const x = dtype === 'int32' ? Int32Array.from(random(rows * n, 2 ** 31)) : random(rows * n);
      for (const skew of [0, 1]) {
        const run = (on: Device) => [native.repeatRows(placed(on, x, [rows, n], { dtype, skew }), times)];
        await expectAgreement(run, devices, EXACT);
      }
    }
  });
});

describe('positions and counters on the emulated CUDA device', () => {
  it('equal the CPU', async () => {
    const starts = Int32Array.from({ length: 1000 }, (_, i) => (i % 7) * 300 - 2);
    starts.set([-(2 ** 31), 2 ** 31 - 1]);
    for (const rows of [0, 1, 1000]) {
      const run = (on: Device) => {
        const position = placed(on, Int32Array.of(900), [1]);
        const before = native.rowPositions(placed(on, starts.subarray(0, rows), [rows]), position);
        native.advance(position, 77);
        native.advance(position, -3);
        return [before, native.rowPositions(placed(on, starts.subarray(0, rows), [rows]), position), position];
      };
      await expectAgreement(run, devices, EXACT);
    }
  });

  it.each([
    [2 ** 31 - 1, 1],
    [-(2 ** 31), -1],
    [-5, -(2 ** 31)],
    [2 ** 30, 2 ** 31 - 1],
  ])('report %i + %i as the CPU does, and leave the counter as it was', async (from, by) => {
    const messages: string[] = [];
    for (const on of [devices.cpu, devices.cuda]) {
      const counter = placed(on, Int32Array.of(from), [1]);
      native.advance(counter, by);
      messages.push(await counter.read().then(String, String));
    }
    expect(messages[0]).toContain(`ValueError: counter: expected a sum within int32, got ${from} + ${by}`);
    expect(messages[1]).toBe(messages[0]);
  });

  it('stay as they are after a fault, as does every target', async () => {
    for (const order of ORDERS) {
      setOrder(order);
      const target = placed(devices.cuda, random(100), [100]);
      const good = placed(devices.cuda, Int32Array.of(5), [1]);
      const bad = placed(devices.cuda, Int32Array.of(2 ** 31 - 1), [1]);
      native.advance(bad, 1);
      native.advance(good, 1);
      native.accumulate(target, target, 1);
      await expect(devices.cuda.synchronize()).rejects.toThrow('counter');
      // Their results are unknown to the host; what their memory holds is what it held.
      for (const tensor of [target, good]) await expect(tensor.read()).rejects.toThrow('counter');
    }
    setOrder('forward');
  });
});
