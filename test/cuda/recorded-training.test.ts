import { BaseTrainer, Trainer, TransformerLM } from 'cfgdistill';
import { beforeAll, describe, expect, it } from 'vitest';
import { native } from '../../lib/native.ts';
import type { Device } from '../../lib/tensor/device.ts';
import type { ComputeType } from '../../lib/tensor/tensor.ts';
import { bothDevices } from '../support/both-devices.ts';
import { BUILD_TIMEOUT, emulatedOnly } from '../support/emulated-device.ts';
import { submissionsOf } from '../support/emulation-trace.ts';
import { collectGarbage } from '../support/garbage.ts';

let cpu: Device;
let cuda: Device;
beforeAll(async () => {
  ({ cpu, cuda } = await bothDevices());
}, BUILD_TIMEOUT);

const shape = { vocabularySize: 11, depth: 1, width: 16, heads: 2, maxPositions: 10 };
const rows = Array.from({ length: 8 }, (_, i) => ({
  prompt: Int32Array.of(1 + i, 2),
  tokens: Int32Array.of(3, 1 + i, 1 + ((3 * i) % 9), 10),
}));
const epsilon = 1e-4; // updates must not hang on the rounding of tiny gradients

function baseTrainer(
  device: Device,
  { compute = 'float32', dropout = 0 }: { compute?: ComputeType; dropout?: number } = {},
) {
  const model = new TransformerLM({ ...shape, dropout }, { device, seed: 2, compute });
  const optimizer = { learningRate: 5e-3, epsilon, warmupSteps: 3, decay: 'cosine', totalSteps: 20 } as const;
  return new BaseTrainer({ model, rows, noPrompt: Int32Array.of(0, 0), batchSize: 4, optimizer, seed: 5 });
}

async function lossesOf(trainer: BaseTrainer, steps: number): Promise<number[]> {
  const losses: number[] = [];
  for await (const { loss, gradientNorm } of trainer.run({ steps })) losses.push(loss, gradientNorm);
  return losses;
}

function expectNear(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) {
    expect(Math.abs((actual[i] as number) - value), `${i}: ${actual[i]} for ${value}`).toBeLessThanOrEqual(
      tolerance * Math.abs(value),
    );
  }
}

describe('training on the emulated CUDA device', () => {
  it.each([
    ['float32', 1e-4],
    ['bfloat16', 0.03],
  ] as const)('goes as on the CPU while its passes are recorded and replayed, %s', async (compute, tolerance) => {
    const [here, there] = [baseTrainer(cpu, { compute }), baseTrainer(cuda, { compute })];
    expectNear(await lossesOf(there, 7), await lossesOf(here, 7), tolerance);
    for (const trainer of [here, there]) trainer.dispose();
  });

  it('goes as on the CPU with dropout, whose passes are not recorded', async () => {
    const [here, there] = [cpu, cuda].map((device) => baseTrainer(device, { dropout: 0.2 })) as [
      BaseTrainer,
      BaseTrainer,
    ];
    expectNear(await lossesOf(there, 5), await lossesOf(here, 5), 1e-4);
  });

  emulatedOnly('submits a step as two graphs', async () => {
    const trainer = baseTrainer(cuda);
    await lossesOf(trainer, 4);
    const { kernel, graph } = await submissionsOf(async () => {
      await lossesOf(trainer, 3);
      await cuda.synchronize();
    });
    expect(graph).toBe(3 * 2);
    expect(kernel).toBe(0);
    trainer.dispose();
  });

  it('holds flat memory, and frees it', async () => {
    await collectGarbage(); // what other tests left
    const before = cuda.memory().used;
    const trainer = baseTrainer(cuda);
    await lossesOf(trainer, 4);
    await cuda.synchronize();
    const { used } = cuda.memory({ resetPeak: true });
    await lossesOf(trainer, 10);
    await cuda.synchronize();
    expect(cuda.memory().used).toBe(used);
    expect(cuda.memory().peak).toBeLessThan(used + 100_000);
    trainer.dispose();
    (trainer.options.model as TransformerLM).dispose();
    await cuda.synchronize();
    expect(cuda.memory().used).toBe(before);
  });

  it('survives a gradient that is not finite, in the middle of replays: weights and step stay, and it goes on', async () => {
    const results: unknown[] = [];
    for (const device of [cpu, cuda]) {
      const trainer = baseTrainer(device);
      await lossesOf(trainer, 4);
      const model = trainer.options.model as TransformerLM;
      const { tensor } = model.parameters().find(({ name }) => name === 'norm.gain') as {
        tensor: (typeof model.stack)['embedding'];
      };
      const good = await tensor.read();
      tensor.write(new Float32Array(good.length).fill(Number.NaN));
      const failure = await lossesOf(trainer, 1).then(String, (error: Error) => error.name);
      expect(trainer.step).toBe(4);
      tensor.write(good);
      const after = await lossesOf(trainer, 3);
      results.push({ failure, after });
      trainer.dispose();
    }
    const [here, there] = results as { failure: string; after: number[] }[];
    expect(there?.failure).toBe('ValueError');
    expect(here?.failure).toBe('ValueError');
    expectNear(there?.after ?? [], here?.after ?? [], 1e-4);
  });

  it('distills with replayed passes as on the CPU', async () => {
    const run = async (device: Device) => {
      const base = new TransformerLM(shape, { device, seed: 7 });
      const trainer = new Trainer({
        student: base.clone(),
        teacher: { model: base, guidance: { scale: 2, negative: Int32Array.of(0) } },
        promptsPerStep: 2,
        samplesPerPrompt: 2,
        maxTokens: 4,
        seed: 3,
        optimizer: { learningRate: 2e-3, epsilon },
      });
      const values: number[] = [];
      const prompts = rows.map(({ prompt }) => prompt);
      for await (const { kl, entropy, gradientNorm } of trainer.run(prompts, { steps: 5 }))
        values.push(kl, entropy, gradientNorm);
      trainer.dispose();
      return values;
    };
    expectNear(await run(cuda), await run(cpu), 1e-3);
  });

  it('has a kernel for every operation of the CPU', () => {
    expect(native.cudaMissing()).toBe(0);
  });
});
