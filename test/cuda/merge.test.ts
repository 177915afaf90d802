import { beforeAll, describe, expect, it } from 'vitest';
import type { DType, NativeTensor } from '../../lib/native.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import type { Device } from '../../lib/tensor/device.ts';
import { bothDevices } from '../support/both-devices.ts';
import { BUILD_TIMEOUT, ORDERS, setOrder } from '../support/emulated-device.ts';
import { bfloat16Bits } from '../support/half.ts';
import { randomFloats } from '../support/random-data.ts';

let devices: { cpu: Device; cuda: Device };
beforeAll(async () => {
  devices = await bothDevices();
}, BUILD_TIMEOUT);

type Bits = Float32Array | Uint16Array;
const TYPES: DType[] = ['float32', 'bfloat16', 'float16'];
// Less and more than a tile of either kernel, odd ends.
const SIZES = [0, 1, 7, 1023, 4096, 8192 + 2049];

/** Finite elements of a type, as they are stored. */
function randomBits(random: Random, n: number, dtype: DType): Bits {
  const floats = randomFloats(random, n, 2);
  if (dtype === 'float32') return floats;
  if (dtype === 'bfloat16') return bfloat16Bits(floats);
  return Uint16Array.from(floats, (x) => ((x < 0 ? 0x8000 : 0) | Math.floor(Math.abs(x) * 8000)) & 0xffff);
}

/** Every kind of NaN and infinity. */
function wildBits(n: number, dtype: DType): Bits {
  const words = Uint32Array.from(
    { length: n },
    (_, i) => 0x7f800000 + (i % 5) * 0x10000 + (i % 3) + (i % 2) * 0x80000000,
  );
  if (dtype === 'float32') return new Float32Array(words.buffer);
  return Uint16Array.from(words, (word) => (dtype === 'bfloat16' ? word >>> 16 : 0x7c00 + ((word >>> 16) % 7)));
}

function placed(on: Device, data: Bits, dtype: DType, skew = 0): NativeTensor {
  const tensor = native.createTensor(on.id, dtype, [skew + data.length]).view([data.length], skew);
  tensor.write(data);
  return tensor;
}

const bytesOf = (data: ArrayBufferView) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);
const sameBytes = async (tensor: NativeTensor, data: Bits) => bytesOf(await tensor.read()).equals(bytesOf(data));

/** As integers, of which neighbours are neighbours. */
const integersOf = (data: ArrayBufferView) =>
  data instanceof Uint16Array ? data : new Int32Array(data.buffer, data.byteOffset, data.byteLength / 4);

/**
 * Sums in double whose exact value lies halfway between two elements go to either side, by the last bit of the double:
 * that happens with weights like 0.3. Nothing else may differ.
 */
async function expectSame(run: (on: Device) => NativeTensor): Promise<void> {
  const expected = integersOf(await run(devices.cpu).read());
  for (const order of ORDERS) {
    setOrder(order);
    const actual = integersOf(await run(devices.cuda).read());
    expect(actual.length).toBe(expected.length);
    let differing = 0;
    let farthest = 0;
    for (let i = 0; i < actual.length; i++) {
      if (actual[i] !== expected[i]) differing++;
      farthest = Math.max(farthest, Math.abs(actual[i]! - expected[i]!));
    }
    expect(farthest, order).toBeLessThanOrEqual(1);
    expect(differing, order).toBeLessThanOrEqual(actual.length / 25);
  }
  setOrder('forward');
}

describe.each(TYPES)('merging %s on the emulated CUDA device', (dtype) => {
  const random = new Random(5);

  it.each(SIZES)('interpolates as on the CPU: %i elements', async (n) => {
    const [a, b] = [randomBits(random, n, dtype), randomBits(random, n, dtype)];
    for (const weight of [0.3, -0.5, 1.7])
      await expectSame((on) => native.lerp(placed(on, a, dtype), placed(on, b, dtype), weight));
    for (const skew of [1, 3])
      await expectSame((on) => native.lerp(placed(on, a, dtype, skew), placed(on, b, dtype), 0.25));
  });

  it.each(SIZES)('averages as on the CPU: %i elements', async (n) => {
    const inputs = Array.from({ length: 5 }, () => randomBits(random, n, dtype));
    const weights = [1, 0.25, 0, 3, -1];
    for (const count of [1, 2, 5])
      for (const skew of [0, 1])
        await expectSame((on) =>
          native.weightedAverage(
            inputs.slice(0, count).map((x, i) => placed(on, x, dtype, i === 1 ? skew : 0)),
            weights.slice(0, count),
          ),
        );
  });

  it.each(SIZES)('interpolates along the arc as on the CPU: %i elements', async (n) => {
    const a = randomBits(random, n, dtype);
    // There is an arc between two single numbers only if they have one sign.
    const b = n === 1 ? a : randomBits(random, n, dtype);
    for (const weight of [0.3, -0.5, 1.7])
      await expectSame((on) => native.slerp(placed(on, a, dtype), placed(on, b, dtype), weight));
    await expectSame((on) => native.slerp(placed(on, a, dtype, 1), placed(on, b, dtype), 0.25));
  });

  it('copies bit for bit where a weight is 1 and the rest 0, and does not look at the rest', async () => {
    for (const n of [5, 4100]) {
      const [a, b] = [wildBits(n, dtype), randomBits(random, n, dtype)];
      for (const on of [devices.cpu, devices.cuda])
        for (const skew of [0, 1]) {
          const [x, y] = [placed(on, a, dtype, skew), placed(on, b, dtype)];
          expect(await sameBytes(native.lerp(x, y, 0), a)).toBe(true);
          expect(await sameBytes(native.lerp(y, x, 1), a)).toBe(true);
          expect(await sameBytes(native.lerp(x, y, 1), b)).toBe(true);
          expect(await sameBytes(native.slerp(x, y, 0), a)).toBe(true);
          expect(await sameBytes(native.slerp(y, x, 1), a)).toBe(true);
          expect(await sameBytes(native.weightedAverage([y, x, y], [0, 1, 0]), a)).toBe(true);
          expect(await sameBytes(native.weightedAverage([y, x, y], [2, 0, 2]), b)).toBe(true);
        }
    }
  });

  it('gives what the inputs agree on', async () => {
    const a = randomBits(random, 1000, dtype);
    for (const on of [devices.cpu, devices.cuda]) {
      const x = placed(on, a, dtype);
      for (const weight of [0.1, 1 / 3, 0.9]) {
        expect(await sameBytes(native.lerp(x, x, weight), a)).toBe(true);
        expect(await sameBytes(native.slerp(x, x, weight), a)).toBe(true);
      }
      expect(await sameBytes(native.weightedAverage([x, x, x], [1, 1, 1]), a)).toBe(true);
    }
  });

  it('averages more inputs than a launch takes', async () => {
    // Sums of few bits: no rounding, whatever the order and however often.
    const inputs = Array.from({ length: 300 }, (_, i) => {
      const value = (i % 2) * 1;
      if (dtype === 'float32') return new Float32Array(9).fill(value);
      return new Uint16Array(9).fill(value ? (dtype === 'bfloat16' ? 0x3f80 : 0x3c00) : 0);
    });
    const weights = inputs.map((_, i) => (i < 256 ? 1 : 0));
    const half = dtype === 'float32' ? 0.5 : dtype === 'bfloat16' ? 0x3f00 : 0x3800;
    for (const on of [devices.cpu, devices.cuda]) {
      const tensors = inputs.map((x) => placed(on, x, dtype));
      expect(Array.from(await native.weightedAverage(tensors, weights).read())).toEqual(Array(9).fill(half));
    }
  });
});

describe('merging on the emulated CUDA device', () => {
  it('refuses an arc that is not there with the words of the CPU, and writes nothing', async () => {
    const floats = randomFloats(new Random(8), 20_001);
    const infinite = floats.slice();
    infinite[17_000] = Infinity;
    for (const [a, b] of [
      [floats, floats.map((x) => -2 * x)],
      [floats, infinite],
      [infinite, floats],
    ] as const) {
      const messages: string[] = [];
      for (const on of [devices.cpu, devices.cuda]) {
        const slerped = native.slerp(placed(on, a, 'float32'), placed(on, b, 'float32'), 0.5);
        messages.push(await slerped.read().then(String, (error: Error) => error.message));
        await native.synchronize(on.id).catch(() => undefined);
      }
      expect(messages[0]).toMatch(/^[ab]: expected (finite numbers|a direction)/);
      expect(messages[1]).toBe(messages[0]);
    }
    const [a, b] = [placed(devices.cuda, floats, 'float32'), placed(devices.cuda, floats, 'float32')];
    expect(await sameBytes(native.slerp(a, b, 0.5), floats)).toBe(true);
  });

  it('is lerp where a vector is zero', async () => {
    const a = randomFloats(new Random(9), 100);
    await expectSame((on) =>
      native.slerp(placed(on, a, 'float32'), placed(on, new Float32Array(100), 'float32'), 0.25),
    );
  });

  it('refuses tensors of several types', () => {
    const [a, b] = [
      placed(devices.cuda, new Float32Array(2), 'float32'),
      placed(devices.cuda, new Uint16Array(2), 'float16'),
    ];
    expect(() => native.lerp(a, b, 0.5)).toThrow(/^b: expected float32/);
    expect(() => native.weightedAverage([b, a], [1, 1])).toThrow(/^arrays\[1\]: expected float16/);
    const integers = native.createTensor(devices.cuda.id, 'int32', [2], new Int32Array(2));
    expect(() => native.lerp(integers, integers, 0.5)).toThrow(/^a: expected float32, float16 or bfloat16, got int32/);
  });
});
