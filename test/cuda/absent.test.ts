import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { DeviceError } from '../../lib/errors.ts';
import { native } from '../../lib/native.ts';
import { device } from '../../lib/tensor/device.ts';

const library = fileURLToPath(new URL('../../build-cuda/Release/libcfgdistill_cuda.so', import.meta.url));
const hasGpu = spawnSync('nvidia-smi', ['-L'], { encoding: 'utf8' }).stdout?.includes('GPU ') ?? false;
const before = process.env.CFGDISTILL_CUDA_LIBRARY;

beforeEach(() => {
  delete process.env.CFGDISTILL_CUDA_LIBRARY;
});
afterAll(() => {
  if (before !== undefined) process.env.CFGDISTILL_CUDA_LIBRARY = before;
});

describe("device('cuda') where there is none", () => {
  it('rejects without its library, saying how to build it, and auto is the CPU', async () => {
    process.env.CFGDISTILL_CUDA_LIBRARY = '/no/such/library.so';
    for (const name of ['cuda', 'cuda:0', 'cuda:3'] as const) {
      const error = await device(name).then(String, (reason: unknown) => reason);
      expect(error).toBeInstanceOf(DeviceError);
      expect(error).toMatchObject({ code: 'ERR_DEVICE', argument: 'device' });
      expect((error as Error).message).toMatch(/no CUDA backend.*npm run build:cuda.*\/no\/such\/library\.so/s);
    }
    expect((await device('auto')).type).toBe('cpu');
    expect(() => native.createTensor('cuda:0', 'float32', [1])).toThrow(DeviceError);
  });

  it('rejects a library that is something else', async () => {
    process.env.CFGDISTILL_CUDA_LIBRARY = 'libm.so.6';
    await expect(device('cuda')).rejects.toThrow(/libm\.so\.6: built for another version/);
  });

  // Needs the real library, and a machine on which it finds no GPU.
  if (!existsSync(library) || hasGpu) console.warn('skipped: build-cuda/ is absent, or a GPU is present');
  it.skipIf(!existsSync(library) || hasGpu)(
    'rejects without a GPU or driver, saying which (needs build-cuda/, from `npm run build:cuda`)',
    async () => {
      const error = await device('cuda').then(String, (reason: unknown) => reason);
      expect(error).toBeInstanceOf(DeviceError);
      expect(error).toMatchObject({ code: 'ERR_DEVICE', argument: 'device' });
      expect((error as Error).message).toMatch(
        /^device: no NVIDIA (driver|GPU) was found.*nvidia-smi.*or use device 'cpu'$/,
      );
      expect((await device('auto')).type).toBe('cpu');
    },
  );

  it.each(['gpu', 'cuda:', 'cuda:-1', 'cuda:x'])("rejects the name '%s'", async (name) => {
    await expect(device(name as 'cuda')).rejects.toThrow(
      /^device: expected 'auto', 'cpu', 'cuda' or 'cuda:<index>', got/,
    );
  });
});
