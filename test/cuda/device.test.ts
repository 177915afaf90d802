import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { OutOfMemoryError, ValueError } from '../../lib/errors.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { type Device, device } from '../../lib/tensor/device.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { BUILD_TIMEOUT, emulatedOnly, ORDERS, setOrder, useEmulatedDevice } from '../support/emulated-device.ts';
import { randomFloats } from '../support/random-data.ts';

let cpu: Device;
let cuda: Device;
beforeAll(async () => {
  useEmulatedDevice();
  [cpu, cuda] = await Promise.all([device('cpu'), device('cuda')]);
}, BUILD_TIMEOUT);
afterEach(() => setOrder('forward'));

const guide = (cond: Tensor, uncond: Tensor, scale: number | Tensor = 2): Tensor =>
  new Tensor(
    native.guidedLogits(cond.handle, uncond.handle, typeof scale === 'number' ? scale : scale.handle),
    'float32',
  );
const draw = (cond: Tensor, uncond: Tensor | null, scale: number | Tensor, offset: number | Tensor<'int32'> = 0) =>
  native.sampleGuided(
    cond.handle,
    uncond?.handle ?? null,
    typeof scale === 'number' ? scale : scale.handle,
    1,
    undefined,
    undefined,
    1,
    typeof offset === 'number' ? offset : offset.handle,
  );
const messageOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: Error) => `${error.name}: ${error.message}`,
  );

describe('the emulated CUDA device', () => {
  emulatedOnly('has a name, and is what auto means as soon as no operation is missing', async () => {
    expect(cuda.type).toBe('cuda');
    expect(cuda.name).toContain('emulated CUDA device');
    expect(native.cudaCount()).toBe(1);
    expect(await device('auto')).toBe(native.cudaMissing() === 0 ? cuda : cpu);
    expect(await device('cuda:0')).toBe(cuda);
    await expect(device('cuda:1')).rejects.toThrow('device: expected cuda:0 … cuda:0, got cuda:1');
  });

  it('uploads and downloads every type', async () => {
    const floats = randomFloats(new Random(1), 1001);
    expect(await Tensor.from(floats, [7, 143], cuda).read()).toEqual(floats);
    expect(await Tensor.from(Int32Array.of(-1, 2 ** 31 - 1), [2], cuda).read()).toEqual(Int32Array.of(-1, 2 ** 31 - 1));
    const halves = Uint16Array.of(1, 0xffff, 3);
    expect(await native.createTensor('cuda:0', 'bfloat16', [3], halves).read()).toEqual(halves);
    expect(await Tensor.from(new Float32Array(), [0, 3], cuda).read()).toEqual(new Float32Array());
  });

  it('copies what is written at the call, and reads in order', async () => {
    const data = Float32Array.of(1, 2, 3);
    const tensor = Tensor.from(data, [3], cuda);
    data.fill(9);
    const before = tensor.read();
    tensor.write(Float32Array.of(4, 5, 6));
    expect(await before).toEqual(Float32Array.of(1, 2, 3));
    expect(await tensor.read()).toEqual(Float32Array.of(4, 5, 6));
  });

  it('reads and writes views of the same memory', async () => {
    const tensor = Tensor.from(Float32Array.of(0, 1, 2, 3, 4, 5), [3, 2], cuda);
    tensor.rows(1, 2).write(Float32Array.of(-2, -3));
    expect(await tensor.read()).toEqual(Float32Array.of(0, 1, -2, -3, 4, 5));
    expect(await guide(tensor.rows(1, 3), tensor.rows(0, 2), 1).read()).toEqual(Float32Array.of(-2, -3, 4, 5));
  });

  it('does not take a tensor for valid because part of it was written after a failure not yet known', async () => {
    for (const on of [cpu, cuda]) {
      const table = Tensor.from(new Float32Array(6), [3, 2], on);
      const ids = Tensor.from(Int32Array.of(0, 9), [2], on);
      const looked = new Tensor(native.embeddingForward(table.handle, ids.handle), 'float32');
      looked.rows(0, 1).write(Float32Array.of(1, 2));
      expect(await messageOf(looked.read())).toMatch(/ValueError: .*got 9/);
      looked.write(Float32Array.of(1, 2, 3, 4));
      expect(await looked.read()).toEqual(Float32Array.of(1, 2, 3, 4));
      await on.synchronize();
    }
  });

  it('keeps the order of work whose memory is used again at once', async () => {
    const results: Promise<Float32Array>[] = [];
    for (let i = 0; i < 50; i++) {
      const [cond, uncond] = [i, -i].map((x) => Tensor.from(new Float32Array(40).fill(x), [4, 10], cuda));
      const guided = guide(cond!, uncond!, 3);
      results.push(guided.read());
      for (const tensor of [cond!, uncond!, guided]) tensor.dispose();
    }
    for (const [i, result] of results.entries()) expect(await result).toEqual(new Float32Array(40).fill(5 * i));
  });

  it('refuses tensors of two devices', () => {
    const [a, b] = [cpu, cuda].map((on) => Tensor.from(new Float32Array(4), [2, 2], on));
    expect(() => guide(a!, b!)).toThrow(/uncond/);
  });

  emulatedOnly('names the size when memory runs out, and goes on', async () => {
    const huge = () => native.createTensor('cuda:0', 'float32', [1 << 29]);
    expect(huge).toThrow(OutOfMemoryError);
    expect(huge).toThrow(/out of memory: cuda:0 gave no 2147483648 bytes; \d+ of its 1073741824 bytes are free/);
    expect(await Tensor.from(Float32Array.of(1), [1], cuda).read()).toEqual(Float32Array.of(1));
    await cuda.trimMemory();
    expect(cuda.memory().reserved).toBeLessThan(1 << 20);
  });

  it('gives cached memory back before it refuses more', async () => {
    const allocate = (floats: number) => native.createTensor('cuda:0', 'float32', [floats]);
    allocate(160 << 20).dispose();
    expect(cuda.memory().reserved).toBeGreaterThanOrEqual(640 << 20);
    allocate(170 << 20).dispose();
    await cuda.trimMemory();
  });

  it('tells how long it worked', async () => {
    const tensor = Tensor.from(new Float32Array(4000), [4, 1000], cuda);
    await cuda.synchronize();
    const nothing = await cuda.time(() => {});
    const much = await cuda.time(() => {
      for (let i = 0; i < 20; i++) guide(tensor, tensor).dispose();
    });
    expect(nothing).toBeGreaterThanOrEqual(0);
    expect(much).toBeGreaterThan(nothing);
    await expect(native.stopTimer('cuda:0')).rejects.toThrow('timer: none is running');
  });
});

describe('what only the emulated CUDA device can see', () => {
  const [NAN, INF] = [Number.NaN, Number.POSITIVE_INFINITY];
  // [cond, uncond (empty: none), scales, counters], one of each per row; two tokens.
  const BAD: [string, number[], number[], number[], number[]][] = [
    ['NaN', [1, 2, NAN, 4], [1, 2, 3, 4], [2, 2], [0, 1]],
    ['+∞ in either branch', [1, 2, 3, INF], [INF, 2, 3, 4], [2, 2], [0, 1]],
    ['NaN beside −∞ of the other branch', [-INF, 2, 3, 4], [NAN, 2, 3, 4], [1, 1], [0, 1]],
    ['both branches bad at one token', [1, NAN, 3, 4], [1, INF, 3, 4], [0, 0], [0, 1]],
    ['guided logits beyond float32', [1, 2, 3e38, -3e38], [1, 2, -3e38, 3e38], [2, 2], [0, 1]],
    ['guided logits beyond float32 downwards', [-3e38, 2, 3, 4], [3e38, 2, 3, 4], [2, 2], [0, 1]],
    ['a scale that is no number', [1, 2, 3, 4], [1, 2, 3, 4], [2, NAN], [0, 1]],
    ['an infinite scale', [NAN, 2, 3, 4], [1, 2, 3, 4], [-INF, INF], [0, 1]],
  ];
  const DRAW_ONLY: typeof BAD = [
    ['NaN in the only branch', [1, 2, 3, NAN], [], [1, 1], [0, 1]],
    ['an empty support', [1, 2, -INF, -INF], [], [1, 1], [0, 1]],
    ['an empty support of two branches', [-INF, 1, 2, 3], [1, -INF, 2, 3], [2, 2], [0, 1]],
    ['a negative counter', [1, 2, 3, NAN], [], [1, 1], [-5, 1]],
    ['the lowest counter', [1, 2, 3, 4], [], [1, 1], [0, -(2 ** 31)]],
  ];
  const tensors = (on: Device, cond: number[], uncond: number[], scales: number[], counters: number[]) =>
    [
      Tensor.from(Float32Array.from(cond), [2, 2], on),
      uncond.length > 0 ? Tensor.from(Float32Array.from(uncond), [2, 2], on) : null,
      Tensor.from(Float32Array.from(scales), [2], on),
      Tensor.from(Int32Array.from(counters), [2], on),
    ] as const;

  it.each(BAD)('is reported by guided logits as on the CPU: %s', async (_, ...data) => {
    const messages: string[] = [];
    for (const on of [cpu, cuda]) {
      const [cond, uncond, scales] = tensors(on, ...data);
      messages.push(await messageOf(guide(cond, uncond!, scales).read()));
    }
    expect(messages[0]).toMatch(/^ValueError: (un)?cond|scale: expected/);
    expect(messages[1]).toBe(messages[0]);
  });

  it.each([...BAD, ...DRAW_ONLY])('is reported by a draw as on the CPU: %s', async (_, ...data) => {
    for (const order of ORDERS) {
      setOrder(order);
      const messages: string[] = [];
      for (const on of [cpu, cuda]) messages.push(await messageOf(draw(...tensors(on, ...data))[1].read()));
      expect(messages[0]).toMatch(/^ValueError: /);
      expect(messages[1]).toBe(messages[0]);
    }
  });

  it('is the lowest row, and in it the lowest token, of many', async () => {
    const cond = new Float32Array(40 * 300).fill(1);
    for (const i of [7 * 300 + 250, 7 * 300 + 299, 8 * 300, 39 * 300 + 5]) cond[i] = Number.NaN;
    const expected = 'ValueError: cond: expected a finite logit or -Infinity at [7, 250], got NaN';
    for (const order of ORDERS) {
      setOrder(order);
      const given = Tensor.from(cond, [40, 300], cuda);
      expect(await messageOf(guide(given, given).read())).toBe(expected);
      expect(await messageOf(draw(given, null, 1)[0].read())).toBe(expected);
    }
    await cuda.synchronize();
  });

  it('poisons what depends on it, once reported or not, and nothing that came before', async () => {
    const good = Tensor.from(Float32Array.of(1, 2), [1, 2], cuda);
    const bad = Tensor.from(Float32Array.of(Number.NaN, 2), [1, 2], cuda);
    const before = guide(good, good);
    const failed = guide(bad, good);
    const dependent = guide(failed, good);
    const unrelated = guide(good, good);
    const rewritten = guide(good, good);
    rewritten.write(Float32Array.of(5, 6));

    expect(await before.read()).toEqual(Float32Array.of(1, 2));
    for (const tensor of [dependent, failed, dependent]) await expect(tensor.read()).rejects.toThrow(ValueError);
    // The device stopped at the fault, so this was not computed either.
    await expect(unrelated.read()).rejects.toThrow('got NaN');
    expect(await rewritten.read()).toEqual(Float32Array.of(5, 6));
    expect(await guide(good, good).read()).toEqual(Float32Array.of(1, 2));
    await expect(guide(dependent, good).read()).rejects.toThrow('got NaN');
    await cuda.synchronize(); // all of it was reported
  });

  it('is that of the first operation, whatever happens in later ones', async () => {
    const withNaN = (at: number) =>
      Tensor.from(
        Float32Array.from({ length: 12 }, (_, i) => (i === at ? Number.NaN : i)),
        [6, 2],
        cuda,
      );
    const [last, first] = [withNaN(11), withNaN(0)];
    const [one, two] = [guide(last, last), guide(first, first)];
    await expect(two.read()).rejects.toThrow('cond: expected a finite logit or -Infinity at [5, 1], got NaN');
    await expect(one.read()).rejects.toThrow('at [5, 1]');
    await expect(guide(first, first).read()).rejects.toThrow('at [0, 0]');
    await cuda.synchronize();
  });

  it('is told by synchronize, once, when nobody has read it', async () => {
    const bad = Tensor.from(Float32Array.of(Number.NaN, 2), [1, 2], cuda);
    const failed = guide(bad, bad);
    await expect(cuda.synchronize()).rejects.toThrow('got NaN');
    await cuda.synchronize();
    await expect(failed.read()).rejects.toThrow('got NaN');
  });

  it('is found before the memory of its victims is given back', async () => {
    const bad = Tensor.from(Float32Array.of(Number.NaN, 2), [1, 2], cuda);
    guide(bad, bad).dispose();
    await cuda.trimMemory();
    await expect(cuda.synchronize()).rejects.toThrow('got NaN');
  });
});
