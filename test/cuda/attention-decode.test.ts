import { beforeAll, describe, expect, it } from 'vitest';
import { type DType, native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import type { Device } from '../../lib/tensor/device.ts';
import { bothDevices, expectAgreement, placed } from '../support/both-devices.ts';
import { BUILD_TIMEOUT } from '../support/emulated-device.ts';
import { randomFloats, sameBits } from '../support/random-data.ts';

let devices: { cpu: Device; cuda: Device };
beforeAll(async () => {
  devices = await bothDevices();
}, BUILD_TIMEOUT);

const ints = (on: Device, ...values: number[]) => placed(on, Int32Array.from(values), [values.length]);
const tolerance = (dtype: DType) => (dtype === 'bfloat16' ? 2 ** -7 : 4e-6);
const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

interface Step {
  rows: number;
  heads: number;
  headDim: number;
  capacity: number;
  starts: number[];
  position: number;
  dtype: DType;
  skew?: number;
}

/** A prompt of three positions, then a step: [the cache after the prompt and the step, out]. */
function step(on: Device, s: Step) {
  const random = new Random(s.headDim + s.capacity);
  const { dtype, skew = 0 } = s;
  const floats = (shape: number[]) => placed(on, randomFloats(random, product(shape), 1.5), shape, { dtype, skew });
  const cache = floats([2, s.rows, s.heads, s.capacity, s.headDim]);
  const prompt = Math.min(3, s.position);
  native.cacheWrite(floats([s.rows, prompt, 3, s.heads, s.headDim]), cache, ints(on, s.position - prompt));
  const qkv = floats([s.rows, 1, 3, s.heads, s.headDim]);
  return [native.attentionDecode(qkv, cache, ints(on, ...s.starts), ints(on, s.position)), cache];
}

const steps: Step[] = [
  { rows: 1, heads: 1, headDim: 1, capacity: 1, starts: [0], position: 0, dtype: 'float32' },
  { rows: 3, heads: 2, headDim: 5, capacity: 9, starts: [0, 2, 8], position: 7, dtype: 'float32' },
  { rows: 2, heads: 2, headDim: 16, capacity: 40, starts: [0, 31], position: 31, dtype: 'float32' },
  { rows: 1, heads: 1, headDim: 64, capacity: 300, starts: [0], position: 128, dtype: 'float32' },
  { rows: 2, heads: 1, headDim: 33, capacity: 300, starts: [130, 270], position: 265, dtype: 'float32' },
  { rows: 1, heads: 1, headDim: 128, capacity: 130, starts: [0], position: 127, dtype: 'float32' },
  { rows: 1, heads: 1, headDim: 250, capacity: 20, starts: [0], position: 19, dtype: 'float32' },
  { rows: 3, heads: 2, headDim: 7, capacity: 9, starts: [0, 2, 8], position: 7, dtype: 'bfloat16' },
  { rows: 2, heads: 1, headDim: 32, capacity: 129, starts: [3, 0], position: 128, dtype: 'bfloat16' },
  { rows: 1, heads: 2, headDim: 64, capacity: 260, starts: [3], position: 134, dtype: 'bfloat16' },
  { rows: 1, heads: 1, headDim: 256, capacity: 40, starts: [0], position: 39, dtype: 'bfloat16' },
];

describe('a decoding step on the emulated CUDA device', () => {
  it.each(steps)('is that of the CPU: %j', async (s) => {
    await expectAgreement((on) => step(on, s), devices, tolerance(s.dtype));
  });

  it('reads and writes tensors that are aligned to nothing', async () => {
    for (const s of [steps[2]!, steps[8]!])
      await expectAgreement((on) => step(on, { ...s, skew: 1 }), devices, tolerance(s.dtype));
  });

  it('depends neither on the batch nor on the capacity nor on padding, bit for bit', async () => {
    const on = devices.cuda;
    const [heads, headDim, length] = [2, 16, 140];
    const random = new Random(1);
    const positions = Array.from({ length }, () => randomFloats(random, 3 * heads * headDim));
    const decoded = async (rows: number, capacity: number, padding: number) => {
      const cache = placed(on, new Float32Array(2 * rows * heads * capacity * headDim), [
        2,
        rows,
        heads,
        capacity,
        headDim,
      ]);
      const starts = ints(on, ...Array.from({ length: rows }, (_, r) => (r === rows - 1 ? padding : 0)));
      const qkv = (i: number) => {
        const data = randomFloats(new Random(i), rows * 3 * heads * headDim);
        data.set(positions[i]!, (rows - 1) * 3 * heads * headDim);
        return placed(on, data, [rows, 1, 3, heads, headDim]);
      };
      for (let i = 0; i < length - 1; i++) native.cacheWrite(qkv(i), cache, ints(on, padding + i));
      const out = native.attentionDecode(qkv(length - 1), cache, starts, ints(on, padding + length - 1));
      return ((await out.read()) as Float32Array).slice((rows - 1) * heads * headDim);
    };
    const alone = await decoded(1, 140, 0);
    expect(sameBits(await decoded(3, 300, 7), alone)).toBe(true);
  });
});

describe('rotary positions on the emulated CUDA device', () => {
  it.each([
    [[2, 3, 3, 2, 10], 'float32', 0],
    [[3, 5, 3, 1, 16], 'float32', 0],
    [[2, 3, 3, 3, 64], 'bfloat16', 0],
    [[1, 4, 3, 2, 6], 'bfloat16', 0],
    [[2, 2, 3, 1, 16], 'bfloat16', 1],
    [[1, 2, 3, 1, 256], 'float32', 1],
    [[0, 2, 3, 1, 8], 'float32', 0],
  ] as const)('are those of the CPU: %j, %s, skewed by %i', async (shape, dtype, skew) => {
    const count = shape[0] * shape[1];
    for (const inverse of [false, true]) {
      await expectAgreement(
        (on) => {
          const data = randomFloats(new Random(3), product(shape));
          const at = Int32Array.from({ length: count }, (_, i) => (i % 3 === 2 ? 1_000_003 * i : 5 * i - 3));
          const positions = placed(on, at, [shape[0], shape[1]]);
          return [native.rotary(placed(on, data, shape, { dtype, skew }), positions, 10000, inverse)];
        },
        devices,
        dtype === 'float32' ? 3e-7 : 2 ** -8,
      );
    }
  });
});

describe('the cache on the emulated CUDA device', () => {
  it('finds the same faults in the same words', async () => {
    const s = { rows: 2, heads: 1, headDim: 4, capacity: 5, starts: [0, 0], position: 3, dtype: 'float32' as const };
    const zeros = (on: Device, shape: number[]) => placed(on, new Float32Array(product(shape)), shape);
    const both = async (attempt: (on: Device) => Promise<unknown>) => {
      const messages: string[] = [];
      for (const on of [devices.cpu, devices.cuda])
        messages.push(await attempt(on).then(String, (error: Error) => `${error.name}: ${error.message}`));
      expect(messages[0]).toMatch(/^ValueError: (position|starts): expected/);
      expect(messages[1]).toBe(messages[0]);
    };
    for (const wrong of [{ position: 5 }, { position: -2 }, { starts: [0, -7] }, { starts: [-1, -7], position: 9 }]) {
      const { starts, position } = { ...s, ...wrong };
      await both((on) =>
        native
          .attentionDecode(
            zeros(on, [2, 1, 3, 1, 4]),
            zeros(on, [2, 2, 1, 5, 4]),
            ints(on, ...starts),
            ints(on, position),
          )
          .read(),
      );
    }
    for (const position of [3, -1, 2 ** 31 - 1]) {
      await both((on) => {
        const cache = zeros(on, [2, 2, 1, 5, 4]);
        native.cacheWrite(zeros(on, [2, 3, 3, 1, 4]), cache, ints(on, position));
        return cache.read();
      });
    }
    await both((on) =>
      native
        .attentionDecode(zeros(on, [2, 1, 3, 1, 4]), zeros(on, [2, 2, 1, 0, 4]), ints(on, 0, 0), ints(on, 0))
        .read(),
    );
  });
});
