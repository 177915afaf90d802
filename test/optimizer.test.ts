import { describe, expect, it } from 'vitest';
import { OutOfMemoryError } from '../lib/errors.ts';
import { device } from '../lib/tensor/device.ts';
import { Tensor } from '../lib/tensor/tensor.ts';
import { Optimizer } from '../lib/training/optimizer.ts';

describe('Optimizer', () => {
  it('forgets the gradients of an update that found no memory, and changes nothing', async () => {
    const cpu = await device('cpu');
    const weight = Tensor.from(Float32Array.of(1, 2), [2]);
    const optimizer = new Optimizer([{ name: 'weight', tensor: weight }], { learningRate: 0.1 });
    const accumulate = () => optimizer.accumulate(new Map([[weight, Tensor.from(Float32Array.of(3, 4), [2])]]));
    accumulate();
    await cpu.trimMemory();
    cpu.setMemoryLimit(0);
    try {
      await expect(optimizer.apply()).rejects.toThrow(OutOfMemoryError);
    } finally {
      cpu.setMemoryLimit(null);
    }
    expect(optimizer.steps).toBe(0);
    expect(await weight.read()).toEqual(Float32Array.of(1, 2));
    accumulate();
    expect(await optimizer.apply()).toBe(5);
    expect(optimizer.steps).toBe(1);
    optimizer.dispose();
    weight.dispose();
  });
});
