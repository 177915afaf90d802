// What is said on machines on which the GPU cannot be used.
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DeviceError, OutOfMemoryError } from '../../lib/errors.ts';
import { native } from '../../lib/native.ts';
import { device } from '../../lib/tensor/device.ts';
import { askChild } from '../../lib/tensor/probe.ts';
import { BUILD_TIMEOUT, buildEmulation, useEmulatedDevice } from '../support/emulated-device.ts';

beforeAll(useEmulatedDevice, BUILD_TIMEOUT);
afterEach(() => {
  delete process.env.CFGDISTILL_EMULATION_FAULT;
  delete process.env.NODE_OPTIONS;
});

const fault = (name: string): void => {
  process.env.CFGDISTILL_EMULATION_FAULT = name;
};
const refusal = (patience?: number): Promise<unknown> =>
  askChild('cuda:0', patience).then(
    () => 'no error',
    (error: unknown) => error,
  );

describe('a GPU that cannot be used', () => {
  it.each([
    ['no-driver', 'no NVIDIA driver was found. Install the driver of branch 580 or newer (for CUDA 13.0;'],
    [
      'old-driver',
      'the NVIDIA driver is too old: it supports CUDA 12.4, the CUDA backend was built with CUDA 13.0. Install the driver of ' +
        'branch 580 or newer, or build the backend with a CUDA toolkit of version 12 (`npm run build:cuda`), or use',
    ],
    ['no-device', 'no NVIDIA GPU was found. Check `nvidia-smi` and CUDA_VISIBLE_DEVICES, or use'],
    ['old-gpu', 'expected a GPU of compute capability 8.0 or newer (Ampere, 2020), got 7.5 (emulated CUDA device).'],
  ])('is explained (%s), and so is what to do', async (name, text) => {
    fault(name);
    const error = await refusal();
    expect(error).toBeInstanceOf(DeviceError);
    expect(error).toMatchObject({ code: 'ERR_DEVICE', argument: 'device' });
    expect((error as Error).message).toContain(`device: ${text}`);
    expect((error as Error).message).toMatch(/or use device 'cpu'$/);
    // The same without a child process.
    expect(() => native.createTensor('cuda:0', 'float32', [1])).toThrow((error as Error).message);
  });

  it('is told from one whose memory is taken', async () => {
    fault('no-memory');
    const error = await refusal();
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect((error as Error).message).toMatch(
      /^out of memory: cuda:0 gave no \d+ bytes; 0 of its 1073741824 bytes are free\. .*`nvidia-smi`/,
    );
  });

  it.each([
    [
      'crash',
      undefined,
      /^device: cuda:0 was tried in a process of its own, which ended by SIGABRT\. The NVIDIA driver/,
    ],
    [
      'hang',
      1500,
      /^device: cuda:0 was tried in a process of its own, which gave no answer within 1\.5 s\. The NVIDIA/,
    ],
  ])('does not take this process with it (%s)', async (name, patience, text) => {
    fault(name);
    const error = await refusal(patience);
    expect(error).toBeInstanceOf(DeviceError);
    expect((error as Error).message).toMatch(text);
    expect((error as Error).message).toMatch(/install the driver anew, or use device 'cpu'/);
  });

  it('is asked once, by those who ask at the same time too, and auto does without it', async () => {
    fault('crash');
    const results = await Promise.allSettled([device('cuda'), device('cuda:0'), device('cuda')]);
    const reasons = new Set(results.map((result) => (result.status === 'rejected' ? result.reason : undefined)));
    expect(reasons.size).toBe(1);
    expect((await device('auto')).type).toBe('cpu');
    delete process.env.CFGDISTILL_EMULATION_FAULT;
    await expect(device('cuda')).rejects.toThrow('SIGABRT'); // it is remembered
  });

  it(
    'is asked by a child whose answer is found among what libraries print',
    async () => {
      const before = process.env.CFGDISTILL_CUDA_LIBRARY;
      process.env.CFGDISTILL_CUDA_LIBRARY = buildEmulation('--library', 'test/cuda/programs/noisy_library.cpp');
      try {
        expect(((await refusal()) as Error).message).toContain('device: no CUDA backend.');
      } finally {
        process.env.CFGDISTILL_CUDA_LIBRARY = before;
      }
    },
    BUILD_TIMEOUT,
  );

  it('is asked by a child that takes no options from this process', async () => {
    process.env.NODE_OPTIONS = '--require=/no/such/file.js';
    expect(await askChild('cuda:0')).toContain('emulated CUDA device');
  });
});

describe('the report of the CUDA backend', () => {
  it('names versions and devices', async () => {
    const report = await askChild('cuda');
    expect(report).toMatchObject({ driver: '13.0', runtime: '13.0', problem: null });
    expect(report.missing).toBe(native.cudaMissing());
    expect(report.devices).toEqual([
      {
        index: 0,
        name: 'emulated CUDA device',
        computeCapability: '8.0',
        memory: 1 << 30,
        freeMemory: 1 << 30,
      },
    ]);
  });

  it('names what is wrong', async () => {
    fault('old-driver');
    expect(await askChild('cuda')).toMatchObject({
      driver: '12.4',
      problem: expect.stringContaining('the NVIDIA driver is too old'),
      devices: [],
    });
  });
});
