import { device, operations, ShapeError, scope, Tape, Tensor, ValueError } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { Program } from '../lib/tensor/program.ts';
import { counting, inTime, numbers, POISON, poisoned } from './support/small-tensors.ts';

const { add, embedding, matmul, scale } = operations;
const cpu = await device('cpu');

describe('Tape', () => {
  const gradient = (map: Map<Tensor, Tensor>, of: Tensor): Promise<number[]> => numbers(map.get(of)!);

  it('adds up the gradients of a tensor that is used more than once', async () => {
    const x = counting([2]);
    const tape = new Tape([x]);
    // y = x + (3x + 2(x + x)) = 8x
    const y = tape.record(() => add(x, add(scale(x, 3), scale(add(x, x), 2))));
    const gradients = tape.backward([[y, Tensor.from(Float32Array.of(1, 10), [2])]]);
    expect([...gradients.keys()]).toEqual([x]);
    expect(await gradient(gradients, x)).toEqual([8, 80]);
  });

  it('adds up several seeds, also of one output, of an input to another, and of a watched tensor', async () => {
    const x = counting([2]);
    const tape = new Tape([x]);
    const [y, z] = tape.record(() => {
      const double = scale(x, 2);
      return [double, scale(double, 5)] as const;
    });
    const ones = () => Tensor.from(Float32Array.of(1, 1), [2]);
    const gradients = tape.backward([
      [z, ones()],
      [y, ones()],
      [z, ones()],
      [x, ones()],
    ]);
    // 10 + 2 + 10 + 1
    expect(await gradient(gradients, x)).toEqual([23, 23]);
  });

  it('gives gradients that are their own, whatever becomes of the seed and of the scope', async () => {
    const x = counting([2]);
    const gradients = scope(() => {
      const tape = new Tape([x]);
      const y = tape.record(() => x.reshape([2]));
      // A view is no operation: only operations.reshape is recorded.
      expect(tape.tracks(y)).toBe(false);
      const z = tape.record(() => operations.reshape(x, [1, 2]));
      return tape.backward([[z, Tensor.from(Float32Array.of(3, 4), [1, 2])]]);
    });
    expect(gradients.get(x)!.shape).toEqual([2]);
    expect(await gradient(gradients, x)).toEqual([3, 4]);
  });

  it('leaves out what does not depend on the outputs, and what is not watched', () => {
    const [x, y, constant] = [counting([2]), counting([2]), counting([2])];
    const tape = new Tape([x, y]);
    const z = tape.record(() => add(scale(x, 2), scale(constant, 3)));
    expect([...tape.backward([[z, counting([2])]]).keys()]).toEqual([x]);
  });

  it('records only during its synchronous callback', async () => {
    const x = counting([2]);
    const tape = new Tape([x]);
    let later!: Tensor;
    const first = tape.record(() => scale(x, 2));
    const pending = tape.record(async () => {
      await Promise.resolve();
      later = scale(x, 3);
    });
    const outside = scale(x, 4);
    await pending;
    expect([first, later, outside].map((tensor) => tape.tracks(tensor))).toEqual([true, false, false]);
    expect(() => tape.record(() => scale(x, Number.NaN))).toThrow();
    expect(tape.tracks(scale(x, 5))).toBe(false);
  });

  it('nests: an inner tape records alone, then the outer one goes on', async () => {
    const x = counting([1]);
    const [outer, inner] = [new Tape([x]), new Tape([x])];
    const [a, b, c] = outer.record(() => {
      const before = scale(x, 2);
      const within = inner.record(() => scale(x, 3));
      return [before, within, scale(x, 4)] as const;
    });
    expect([a, b, c].map((tensor) => outer.tracks(tensor))).toEqual([true, false, true]);
    expect(await gradient(inner.backward([[b, counting([1])]]), x)).toEqual([3]);
  });

  it('refuses an output it did not record, one of an earlier pass, and a gradient of another shape', () => {
    const x = counting([2]);
    const tape = new Tape([x]);
    const seed = () => counting([2]);
    const untracked = /^output: expected a tensor recorded on this tape that depends on a watched one$/;
    expect(() => tape.backward([[scale(x, 2), seed()]])).toThrow(ValueError);
    expect(() => tape.backward([[scale(x, 2), seed()]])).toThrow(untracked);
    const constant = tape.record(() => scale(counting([2]), 2));
    expect(() => tape.backward([[constant, seed()]])).toThrow(untracked);
    const y = tape.record(() => scale(x, 2));
    expect(() => tape.backward([[y, counting([3])]])).toThrow(ShapeError);
    expect(() => tape.backward([[y, counting([3])]])).toThrow(/^gradient: expected \[2\] like its output, got \[3\]$/);
    expect(tape.backward([[y, seed()]]).size).toBe(1);
    expect(() => tape.backward([[y, seed()]])).toThrow(untracked);
  });

  it('carries a poisoned value into the gradient, which rejects', async () => {
    const x = counting([2, 2]);
    const tape = new Tape([x]);
    const y = tape.record(() => matmul(x, poisoned()));
    const gradients = tape.backward([[y, counting([2, 3])]]);
    await expect(inTime(gradients.get(x)!.read())).rejects.toThrow(POISON);
    await inTime(cpu.synchronize()).catch(() => {});
  });
});

describe('Program', () => {
  it('runs its operations when replayed, on what its tensors hold then', async () => {
    const x = counting([2]);
    let y!: Tensor;
    const program = new Program(() => {
      y = add(scale(x, 10), x);
    });
    program.replay();
    expect(await numbers(y)).toEqual([11, 22]);
    x.write(Float32Array.of(3, 4));
    expect(await numbers(y)).toEqual([11, 22]);
    program.replay();
    program.replay();
    expect(await numbers(y)).toEqual([33, 44]);
    // The program itself holds what it works on.
    x.dispose();
    program.replay();
    expect(await numbers(y)).toEqual([33, 44]);
    program.dispose();
    program.dispose();
    expect(() => program.replay()).toThrow(/^program: the program was disposed$/);
    expect(await numbers(y)).toEqual([33, 44]);
  });

  it('poisons its outputs when a replay fails, and heals with the next one', async () => {
    const ids = Tensor.from(Int32Array.of(0, 5), [2]);
    const table = counting([2, 1]);
    let y!: Tensor;
    const program = new Program(() => {
      y = embedding(table, ids);
    });
    program.replay();
    await expect(inTime(y.read())).rejects.toThrow(POISON);
    ids.write(Int32Array.of(1, 0));
    program.replay();
    expect(await numbers(y)).toEqual([2, 1]);
  });

  it('passes an error of its body on, and stops recording', async () => {
    const error = new Error('mine');
    const body = () =>
      new Program(() => {
        throw error;
      });
    expect(body).toThrow(error);
    expect(await numbers(scale(counting([2]), 2))).toEqual([2, 4]);
    expect(() => new Program(() => void new Program(() => {}))).toThrow(/^program: another program is being recorded$/);
    expect(await numbers(scale(counting([2]), 3))).toEqual([3, 6]);
  });
});
