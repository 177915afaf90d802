import { describe, expect, it } from 'vitest';
import { ValueError } from '../lib/errors.ts';
import { device } from '../lib/tensor/device.ts';
import { add, scale } from '../lib/tensor/operations.ts';
import { Program } from '../lib/tensor/program.ts';
import { scope } from '../lib/tensor/scope.ts';
import { Tensor } from '../lib/tensor/tensor.ts';
import { collectGarbage } from './support/garbage.ts';

const two = (a: number, b: number) => Tensor.from(Float32Array.of(a, b), [2]);

describe('Program', () => {
  it('refuses what it cannot record', async () => {
    const x = two(1, 2);
    const other = new Program(() => void scope(() => scale(x, 2)));
    const only = 'program: expected only operations while a program is recorded, got';
    expect(() => new Program(() => x.write(Float32Array.of(3, 4)))).toThrow(`${only} a write()`);
    expect(() => new Program(() => void x.read())).toThrow(`${only} a read()`);
    expect(() => new Program(() => other.replay())).toThrow(`${only} the replay of another`);
    expect(() => new Program(() => void new Program(() => {}))).toThrow('program: another program is being recorded');
    expect(await x.read()).toEqual(Float32Array.of(1, 2)); // and nothing is being recorded any more
    other.dispose();
    x.dispose();
  });

  it('refuses an asynchronous body', () => {
    const later = (async () => {}) as () => void;
    expect(() => new Program(later)).toThrow(ValueError);
    expect(() => new Program(later)).toThrow(
      'program: expected a synchronous function, got one that returns a Promise',
    );
  });

  it('holds nothing when its recording fails', async () => {
    const cpu = await device('cpu');
    await collectGarbage();
    const x = two(1, 2);
    await cpu.synchronize();
    const { used } = cpu.memory();
    const failing = () =>
      new Program(() => {
        scope(() => void add(scale(x, 2), x));
        throw new RangeError('in the middle');
      });
    expect(failing).toThrow(RangeError);
    expect(cpu.memory().used).toBe(used);
    x.dispose();
  });

  it('gives memory back in time for what is asked for next', async () => {
    const cpu = await device('cpu');
    const elements = 1 << 20;
    const x = Tensor.from(new Float32Array(elements), [elements]);
    let doubled: Tensor | undefined;
    const program = new Program(() => {
      doubled = scale(x, 2);
    });
    try {
      await cpu.trimMemory();
      cpu.setMemoryLimit(cpu.memory().reserved + 4 * elements);
      for (let i = 0; i < 20; i++) program.replay();
      doubled?.dispose();
      program.dispose(); // its replays may still wait
      using larger = Tensor.from(new Float32Array(2 * elements).fill(1), [2 * elements]);
      expect((await larger.read()).at(-1)).toBe(1);
    } finally {
      cpu.setMemoryLimit(null);
    }
    x.dispose();
  });
});
