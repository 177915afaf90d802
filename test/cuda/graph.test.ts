import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DeviceError } from '../../lib/errors.ts';
import { native } from '../../lib/native.ts';
import { type Device, device } from '../../lib/tensor/device.ts';
import { Program } from '../../lib/tensor/program.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { BUILD_TIMEOUT, ORDERS, setOrder, useEmulatedDevice } from '../support/emulated-device.ts';
import { submissionsOf } from '../support/emulation-trace.ts';

let cpu: Device;
let cuda: Device;
beforeAll(async () => {
  useEmulatedDevice();
  [cpu, cuda] = await Promise.all([device('cpu'), device('cuda')]);
}, BUILD_TIMEOUT);
afterEach(async () => {
  setOrder('forward');
  delete process.env.CFGDISTILL_EMULATION_FAULT;
  await cuda.synchronize(); // every error was told
});

const guide = (cond: Tensor, uncond: Tensor, scale = 2): Tensor =>
  new Tensor(native.guidedLogits(cond.handle, uncond.handle, scale), 'float32');
const row = (on: Device, ...values: number[]): Tensor => Tensor.from(Float32Array.from(values), [1, values.length], on);
const outcome = (tensor: Tensor): Promise<number[] | string> =>
  tensor.read().then(
    (data) => Array.from(data),
    (error: Error) => error.message,
  );
const NAN_AT_0 = 'cond: expected a finite logit or -Infinity at [0, 0], got NaN';

/** first = 2·x − y, second = 2·first − y, third = 2·second − y */
function chain(on: Device) {
  const [x, y] = [row(on, 1, 2), row(on, 1, 1)];
  const made: Tensor[] = [];
  const program = new Program(() => {
    for (let i = 0, last = x; i < 3; i++) {
      last = guide(last, y);
      made.push(last);
    }
  });
  const [first, second, third] = made as [Tensor, Tensor, Tensor];
  return { x, y, first, second, third, program };
}

/** A generation whose drawing fails after `capacity` tokens. */
function generation(on: Device, capacity: number) {
  const [x, y] = [row(on, 1, 2, 0), row(on, 1, 1, 1)];
  const ints = (...values: number[]) => Tensor.from(Int32Array.from(values), [values.length], on);
  const state = { position: ints(0), finished: ints(0), unfinished: ints(1), next: ints(-1) };
  const streams = ints(3);
  const scales = Tensor.from(Float32Array.of(1), [1], on);
  const history = Tensor.from(new Int32Array(capacity).fill(-9), [1, capacity], on);
  const logProbs = Tensor.from(new Float32Array(capacity), [1, capacity], on);
  let guided: Tensor | undefined;
  const program = new Program(() => {
    guided = guide(x, y);
    native.decodeSample(
      ...([guided.handle, scales.handle, streams.handle, 1, undefined, undefined, 5, undefined] as const),
      ...([state.position.handle, state.finished.handle, state.unfinished.handle, state.next.handle] as const),
      ...([history.handle, logProbs.handle] as const),
    );
  });
  return { x, y, guided: guided as Tensor, ...state, history, logProbs, program };
}

describe('a program on the emulated CUDA device', () => {
  it('is one launch from its second replay on', async () => {
    const { program, third } = chain(cuda);
    await cuda.synchronize();
    const counted = [];
    for (let i = 0; i < 4; i++) {
      counted.push(
        await submissionsOf(async () => {
          program.replay();
          await cuda.synchronize();
        }),
      );
    }
    expect(counted.map(({ kernel, graph, copy }) => [kernel, graph, copy])).toEqual([
      [3, 0, 1], // the copy is that of the fault record
      [0, 1, 1],
      [0, 1, 1],
      [0, 1, 1],
    ]);
    expect(await third.read()).toEqual(Float32Array.of(1, 9));
    const many = await submissionsOf(async () => {
      for (let i = 0; i < 100; i++) program.replay();
      await cuda.synchronize();
    });
    expect(many).toMatchObject({ kernel: 0, graph: 100, wait: 1 });
  });

  it('gives what its operations give, on what was written between replays', async () => {
    for (const order of ORDERS) {
      setOrder(order);
      const results = [];
      for (const on of [cpu, cuda]) {
        const { x, y, first, second, third, program } = chain(on);
        const read: Promise<Float32Array>[] = [];
        for (let i = 0; i < 5; i++) {
          program.replay();
          read.push(first.read(), second.read(), third.read());
          x.write(Float32Array.of(i, -i));
          if (i === 3) y.write(Float32Array.of(0.5, Number.NEGATIVE_INFINITY));
        }
        results.push(await Promise.all(read));
      }
      expect(results[1]).toEqual(results[0]);
    }
  });

  it('keeps its own state, in place', async () => {
    const [here, there] = await Promise.all(
      [cpu, cuda].map(async (on) => {
        const { program, history, logProbs, position, next } = generation(on, 9);
        for (let i = 0; i < 7; i++) program.replay();
        return [await history.read(), await position.read(), await next.read(), await logProbs.read()];
      }),
    );
    expect(here?.[1]).toEqual(Int32Array.of(7));
    expect(there?.slice(0, 3)).toEqual(here?.slice(0, 3));
    for (const [i, value] of (there?.[3] ?? []).entries()) expect(value).toBeCloseTo(here?.[3]?.[i] as number, 5);
  });

  it.each([1, 2, 3, 6])('fails in replay %i as on the CPU, with what came before intact', async (failing) => {
    for (const order of ORDERS) {
      setOrder(order);
      const { program, guided, history, position } = generation(cuda, failing - 1 || 1);
      if (failing === 1) position.write(Int32Array.of(1));
      const after: Tensor[] = [];
      for (let i = 1; i <= failing + 2; i++) {
        program.replay();
        after.push(guide(guided, guided, 1));
      }
      const outcomes = await Promise.all(after.map(outcome));
      const expected = `position: expected a position in the history's capacity of ${failing - 1 || 1}, got ${failing - 1 || 1}`;
      for (const [i, result] of outcomes.entries())
        expect(result, `after replay ${i + 1}`).toEqual(i + 1 < failing ? [1, 3, -1] : expected);
      for (const tensor of [history, position, guided]) await expect(tensor.read()).rejects.toThrow(expected);
    }
  });

  it('tells the failing operation from those before and behind it', async () => {
    for (const warm of [0, 1, 2]) {
      const { x, y, first, second, third, program } = chain(cuda);
      for (let i = 0; i < warm; i++) program.replay();
      // 2·2e38 − 1 is beyond float32 in the second of the three.
      x.write(Float32Array.of(1e38, 2));
      program.replay();
      const expected = 'scale: expected guided logits within float32 at [0, 0], got Infinity';
      expect(await outcome(third)).toBe(expected);
      expect(await outcome(second)).toBe(expected);
      expect((await first.read())[0]).toBeCloseTo(2e38, -32);
      // Clean inputs make clean outputs again.
      x.write(Float32Array.of(1, 2));
      program.replay();
      for (const [tensor, value] of [
        [first, 3],
        [second, 5],
        [third, 9],
      ] as const)
        expect(await outcome(tensor)).toEqual([1, value]);
      y.dispose();
    }
  });

  it('runs nothing after a failure that is not yet known, its own or another', async () => {
    const { x, third, program } = chain(cuda);
    for (let i = 0; i < 3; i++) program.replay();
    const other = chain(cuda);
    for (let i = 0; i < 2; i++) other.program.replay();
    await cuda.synchronize();
    const bad = row(cuda, Number.NaN, 1);
    program.replay();
    const before = guide(third, third, 1);
    const failed = guide(bad, bad);
    x.write(Float32Array.of(5, 5));
    program.replay();
    other.program.replay();
    const after = guide(third, third, 1);
    expect(await outcome(before)).toEqual([1, 9]);
    for (const tensor of [failed, third, other.first, after]) expect(await outcome(tensor)).toBe(NAN_AT_0);
    program.replay();
    expect(await outcome(third)).toEqual([33, 33]);
    other.program.replay();
    expect(await outcome(other.third)).toEqual([1, 9]);
  });

  it('tells the first of several failing replays', async () => {
    const { x, third, program } = chain(cuda);
    for (let i = 0; i < 3; i++) program.replay();
    x.write(Float32Array.of(1, Number.NaN));
    program.replay();
    x.write(Float32Array.of(Number.NaN, 1));
    program.replay();
    program.replay();
    expect(await outcome(third)).toBe('cond: expected a finite logit or -Infinity at [0, 1], got NaN');
    program.replay();
    expect(await outcome(third)).toBe(NAN_AT_0);
  });

  it('goes operation by operation where an input is poisoned', async () => {
    const { x, y, first, third, program } = chain(cuda);
    for (let i = 0; i < 3; i++) program.replay();
    await cuda.synchronize();
    const bad = row(cuda, Number.NaN, 1);
    const poisoned = guide(bad, bad);
    expect(await outcome(poisoned)).toBe(NAN_AT_0);
    let last: Tensor | undefined;
    let unharmed: Tensor | undefined;
    const mixed = new Program(() => {
      last = guide(poisoned, y);
      unharmed = guide(x, y);
    });
    for (let i = 0; i < 3; i++) mixed.replay();
    expect(await outcome(last as Tensor)).toBe(NAN_AT_0);
    expect(await outcome(unharmed as Tensor)).toEqual([1, 3]);
    poisoned.write(Float32Array.of(2, 2));
    for (let i = 0; i < 3; i++) mixed.replay();
    expect(await outcome(last as Tensor)).toEqual([3, 3]);
    expect(await outcome(first)).toEqual([1, 3]);
    expect(await outcome(third)).toEqual([1, 9]);
  });

  it.each(['no-graphs', 'no-capture'])('needs no graphs (%s)', async (fault) => {
    process.env.CFGDISTILL_EMULATION_FAULT = fault;
    const { x, third, program } = chain(cuda);
    const counted = await submissionsOf(async () => {
      for (let i = 0; i < 3; i++) program.replay();
      await cuda.synchronize();
    });
    expect(counted).toMatchObject({ kernel: 9, graph: 0 });
    expect(await outcome(third)).toEqual([1, 9]);
    x.write(Float32Array.of(Number.NaN, 1));
    program.replay();
    expect(await outcome(third)).toBe(NAN_AT_0);
  });

  it('may be disposed while its replays wait', async () => {
    for (let i = 0; i < 20; i++) {
      const { x, y, third, program } = chain(cuda);
      for (let k = 0; k < 4; k++) program.replay();
      program.dispose();
      for (const tensor of [x, y]) tensor.dispose();
      row(cuda, 7, 7).dispose(); // takes up memory that became free
      expect(await outcome(third)).toEqual([1, 9]);
      expect(() => program.replay()).toThrow('program: the program was disposed');
    }
    await cuda.trimMemory();
  });

  it('is recorded again after a setting has changed', async () => {
    const { third, program } = chain(cuda);
    for (let i = 0; i < 3; i++) program.replay();
    cuda.allowTf32(true);
    for (let i = 0; i < 3; i++) program.replay();
    cuda.allowTf32(false);
    program.replay();
    expect(await outcome(third)).toEqual([1, 9]);
  });

  it('stays on one device', () => {
    const [a, b] = [row(cpu, 1, 2), row(cuda, 1, 2)];
    const both = () =>
      new Program(() => {
        guide(a, a);
        guide(b, b);
      });
    expect(both).toThrow(DeviceError);
    expect(both).toThrow('program: expected operations on one device, got some on cpu and some on cuda:0');
  });
});
