import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CheckpointError,
  type ComputeType,
  DeviceError,
  type DiversityReward,
  device,
  EncoderEmbedder,
  loadSafetensors,
  SequenceEncoder,
  saveSafetensors,
  Trainer,
  TransformerLM,
} from 'cfgdistill';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const library = process.env.CFGDISTILL_CUDA_LIBRARY;
const shape = { vocabularySize: 7, depth: 1, width: 8, heads: 2, maxPositions: 8 };
const prompts = [Int32Array.of(1), Int32Array.of(2)];

let folder: string;
beforeAll(async () => {
  process.env.CFGDISTILL_CUDA_LIBRARY = '/no/such/library.so';
  folder = await mkdtemp(join(tmpdir(), 'cfgdistill-placement-'));
});
afterAll(async () => {
  delete process.env.CFGDISTILL_CUDA_LIBRARY;
  if (library !== undefined) process.env.CFGDISTILL_CUDA_LIBRARY = library;
  await rm(folder, { recursive: true });
});

/** A trainer whose models compute in these types. */
function make({ student = 'float32', teacher = 'float32', encoder = 'float32' }: Partial<Record<string, ComputeType>>) {
  const embedder = new EncoderEmbedder(new SequenceEncoder(shape, { seed: 2, compute: encoder }));
  return new Trainer({
    student: new TransformerLM(shape, { seed: 1, compute: student }),
    teacher: { model: new TransformerLM(shape, { seed: 1, compute: teacher }) },
    diversity: { embedder, weight: 1 },
    promptsPerStep: 2,
    samplesPerPrompt: 2,
    maxTokens: 3,
    optimizer: { learningRate: 1e-2 },
  });
}

/** Saves a trainer and returns the folder. */
async function saved(name: string, trainer: Trainer): Promise<string> {
  const path = join(folder, name);
  await trainer.save(path);
  return path;
}

/** Replaces what the training file says of the models' types; undefined leaves it out. */
async function say(path: string, compute: unknown): Promise<void> {
  const file = join(path, 'trainer.safetensors');
  const { tensors, metadata } = await loadSafetensors(file);
  const options = JSON.stringify({ ...JSON.parse(metadata.options as string), compute });
  await saveSafetensors(file, [...tensors], { ...metadata, options });
}

/** [student, teacher, embedder]: what each computes in. */
function types({ student, options: { teacher, diversity } }: Trainer): ComputeType[] {
  const { encoder } = (diversity as DiversityReward).embedder as EncoderEmbedder;
  return [(student as TransformerLM).compute, (teacher.model as TransformerLM).compute, encoder.compute];
}

async function train(trainer: Trainer, steps: number): Promise<Float32Array[]> {
  for await (const _ of trainer.run(prompts, { steps })) {
    // On.
  }
  const parameters = [...trainer.student.parameters()];
  return Promise.all(parameters.map(({ tensor }) => tensor.read()));
}

describe('a resumed trainer', () => {
  it.each([
    ['float32', 'float32', 'float32'],
    ['bfloat16', 'float32', 'float32'],
    ['float32', 'bfloat16', 'bfloat16'],
  ] as const)('computes in the types it was saved with: %s, %s, %s', async (student, teacher, encoder) => {
    const path = await saved(`${student}-${teacher}`, make({ student, teacher, encoder }));
    expect(types(await Trainer.resume(path))).toEqual([student, teacher, encoder]);
  });

  it('computes in the type given instead', async () => {
    const path = await saved('given', make({ teacher: 'bfloat16' }));
    expect(types(await Trainer.resume(path, { compute: 'bfloat16' }))).toEqual(['bfloat16', 'bfloat16', 'bfloat16']);
    expect(types(await Trainer.resume(path, { compute: 'float32' }))).toEqual(['float32', 'float32', 'float32']);
    await expect(Trainer.resume(path, { compute: 'float16' as 'float32' })).rejects.toThrow(
      "compute: expected 'float32' or 'bfloat16', got 'float16'",
    );
  });

  it('computes in float32 where its file is older than the choice', async () => {
    const path = await saved('older', make({}));
    await say(path, undefined);
    const resumed = await Trainer.resume(path);
    expect(types(resumed)).toEqual(['float32', 'float32', 'float32']);
    expect(await train(resumed, 2)).toEqual(await train(make({}), 2));
  });

  it('is refused where its file names another type', async () => {
    const path = await saved('nonsense', make({}));
    await say(path, { student: 'float64' });
    const resumed = Trainer.resume(path);
    await expect(resumed).rejects.toThrow(/expected the student to compute in float32 or bfloat16, got 'float64'/);
    await expect(resumed).rejects.toThrow(CheckpointError);
  });

  it('goes to the device given, by name or as it is, and says which is not there', async () => {
    const path = await saved('device', make({}));
    const expected = await train(make({}), 2);
    for (const place of ['cpu', await device('cpu')] as const) {
      const resumed = await Trainer.resume(path, { device: place });
      expect((resumed.student as TransformerLM).device).toBe(await device('cpu'));
      expect(resumed.options).not.toHaveProperty('device');
      expect(await train(resumed, 2)).toEqual(expected);
    }
    await expect(Trainer.resume(path, { device: 'cuda' })).rejects.toThrow(DeviceError);
    await expect(Trainer.resume(path, { device: 'gpu' as 'cuda' })).rejects.toThrow(/^device: expected 'auto', 'cpu'/);
  });
});
