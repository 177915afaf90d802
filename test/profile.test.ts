import { afterEach, describe, expect, it } from 'vitest';
import { native } from '../lib/native.ts';
import { device } from '../lib/tensor/device.ts';
import { add, matmul } from '../lib/tensor/operations.ts';
import { Tensor } from '../lib/tensor/tensor.ts';

afterEach(() => {
  native.profile(false);
});

describe('profile', () => {
  it('counts launches, time, flops and bytes by operation and shape while it is on', async () => {
    const a = Tensor.from(new Float32Array(6 * 4).fill(1), [6, 4]);
    const b = Tensor.from(new Float32Array(4 * 5).fill(1), [4, 5]);
    const cpu = await device('cpu');
    matmul(a, b);
    await cpu.synchronize();
    native.profile(true);
    const c = matmul(a, b);
    matmul(a, b);
    matmul(b, a, { transposeA: true, transposeB: true });
    add(c, c);
    await cpu.synchronize();
    const operations = native.profile(false);
    add(c, c);
    await cpu.synchronize();
    expect(native.profile()).toEqual(operations);

    const found = Object.fromEntries(
      operations.map(({ name, shape, ...figures }) => [`${name} ${shape}`.trim(), figures]),
    );
    expect(Object.keys(found).sort()).toEqual(['add', 'matmul 5 × 4 (aᵀ) · 4 × 6 (bᵀ)', 'matmul 6 × 4 · 4 × 5']);
    expect(found['matmul 6 × 4 · 4 × 5']).toMatchObject({ calls: 2, flops: 2 * 2 * 6 * 4 * 5, bytes: 0 });
    expect(found['matmul 5 × 4 (aᵀ) · 4 × 6 (bᵀ)']).toMatchObject({ calls: 1, flops: 2 * 6 * 4 * 5 });
    expect(found.add).toMatchObject({ calls: 1, flops: 0, bytes: 3 * 4 * 30 });
    for (const { seconds } of operations) expect(seconds).toBeGreaterThan(0);
    const times = operations.map(({ seconds }) => seconds);
    expect(times).toEqual(times.toSorted((x, y) => y - x));

    native.profile(true);
    expect(native.profile(false)).toEqual([]);
  });

  it('has a yardstick: at least as many flops as asked for', () => {
    expect(native.multiplyAdds(1000)).toBeGreaterThanOrEqual(2 * 1000);
    expect(() => native.multiplyAdds(0)).toThrow(/rounds/);
  });
});
