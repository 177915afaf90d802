import {
  DTypeError,
  device,
  keep,
  OutOfMemoryError,
  operations,
  ShapeError,
  scope,
  Tensor,
  ValueError,
} from 'cfgdistill';
import { afterEach, describe, expect, it } from 'vitest';
import { counting, inTime, numbers, POISON, poisoned } from './support/small-tensors.ts';

const { add, embedding, matmul, scale } = operations;
const cpu = await device('cpu');

describe('Tensor', () => {
  it('copies what it is made from, and what it is read to', async () => {
    const data = Float32Array.of(1, 2, 3, 4);
    const tensor = Tensor.from(data.subarray(1), [3, 1]);
    data.fill(0);
    const first = await tensor.read();
    expect(first).toEqual(Float32Array.of(2, 3, 4));
    first.fill(9);
    expect(await numbers(tensor)).toEqual([2, 3, 4]);
    expect(tensor).toMatchObject({ shape: [3, 1], dtype: 'float32', size: 3, disposed: false, deviceId: 'cpu' });
    expect(tensor.device).toBe(cpu);
  });

  it('knows int32, scalars and empty shapes', async () => {
    const ids = Tensor.from(Int32Array.of(-1, 2 ** 31 - 1), [2]);
    expect(await ids.read()).toEqual(Int32Array.of(-1, 2 ** 31 - 1));
    expect(await Tensor.zeros([2, 2], { dtype: 'int32' }).read()).toEqual(new Int32Array(4));
    expect(await numbers(counting([]))).toEqual([1]);
    expect(await numbers(Tensor.zeros([3, 0]))).toEqual([]);
  });

  it('runs in order: a write changes what comes later, not what came before', async () => {
    const x = counting([2]);
    const before = scale(x, 10);
    x.write(Float32Array.of(5, 6));
    const after = scale(x, 10);
    expect([await numbers(before), await numbers(after)]).toEqual([
      [10, 20],
      [50, 60],
    ]);
  });

  it('shares memory between views, and keeps it as long as one of them lives', async () => {
    const x = counting([4, 2]);
    const flat = x.reshape([-1]);
    const rows = x.rows(1, 3);
    expect([flat.shape, rows.shape]).toEqual([[8], [2, 2]]);
    rows.write(Float32Array.of(-3, -4, -5, -6));
    expect(await numbers(x)).toEqual([1, 2, -3, -4, -5, -6, 7, 8]);
    expect(await numbers(flat.reshape([2, 4]).rows(1, 2))).toEqual([-5, -6, 7, 8]);
    x.dispose();
    expect(flat.disposed).toBe(false);
    expect(await numbers(flat)).toEqual([1, 2, -3, -4, -5, -6, 7, 8]);
    expect(await numbers(rows.rows(2, 2))).toEqual([]);
  });

  it('refuses shapes and data that do not fit, by name', () => {
    expect(() => Tensor.from(new Float32Array(3), [4])).toThrow(ShapeError);
    expect(() => Tensor.from(new Float32Array(3), [4])).toThrow(/^data: expected 4 elements, got 3$/);
    expect(() => Tensor.from(new Float32Array(2), [-2])).toThrow(/^shape: expected an integer from 0 .*, got -2$/);
    expect(() => Tensor.from(new Float32Array(3), [1.5, 2])).toThrow(/^shape: .*, got 1\.5$/);
    expect(() => Tensor.zeros([2 ** 30, 2 ** 30])).toThrow(ShapeError);
    expect(() => Tensor.zeros([1, 1, 1, 1, 1, 1, 1])).toThrow(/^shape: expected at most 6 dimensions$/);
    expect(() => Tensor.from(new Float64Array(2) as unknown as Float32Array, [2])).toThrow(DTypeError);
    expect(() => Tensor.from([1, 2] as unknown as Float32Array, [2])).toThrow(
      /^data: expected a Float32Array, got an array$/,
    );
    const x = counting([2, 3]);
    expect(() => x.write(new Float32Array(5))).toThrow(/^data: expected 6 elements, got 5$/);
    expect(() => x.write(new Int32Array(6) as unknown as Float32Array)).toThrow(DTypeError);
    for (const shape of [[5], [4, -1], [-1, -1], [-2, -3], [-6, -1], [0, -1]]) {
      expect(() => x.reshape(shape)).toThrow(ShapeError);
    }
    for (const [begin, end] of [
      [-1, 1],
      [0, 3],
      [2, 1],
      [0, 0.5],
    ] as const) {
      expect(() => x.rows(begin, end)).toThrow(ShapeError);
    }
  });

  it('refuses operands that do not fit each other, by name', () => {
    const ids = Tensor.from(Int32Array.of(0, 1, 1), [3]);
    expect(() => add(counting([3]), counting([4]))).toThrow(ShapeError);
    expect(() => add(counting([3]), counting([4]))).toThrow(/^b: expected \[3\], got \[4\]$/);
    expect(() => add(counting([3]), ids as unknown as Tensor)).toThrow(DTypeError);
    expect(() => add(counting([3]), ids as unknown as Tensor)).toThrow(/^b: expected float32, got int32$/);
    expect(() => matmul(counting([2, 3]), counting([2, 4]))).toThrow(/^b: expected \[3, \*\], got \[2, 4\]$/);
    expect(() => embedding(counting([2, 3]), counting([2]) as unknown as Tensor<'int32'>)).toThrow(
      /^ids: expected int32, got float32$/,
    );
  });

  it('is of no use once it is disposed, and says so', async () => {
    const x = counting([2]);
    const twice = scale(x, 2);
    x.dispose();
    x.dispose();
    expect(x.disposed).toBe(true);
    const gone = /: the tensor was disposed$/;
    const uses = [
      () => x.read(),
      () => x.write(new Float32Array(2)),
      () => x.reshape([1, 2]),
      () => x.rows(0, 1),
      () => scale(x, 2),
      () => add(twice, x),
    ];
    for (const use of uses) {
      expect(use).toThrow(ValueError);
      expect(use).toThrow(gone);
    }
    // What was asked for before stays.
    expect(await numbers(twice)).toEqual([2, 4]);
  });

  it('is disposed at the end of a `using` block, after what was asked of it', async () => {
    let outside: Tensor;
    let reading: Promise<Float32Array>;
    {
      using x = counting([2]);
      outside = x;
      reading = x.read();
    }
    expect(outside.disposed).toBe(true);
    expect(await reading).toEqual(Float32Array.of(1, 2));
  });
});

describe('scope', () => {
  it('disposes what is made in it, but not what it returns', () => {
    let inner!: Tensor;
    const result = scope(() => {
      inner = counting([2]);
      return scale(inner, 2);
    });
    expect([inner.disposed, result.disposed]).toEqual([true, false]);
  });

  it('spares the tensors of a returned array or object, and those given to keep', () => {
    let kept!: Tensor;
    let other!: Tensor;
    const [a, b] = scope(() => {
      kept = keep(counting([1]));
      other = counting([1]);
      return [counting([1]), counting([1])] as const;
    });
    const { c } = scope(() => ({ c: counting([1]), n: 3, nothing: null }));
    expect([a, b, c, kept].some(({ disposed }) => disposed)).toBe(false);
    expect(other.disposed).toBe(true);
  });

  it('nests: what an inner scope returns belongs to the outer one', () => {
    let middle!: Tensor;
    let kept!: Tensor;
    const result = scope(() => {
      middle = scope(() => {
        kept = keep(counting([1]));
        return counting([1]);
      });
      expect(middle.disposed).toBe(false);
      return scope(() => scale(middle, 2));
    });
    expect(middle.disposed).toBe(true);
    expect([result.disposed, kept.disposed]).toEqual([false, false]);
  });

  it('leaves what was made outside alone', () => {
    const outside = counting([1]);
    expect(scope(() => outside)).toBe(outside);
    scope(() => {
      scale(outside, 2);
    });
    expect(outside.disposed).toBe(false);
  });

  it('disposes on an error too, which passes through, and ends', () => {
    let inner!: Tensor;
    const error = new Error('mine');
    const body = () =>
      scope(() => {
        inner = counting([1]);
        throw error;
      });
    expect(body).toThrow(error);
    expect(inner.disposed).toBe(true);
    expect(counting([1]).disposed).toBe(false);
  });

  it('refuses a function that returns a Promise, disposing what it made', async () => {
    let inner!: Tensor;
    const asynchronous = () =>
      scope(async () => {
        inner = counting([1]);
        await Promise.resolve();
        throw new Error('must not go unhandled');
      });
    expect(asynchronous).toThrow(ValueError);
    expect(asynchronous).toThrow(/^scope: expected a synchronous function, got one that returns a Promise$/);
    expect(inner.disposed).toBe(true);
    await new Promise((resolve) => setImmediate(resolve));
  });
});

describe('what only the device can see', () => {
  it('rejects every read, also of what is computed from it, and then nothing else', async () => {
    const bad = poisoned();
    const derived = add(scale(bad, 2), counting([2, 3]));
    for (const tensor of [bad, bad, derived, derived.reshape([6])]) {
      await expect(inTime(tensor.read())).rejects.toThrow(ValueError);
      await expect(inTime(tensor.read())).rejects.toThrow(POISON);
    }
    expect(await numbers(scale(counting([2]), 2))).toEqual([2, 4]);
    await inTime(cpu.synchronize());
  });

  it('rejects synchronize() once, where no read told', async () => {
    const bad = poisoned();
    await expect(inTime(cpu.synchronize())).rejects.toThrow(POISON);
    await inTime(cpu.synchronize());
    await expect(inTime(bad.read())).rejects.toThrow(POISON);
  });

  it('is over when the content is replaced', async () => {
    const bad = poisoned();
    bad.write(new Float32Array(6).fill(3));
    expect(await numbers(bad)).toEqual([3, 3, 3, 3, 3, 3]);
    await inTime(cpu.synchronize()).catch(() => {});
  });

  it('does not hang or crash when a poisoned tensor is disposed unread', async () => {
    for (let i = 0; i < 50; i++) scale(poisoned(), 2).dispose();
    await inTime(cpu.synchronize()).catch((error: Error) => expect(error.message).toMatch(POISON));
    expect(await numbers(counting([2]))).toEqual([1, 2]);
  });
});

describe('memory', () => {
  afterEach(() => cpu.setMemoryLimit(null));

  it('is counted, and given back', async () => {
    await cpu.trimMemory();
    const { used } = cpu.memory({ resetPeak: true });
    const x = Tensor.zeros([1 << 18]);
    expect(cpu.memory().used - used).toBe(1 << 20);
    x.dispose();
    await cpu.synchronize();
    expect(cpu.memory()).toMatchObject({ used, peak: used + (1 << 20) });
    await cpu.trimMemory();
    expect(cpu.memory().reserved).toBeLessThan(used + (1 << 20));
  });

  it('beyond the limit is refused with the size that was asked for, and there again when it is lifted', async () => {
    await cpu.trimMemory();
    cpu.setMemoryLimit(cpu.memory().reserved + 1_000_000);
    const small = Tensor.zeros([100_000]);
    const ask = () => Tensor.zeros([300_000]);
    expect(ask).toThrow(OutOfMemoryError);
    expect(ask).toThrow(/1200000 bytes asked for.*the limit is \d+/);
    expect(() => add(small, small).dispose()).not.toThrow();
    expect(await numbers(small.rows(0, 2))).toEqual([0, 0]);
    await inTime(cpu.synchronize());
    cpu.setMemoryLimit(null);
    expect((await inTime(ask().read())).length).toBe(300_000);
  });

  it('cached for other sizes makes room before a request is refused', async () => {
    await cpu.trimMemory();
    cpu.setMemoryLimit(cpu.memory().reserved + 3_000_000);
    const cached = Tensor.zeros([500_000]);
    cached.dispose(); // its filling may still be queued
    const other = Tensor.zeros([700_000]);
    expect(await numbers(other.rows(0, 2))).toEqual([0, 0]);
  });

  it('limits are checked by name', () => {
    expect(() => cpu.setMemoryLimit(-1)).toThrow(/^bytes: expected an integer from 0 .*, got -1$/);
    expect(() => cpu.setMemoryLimit(Number.NaN)).toThrow(ValueError);
  });

  it('that the system does not have is an error, not a crash', () => {
    expect(() => Tensor.zeros([2 ** 39])).toThrow(OutOfMemoryError);
    expect(() => Tensor.zeros([2 ** 39])).toThrow(/2199023255552 bytes/);
  });
});
