import { beforeAll, describe, expect, it } from 'vitest';
import type { NativeTensor } from '../../lib/native.ts';
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

const FLOATS = ['float32', 'bfloat16'] as const;
const random = (n: number) => randomFloats(new Random(n + 1), n);
const randomIds = (count: number, vocab: number, share = 0) => {
  const draw = new Random(count * 31 + vocab);
  return Int32Array.from({ length: count }, () => (draw.uniform() < share ? vocab - 1 : draw.integer(vocab)));
};
const messageOf = (tensor: NativeTensor): Promise<string> => tensor.read().then(() => 'no error', String);

describe('the embedding on the emulated CUDA device', () => {
  it.each([
    [1, 1, 1],
    [7, 5, 17],
    [3, 40, 8],
    [40, 3, 1032],
    [301, 129, 40],
    [5, 0, 3],
    [2, 3, 0],
  ])('looks up %i tokens, %i ids, %i dimensions', async (vocab, count, n) => {
    for (const dtype of FLOATS) {
      for (const skew of [0, 1]) {
        const run = (on: Device) => {
          const table = placed(on, random(vocab * n), [vocab, n], { skew });
          return [native.embeddingForward(table, placed(on, randomIds(count, vocab), [count], { skew }), dtype)];
        };
        await expectAgreement(run, devices, 0);
      }
    }
  });

  it.each([
    // One id only, one position, several pieces of one id, each id once, pieces that end where an id does.
    ['one token', 1, 70, 5, 0],
    ['one position', 9, 1, 3, 0],
    ['no position', 9, 0, 4, 0],
    ['few tokens', 3, 200, 8, 0],
    ['a token that most share', 60, 333, 16, 0.8],
    ['a token that most share, odd', 40, 333, 7, 0.8],
    ['many tokens', 700, 100, 4, 0],
    ['more tokens than threads have', 140_000, 40, 1, 0.3],
    ['wide rows', 10, 45, 1100, 0.4],
    ['wide odd rows', 10, 45, 301, 0.4],
    ['longer pieces', 50, 16_500, 2, 0.5],
  ])('sums the gradients of %s', async (_, vocab, count, n, share) => {
    for (const dtype of vocab > 10_000 ? FLOATS.slice(0, 1) : FLOATS) {
      for (const skew of vocab * n + count * n > 20_000 ? [0] : [0, 1]) {
        const run = (on: Device) => {
          const grad = placed(on, random(count * n), [count, n], { dtype, skew });
          return [native.embeddingBackward(grad, placed(on, randomIds(count, vocab, share), [count]), vocab)];
        };
        await expectAgreement(run, devices, 1e-6);
      }
    }
  });

  it('sums pieces that end exactly where an id does', async () => {
    const ids = Int32Array.from({ length: 128 }, (_, i) => [0, 0, 2, 5][i % 4]!); // 64 of 0: two whole pieces
    const run = (on: Device) => {
      const grad = placed(on, random(128 * 6), [128, 6]);
      return [native.embeddingBackward(grad, placed(on, ids, [128]), 6)];
    };
    await expectAgreement(run, devices, 1e-6);
  });

  it.each([-1, -(2 ** 31), 3, 2 ** 31 - 1])('reports the id %i as the CPU does, the first of several', async (id) => {
    const ids = Int32Array.from({ length: 700 }, (_, i) => (i === 600 || i === 650 ? id - i + 600 : i % 3));
    if (id < 0) ids[650] = 77;
    for (const order of ORDERS) {
      setOrder(order);
      const messages = [];
      for (const on of [devices.cpu, devices.cuda]) {
        const given = placed(on, ids, [700]);
        messages.push(await messageOf(native.embeddingForward(placed(on, random(6), [3, 2]), given)));
        messages.push(await messageOf(native.embeddingBackward(placed(on, random(1400), [700, 2]), given, 3)));
      }
      expect(messages[0]).toBe(`ValueError: ids: expected a token from 0 to 2 at 600, got ${id}`);
      expect(new Set(messages).size).toBe(1);
    }
    setOrder('forward');
  });
});

describe('masked means on the emulated CUDA device', () => {
  it.each([
    [1, 1, 1],
    [5, 5, 7],
    [5, 9, 33],
    [3, 70, 8],
    [2, 11, 300],
    [70, 3, 5],
    [0, 3, 2],
    [3, 0, 2],
    [3, 2, 0],
  ])('equal the CPU: %i rows of %i positions of %i', async (rows, positions, n) => {
    // All, left-padded, empty, one, none (the end before the start).
    const starts = Int32Array.from({ length: rows }, (_, r) => [0, positions >> 1, positions, 0, positions][r % 5]!);
    const ends = Int32Array.from(
      { length: rows },
      (_, r) => [positions, positions, positions, Math.min(1, positions), 0][r % 5]!,
    );
    for (const dtype of FLOATS) {
      for (const skew of [0, 1]) {
        const run = (on: Device) => {
          const x = placed(on, random(rows * positions * n), [rows, positions, n], { dtype, skew });
          const grad = placed(on, random(rows * n), [rows, n], { skew });
          const [from, to] = [placed(on, starts, [rows]), placed(on, ends, [rows])];
          return [native.maskedMeanForward(x, from, to), native.maskedMeanBackward(grad, from, to, positions, dtype)];
        };
        await expectAgreement(run, devices, dtype === 'float32' ? 1e-6 : 2 ** -8);
      }
    }
  });

  it('are exactly 0 where nothing counts, whatever is there', async () => {
    const x = placed(devices.cuda, new Float32Array(8).fill(Number.NaN), [2, 2, 2]);
    const grad = placed(devices.cuda, new Float32Array(4).fill(Number.NaN), [2, 2]);
    const [from, to] = [Int32Array.of(1, 2), Int32Array.of(1, 0)].map((b) => placed(devices.cuda, b, [2]));
    expect(await native.maskedMeanForward(x, from!, to!).read()).toEqual(new Float32Array(4));
    expect(await native.maskedMeanBackward(grad, from!, to!, 2).read()).toEqual(new Float32Array(8));
  });

  it.each([
    [
      [0, -1],
      [3, 3],
    ],
    [
      [0, 4],
      [3, 3],
    ],
    [
      [-(2 ** 31), 0],
      [3, -7],
    ],
    [
      [0, 0],
      [3, 4],
    ],
    [
      [0, 0],
      [-1, 2 ** 31 - 1],
    ],
    [
      [0, 9],
      [9, 9],
    ], // the start, though an earlier row's end is faulty too
  ])('report bounds as the CPU does: %j … %j', async (starts, ends) => {
    for (const n of [1, 40, 0]) {
      const messages = [];
      for (const on of [devices.cpu, devices.cuda]) {
        const [from, to] = [starts, ends].map((b) => placed(on, Int32Array.from(b), [2]));
        const x = placed(on, random(6 * n), [2, 3, n]);
        const grad = placed(on, random(2 * n), [2, n]);
        messages.push(await messageOf(native.maskedMeanForward(x, from!, to!)));
        messages.push(await messageOf(native.maskedMeanBackward(grad, from!, to!, 3)));
      }
      expect(messages[0]).toMatch(/^ValueError: (starts|ends): expected 0 to 3 at [01], got/);
      expect(new Set(messages).size).toBe(1);
    }
  });
});
