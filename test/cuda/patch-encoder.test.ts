import { AudioEmbedder, ContrastiveTrainer, type Device, PatchEncoder, Random } from 'cfgdistill';
import { beforeAll, describe, expect, it } from 'vitest';
import { bothDevices } from '../support/both-devices.ts';
import { BUILD_TIMEOUT } from '../support/emulated-device.ts';
import { collect, errorByScale } from '../support/golden.ts';
import { randomFloats } from '../support/random-data.ts';

let devices: { cpu: Device; cuda: Device };
beforeAll(async () => {
  devices = await bothDevices();
}, BUILD_TIMEOUT);

const shape = { patchSize: 16, depth: 2, width: 12, heads: 2, headWidth: 8, maxPositions: 6, dimensions: 5 };
const options = {
  chunkSeconds: 0.24,
  mel: { sampleRate: 4000, hopLength: 80, bands: 8, lowHertz: 50 },
  patches: { frames: 4, bands: 4 },
} as const;

/** Embeddings, and what training by gradient caching reports, on one device. */
async function everything(device: Device) {
  const random = new Random(1);
  const encoder = new PatchEncoder({ ...shape, mean: -5, deviation: 3 }, { device, seed: 2 });
  const embedder = new AudioEmbedder({ encoder, toWaveform: () => new Float32Array(1), ...options });
  const waveforms = Array.from({ length: 5 }, () => randomFloats(random, 960, 0.5));
  const embeddings = await embedder.embedWaveforms(waveforms);
  const sequences = Array.from({ length: 14 }, (_, i) => randomFloats(random, 16 * (1 + (i % 6)), 2));
  const trainer = new ContrastiveTrainer({
    encoder,
    items: 7,
    pair: (item) => [sequences[item]!, sequences[item + 7]!],
    rowsPerMicrobatch: 3,
    optimizer: { learningRate: 1e-3, epsilon: 1e-4 },
  });
  const steps = await collect(trainer.run({ steps: 3 }));
  trainer.dispose();
  encoder.dispose();
  return { embeddings, reports: Float32Array.from(steps.flatMap(({ loss, gradientNorm }) => [loss, gradientNorm])) };
}

describe('the patch encoder on the emulated CUDA device', () => {
  it('gives the embeddings and the training of the CPU', async () => {
    const [cpu, cuda] = [await everything(devices.cpu), await everything(devices.cuda)];
    expect(errorByScale(cuda.embeddings, cpu.embeddings)).toBeLessThan(1e-5);
    expect(errorByScale(cuda.reports, cpu.reports)).toBeLessThan(1e-4);
  });
});
