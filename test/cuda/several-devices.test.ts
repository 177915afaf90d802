import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeviceError, OutOfMemoryError } from '../../lib/errors.ts';
import { native } from '../../lib/native.ts';
import { type Device, device } from '../../lib/tensor/device.ts';
import { Program } from '../../lib/tensor/program.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { BUILD_TIMEOUT, useEmulatedDevice } from '../support/emulated-device.ts';

let one: Device;
let two: Device;
beforeAll(async () => {
  process.env.CFGDISTILL_EMULATION_DEVICES = '2';
  useEmulatedDevice();
  [one, two] = await Promise.all([device('cuda'), device('cuda:1')]);
}, BUILD_TIMEOUT);
afterAll(() => {
  delete process.env.CFGDISTILL_EMULATION_DEVICES;
  delete process.env.CFGDISTILL_EMULATION_FAULT;
});

const guide = (cond: Tensor, uncond: Tensor, scale = 2): Tensor =>
  new Tensor(native.guidedLogits(cond.handle, uncond.handle, scale), 'float32');
const row = (on: Device, ...values: number[]): Tensor => Tensor.from(Float32Array.from(values), [1, values.length], on);

describe('two emulated CUDA devices', () => {
  it('are two, each opened once', async () => {
    expect(native.cudaCount()).toBe(2);
    expect(await device('cuda:1')).toBe(two);
    expect([one.id, two.id]).toEqual(['cuda:0', 'cuda:1']);
    await expect(device('cuda:2')).rejects.toThrow('device: expected cuda:0 … cuda:1, got cuda:2');
  });

  it('work at once, each in its own order', async () => {
    const work = [one, two].map((on, d) => {
      const [x, y] = [row(on, d, 1), row(on, 1, 1)];
      let made: Tensor | undefined;
      const program = new Program(() => {
        made = guide(guide(x, y), y);
      });
      const reads: Promise<Float32Array>[] = [];
      for (let i = 0; i < 30; i++) {
        x.write(Float32Array.of(d, i));
        program.replay();
        reads.push((made as Tensor).read());
      }
      return Promise.all(reads);
    });
    for (const [d, results] of (await Promise.all(work)).entries())
      for (const [i, result] of results.entries()) expect(result).toEqual(Float32Array.of(4 * d - 3, 4 * i - 3));
  });

  it('do not mix their tensors', () => {
    expect(() => guide(row(one, 1, 2), row(two, 1, 2))).toThrow(DeviceError);
    expect(() => guide(row(one, 1, 2), row(two, 1, 2))).toThrow(
      'uncond: expected a tensor on cuda:0 like cond, got one on cuda:1',
    );
  });

  it('keep their errors to themselves', async () => {
    const bad = row(one, Number.NaN, 1);
    guide(bad, bad);
    expect(await guide(row(two, 1, 2), row(two, 1, 1)).read()).toEqual(Float32Array.of(1, 3));
    await two.synchronize();
    await expect(one.synchronize()).rejects.toThrow('got NaN');
  });

  it('have memory and limits of their own', async () => {
    const tensors = [0, 1, 2].map(() => native.createTensor('cuda:0', 'float32', [1 << 26]));
    expect(() => native.createTensor('cuda:0', 'float32', [1 << 26])).toThrow(OutOfMemoryError);
    tensors.push(native.createTensor('cuda:1', 'float32', [1 << 26]));
    for (const tensor of tensors) tensor.dispose();
    await Promise.all([one.trimMemory(), two.trimMemory()]);

    two.setMemoryLimit(two.memory().reserved + 4096);
    expect(() => native.createTensor('cuda:1', 'float32', [1 << 20])).toThrow(/out of memory: 4194304 bytes asked for/);
    native.createTensor('cuda:0', 'float32', [1 << 20]).dispose();
    two.setMemoryLimit(null);
    native.createTensor('cuda:1', 'float32', [1 << 20]).dispose();
  });

  it('are lost alone', async () => {
    const [x, y] = [row(two, 1, 2), row(two, 1, 1)];
    const fine = guide(row(one, 1, 2), row(one, 1, 1));
    await Promise.all([x.read(), fine.read()]);
    process.env.CFGDISTILL_EMULATION_FAULT = 'lost';
    const failed = guide(x, y);
    const lost =
      /^CUDA, .*: unspecified launch failure.*\(cudaErrorLaunchFailure\)\. The GPU is lost to this process: .*start the program again/;
    await expect(failed.read()).rejects.toThrow(lost);
    await expect(failed.read()).rejects.toThrow(DeviceError);
    delete process.env.CFGDISTILL_EMULATION_FAULT;
    expect(() => native.createTensor('cuda:1', 'float32', [1 << 22])).toThrow(lost);
    await expect(x.read()).rejects.toThrow(lost);
    await expect(two.synchronize()).rejects.toThrow(lost);
    expect(await guide(row(one, 1, 2), row(one, 1, 1)).read()).toEqual(Float32Array.of(1, 3));
    expect(await fine.read()).toEqual(Float32Array.of(1, 3));
  });
});
