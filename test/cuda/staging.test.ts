import { beforeAll, describe, expect, it } from 'vitest';
import { type Device, device } from '../../lib/tensor/device.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { BUILD_TIMEOUT, useEmulatedDevice } from '../support/emulated-device.ts';
import { submissionsOf } from '../support/emulation-trace.ts';

let cuda: Device;
beforeAll(async () => {
  useEmulatedDevice();
  cuda = await device('cuda');
}, BUILD_TIMEOUT);

const CHUNK = (4 << 20) / 4; // floats in a staging buffer
const counting = (length: number, from: number): Float32Array => {
  const data = new Float32Array(length);
  for (let i = 0; i < length; i++) data[i] = (from + i) % 16_777_213;
  return data;
};
const same = (a: Float32Array, b: Float32Array): boolean =>
  Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength));

describe('copies to and from the emulated CUDA device', () => {
  it.each([1, 63, CHUNK - 1, CHUNK, CHUNK + 1, 9 * CHUNK + 17])('bring %i floats there and back', async (length) => {
    const data = counting(length, length);
    const tensor = Tensor.from(data, [length], cuda);
    expect(same(await tensor.read(), data)).toBe(true);
    tensor.dispose();
  });

  it('do not wait on the way there as long as the buffers hold it', async () => {
    const small = Array.from({ length: 500 }, (_, i) => counting(i % 7, i));
    const tensors: Tensor[] = [];
    const { wait, copy } = await submissionsOf(async () => {
      for (const data of small) tensors.push(Tensor.from(data, [data.length], cuda));
      await cuda.synchronize();
    });
    expect(wait).toBe(1);
    expect(copy).toBeLessThanOrEqual(small.length + 1);
    for (const [i, tensor] of tensors.entries()) expect(await tensor.read()).toEqual(small[i]);
  });

  it('keep their order and content when the buffers are used again, whatever the sizes', async () => {
    const sizes = [10, CHUNK / 2, CHUNK / 2 + 1, 3, 2 * CHUNK + 5, 100, CHUNK - 64, 64, 65, 3 * CHUNK];
    const written: [Tensor, Float32Array][] = [];
    for (let round = 0; round < 3; round++)
      for (const [i, size] of sizes.entries()) {
        const data = counting(size, 1000 * round + i);
        written.push([Tensor.from(data, [size], cuda), data.slice()]);
        data.fill(-1); // was copied at the call
      }
    const target = Tensor.from(new Float32Array(8), [8], cuda);
    const reads: Promise<Float32Array>[] = [];
    for (let i = 0; i < 20; i++) {
      target.write(new Float32Array(8).fill(i));
      reads.push(target.read());
    }
    for (const [i, read] of reads.entries()) expect(await read).toEqual(new Float32Array(8).fill(i));
    for (const [tensor, data] of written) {
      expect(same(await tensor.read(), data)).toBe(true);
      tensor.dispose();
    }
    await cuda.trimMemory();
  });
});
