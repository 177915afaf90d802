import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Device,
  type DiversityReward,
  device,
  EncoderEmbedder,
  type LanguageModel,
  type Parameter,
  SequenceEncoder,
  Tensor,
  Trainer,
  type TrainerOptions,
  TransformerLM,
  ValueError,
} from 'cfgdistill';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUILD_TIMEOUT, useEmulatedDevice } from '../support/emulated-device.ts';

const shape = { vocabularySize: 7, depth: 1, width: 8, heads: 2, maxPositions: 8 };
let folder: string;
let cpu: Device;
let cuda: Device;
beforeAll(async () => {
  useEmulatedDevice();
  [cpu, cuda] = await Promise.all([device('cpu'), device('cuda')]);
  folder = await mkdtemp(join(tmpdir(), 'cfgdistill-trainer-device-'));
}, BUILD_TIMEOUT);
afterAll(() => rm(folder, { recursive: true }));

const model = (on: Device, seed = 1) => new TransformerLM(shape, { device: on, seed });
const embedder = (on: Device) => new EncoderEmbedder(new SequenceEncoder(shape, { device: on, seed: 2 }));
const make = (student: LanguageModel, teacher: LanguageModel, more: Partial<TrainerOptions> = {}) =>
  new Trainer({ student, teacher: { model: teacher }, maxTokens: 3, optimizer: { learningRate: 1e-2 }, ...more });
const weights = (of: { parameters(): Iterable<Parameter> } | undefined) =>
  Promise.all([...(of?.parameters() ?? [])].map(({ tensor }) => tensor.read()));

describe('a Trainer', () => {
  it('refuses a teacher on another device than the student', () => {
    for (const [here, there] of [
      [cpu, cuda],
      [cuda, cpu],
    ] as const) {
      const construct = () => make(model(here), model(there));
      expect(construct).toThrow(`teacher.model: expected the student's device, ${here.id}, got ${there.id}`);
      expect(construct).toThrow(ValueError);
    }
  });

  it('refuses a student on two devices', () => {
    const [one, other] = [model(cpu), model(cuda)];
    const split: LanguageModel = {
      vocabularySize: shape.vocabularySize,
      parameters: () => [...one.parameters().slice(0, 1), ...other.parameters().slice(1)],
      forward: (batch) => one.forward(batch),
      decoder: (batch, options) => one.decoder(batch, options),
    };
    expect(() => make(split, model(cpu, 2))).toThrow('student: expected parameters on one device, got cpu and cuda:0');
  });

  it('takes embeddings from another device', async () => {
    const dimensions = 3;
    const vectors = (count: number) => Float32Array.from({ length: count * dimensions }, (_, i) => Math.sin(i * i));
    const results = [null, cpu, cuda].map(async (on) => {
      const embed = async ({ length }: readonly Int32Array[]) =>
        on ? Tensor.from(vectors(length), [length, dimensions], on) : vectors(length);
      const diversity = { embedder: { dimensions, embed }, weight: 1 };
      const trainer = make(model(cpu), model(cpu, 2), { diversity, promptsPerStep: 2, samplesPerPrompt: 2 });
      const run = trainer.run([Int32Array.of(1), Int32Array.of(2)], { steps: 2 });
      const found: (number | null)[] = [];
      for await (const { diversity: of, kl } of run) found.push(of, kl);
      return [found, await weights(trainer.student)];
    });
    const [host, ...tensors] = await Promise.all(results);
    for (const result of tensors) expect(result).toEqual(host);
  });

  it('resumes on another device, whole: student, teacher and embedder', async () => {
    const first = make(model(cpu), model(cpu, 2), { diversity: { embedder: embedder(cpu), weight: 1 } });
    await first.save(folder);
    const { student, options } = await Trainer.resume(folder, { device: 'cuda' });
    const { encoder } = (options.diversity as DiversityReward).embedder as EncoderEmbedder;
    const moved = [student as TransformerLM, options.teacher.model as TransformerLM, encoder];
    for (const { device: place } of moved) expect(place).toBe(cuda);
    const before = [model(cpu), model(cpu, 2), embedder(cpu).encoder];
    for (const [i, own] of moved.entries()) {
      const expected = await weights(before[i]);
      expect(await weights(own)).toEqual(expected);
    }
    const given = { student: model(cpu) };
    await expect(Trainer.resume(folder, { device: 'cuda', ...given })).rejects.toThrow(
      "teacher.model: expected the student's device, cpu, got cuda:0",
    );
  });
});
