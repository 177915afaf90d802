import { describe, expect, it } from 'vitest';
import { device } from '../lib/tensor/device.ts';
import { add, scale } from '../lib/tensor/operations.ts';
import { scope } from '../lib/tensor/scope.ts';
import { Tensor } from '../lib/tensor/tensor.ts';
import { type PlacedInputs, RecordedPasses } from '../lib/training/recorded-passes.ts';
import { collectGarbage } from './support/garbage.ts';

class Placed implements PlacedInputs<Float32Array> {
  readonly x: Tensor;
  constructor(values: Float32Array) {
    this.x = Tensor.from(values, [values.length]);
  }
  write(values: Float32Array): void {
    this.x.write(values);
  }
  get tensors() {
    return [this.x];
  }
}

/** x → [2x + state], counting how often its operations are dispatched. */
function doubling(most?: number) {
  const state = Tensor.from(Float32Array.of(100, 200), [2]);
  let dispatched = 0;
  const passes = new RecordedPasses<Float32Array, Placed>(
    {
      place: (values) => new Placed(values),
      run: ({ x }) => {
        dispatched++;
        return [add(scale(x, 2), state)];
      },
    },
    most,
  );
  const run = async (key: string | null, ...values: number[]) => {
    const results = scope(() => passes.run(key, Float32Array.from(values)));
    const read = Promise.all(results.map((t) => t.read()));
    for (const tensor of results) tensor.dispose();
    return [...((await read)[0] as Float32Array)];
  };
  return { state, passes, run, dispatched: () => dispatched };
}

describe('RecordedPasses', () => {
  it('records at the second run of a key and replays from then on, with the same results', async () => {
    const { state, passes, run, dispatched } = doubling();
    for (const [i, x] of [1, 2, 3, 4, 5].entries()) {
      expect(await run('a', x, -x)).toEqual([100 + 2 * x, 200 - 2 * x]);
      expect(dispatched()).toBe(Math.min(i + 1, 2));
    }
    state.write(Float32Array.of(0, 0)); // what outlasts the pass may change
    expect(await run('a', 7, 8)).toEqual([14, 16]);
    passes.dispose();
  });

  it('never records without a key', async () => {
    const { passes, run, dispatched } = doubling();
    for (const x of [1, 2, 3]) expect(await run(null, x, x)).toEqual([100 + 2 * x, 200 + 2 * x]);
    expect(dispatched()).toBe(3);
    passes.dispose();
  });

  it('keeps the recordings of what comes most often', async () => {
    const { passes, run, dispatched } = doubling(2);
    for (const key of ['a', 'a', 'b', 'b', 'b', 'c', 'c']) await run(key, 1, 1);
    expect(dispatched()).toBe(6); // c has not come more often than a
    await run('c', 1, 1); // recorded in the place of a
    expect(dispatched()).toBe(7);
    for (const key of ['b', 'c', 'b', 'c']) expect(await run(key, 3, 4)).toEqual([106, 208]);
    expect(dispatched()).toBe(7);
    for (const key of ['a', 'd', 'a', 'd']) expect(await run(key, 3, 4)).toEqual([106, 208]);
    expect(dispatched()).toBe(11);
    for (const key of ['b', 'c']) await run(key, 1, 1); // and were not driven out
    expect(dispatched()).toBe(11);
    passes.dispose();
  });

  it('reads what an earlier replay gave although a later one is queued', async () => {
    const { passes, run } = doubling();
    await run('a', 0, 0);
    const all = await Promise.all([1, 2, 3, 4].map((x) => run('a', x, x)));
    expect(all).toEqual([1, 2, 3, 4].map((x) => [100 + 2 * x, 200 + 2 * x]));
    passes.dispose();
  });

  it('holds nothing after dispose()', async () => {
    const cpu = await device('cpu');
    await collectGarbage(); // what other tests have left
    const { state, passes, run } = doubling();
    await cpu.synchronize();
    const { used } = cpu.memory();
    for (const key of ['a', 'a', 'b', 'b']) await run(key, 1, 1);
    await cpu.synchronize();
    expect(cpu.memory().used).toBeGreaterThan(used);
    passes.dispose();
    expect(cpu.memory().used).toBe(used);
    state.dispose();
  });

  it('frees recordings for a pass that finds no memory, and does without where they do not fit', async () => {
    const cpu = await device('cpu');
    const n = 1 << 18;
    let dispatched = 0;
    // Intermediate results of several sizes, one after the other: a recording holds the memory of all.
    const passesOf = () =>
      new RecordedPasses<Float32Array, Placed>({
        place: (values) => new Placed(values),
        run: ({ x }) => {
          dispatched++;
          for (const part of [n, n / 2, n / 4]) scope(() => void scale(x.rows(0, part), 2));
          return [scale(x.rows(0, 1), 3)];
        },
      });
    const run = async (passes: RecordedPasses<Float32Array, Placed>, x: number): Promise<number[]> => {
      const results = scope(() => passes.run('a', new Float32Array(n).fill(x)));
      const read = Promise.all(results.map((t) => t.read()));
      for (const tensor of results) tensor.dispose();
      return [(await read)[0]?.[0] as number, dispatched];
    };
    const [first, second] = [passesOf(), passesOf()];
    try {
      await cpu.trimMemory();
      const { reserved } = cpu.memory();
      cpu.setMemoryLimit(reserved + 4 * 3 * n);
      expect(await run(first, 1)).toEqual([3, 1]);
      expect(await run(first, 2)).toEqual([6, 2]);
      expect(await run(first, 3)).toEqual([9, 2]); // recorded
      expect(await run(second, 4)).toEqual([12, 3]); // the first one's recording makes room
      expect(await run(first, 5)).toEqual([15, 4]); // recorded anew
      expect(await run(first, 6)).toEqual([18, 4]);
      first.dispose();
      await cpu.trimMemory();
      cpu.setMemoryLimit(reserved + 4 * (2 * n + n / 4));
      expect(await run(second, 7)).toEqual([21, 6]); // its recording does not fit: begun, then not tried again
      expect(await run(second, 8)).toEqual([24, 7]);
      expect(await run(second, 9)).toEqual([27, 8]);
    } finally {
      cpu.setMemoryLimit(null);
    }
    first.dispose();
    second.dispose();
  });
});
