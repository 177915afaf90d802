import { describe, expect, it } from 'vitest';
import { ValueError } from '../lib/errors.ts';
import { native } from '../lib/native.ts';
import { device } from '../lib/tensor/device.ts';
import { matmul } from '../lib/tensor/operations.ts';
import { scope } from '../lib/tensor/scope.ts';
import { Tensor } from '../lib/tensor/tensor.ts';

describe('Device.time', () => {
  it('measures the operations between its two ends', async () => {
    const cpu = await device('cpu');
    const a = Tensor.from(new Float32Array(384 * 384).fill(1), [384, 384]);
    const work = (times: number) => () => {
      for (let i = 0; i < times; i++) scope(() => void matmul(a, a));
    };
    await cpu.time(work(4));
    const [nothing, much] = [await cpu.time(() => {}), await cpu.time(work(40))];
    expect(nothing).toBeGreaterThanOrEqual(0);
    expect(much).toBeGreaterThan(4 * nothing);
    const started = performance.now();
    const timed = await cpu.time(work(10));
    expect(timed).toBeGreaterThan(0);
    expect(timed).toBeLessThan(performance.now() - started + 1);
    a.dispose();
  });

  it('is ended by a body that throws, and cannot be nested', async () => {
    const cpu = await device('cpu');
    await expect(
      cpu.time(() => {
        throw new RangeError('mine');
      }),
    ).rejects.toThrow(RangeError);
    let inner: Promise<number> | undefined;
    await cpu.time(() => {
      inner = cpu.time(() => {});
      inner.catch(() => {});
    });
    await expect(inner).rejects.toThrow(ValueError);
    await expect(native.stopTimer('cpu')).rejects.toThrow('timer: none is running');
    expect(await cpu.time(() => {})).toBeGreaterThanOrEqual(0);
  });

  it('takes TensorFloat-32 as a setting that means nothing on the CPU', async () => {
    const cpu = await device('cpu');
    const a = Tensor.from(Float32Array.of(1 + 2 ** -20, 0, 0, 1), [2, 2]);
    const exact = await matmul(a, a).read();
    cpu.allowTf32(true);
    expect(await matmul(a, a).read()).toEqual(exact);
    cpu.allowTf32(false);
    expect(() => native.setOption('cpu', 'tf16' as 'tf32', true)).toThrow("option: expected 'tf32', got 'tf16'");
  });
});
