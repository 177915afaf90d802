import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CheckpointError,
  type DiversityReward,
  EncoderEmbedder,
  loadSafetensors,
  SequenceEncoder,
  type StepMetrics,
  saveSafetensors,
  Trainer,
  type TrainerOptions,
  TransformerLM,
} from 'cfgdistill';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect, errorByScale, gradientsAsMoments, savedMoments } from './support/golden.ts';

const vocabularySize = 11;
const noPrompt = Int32Array.of(10, 10);
const prompts = [1, 2, 3, 4].map((token) => Int32Array.of(token, 9));
const base = new TransformerLM({ vocabularySize, depth: 1, width: 12, heads: 2, maxPositions: 12 }, { seed: 1 });
const encoderOf = (seed: number, dimensions: number) =>
  new SequenceEncoder({ vocabularySize, depth: 1, width: 12, heads: 2, maxPositions: 12, dimensions }, { seed });
const [first, second] = [new EncoderEmbedder(encoderOf(2, 5)), new EncoderEmbedder(encoderOf(3, 7))];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cfgdistill-rewards-'));
});
afterAll(() => rm(folder, { recursive: true }));

const make = (diversity?: TrainerOptions['diversity'], more: Partial<TrainerOptions> = {}): Trainer =>
  new Trainer({
    student: base.clone(),
    teacher: { model: base, guidance: { scale: 3, negative: noPrompt } },
    promptsPerStep: 4,
    samplesPerPrompt: 4,
    maxTokens: 7,
    stopToken: 0,
    optimizer: { learningRate: 3e-3 },
    seed: 5,
    ...(diversity && { diversity }),
    ...more,
  });

const steps = (trainer: Trainer, count: number): Promise<StepMetrics[]> =>
  collect(trainer.run(prompts, { steps: count }));
const weights = (trainer: Trainer): Promise<Float32Array[]> =>
  Promise.all([...trainer.student.parameters()].map(({ tensor }) => tensor.read()));

/** The first step's gradients by parameter, and what it reports. */
async function gradients(diversity?: TrainerOptions['diversity']) {
  const trainer = make(diversity, { optimizer: gradientsAsMoments });
  const [metrics] = await steps(trainer, 1);
  return { metrics: metrics!, of: await savedMoments((path) => trainer.save(path), 'trainer.safetensors') };
}

describe('several diversity rewards', () => {
  it('add up, each with its own weight', async () => {
    const both = await gradients([
      { embedder: first, weight: 3 },
      { embedder: second, weight: 20 },
    ]);
    const [none, a, b] = [
      await gradients(),
      await gradients({ embedder: first, weight: 3 }),
      await gradients({ embedder: second, weight: 20 }),
    ];
    let moved = 0;
    for (const { name } of base.parameters()) {
      const zero = none.of(name);
      const expected = a.of(name).map((x, i) => x + b.of(name)[i]! - zero[i]!);
      expect(errorByScale(both.of(name), expected), name).toBeLessThan(1e-4);
      moved = Math.max(moved, errorByScale(both.of(name), a.of(name)), errorByScale(both.of(name), b.of(name)));
    }
    expect(moved).toBeGreaterThan(0.05);
    expect(both.metrics.diversities).toEqual([a.metrics.diversity, b.metrics.diversity]);
    expect(both.metrics.diversity).toBe(a.metrics.diversity);
    expect(a.metrics.diversities).toEqual([a.metrics.diversity]);
    expect(none.metrics).toMatchObject({ diversity: null, diversities: [] });
  });

  it('of which there is one are as one that is no list, bit for bit; weight 0 measures only', async () => {
    const one: DiversityReward = { embedder: first, weight: 4 };
    const [plain, listed, measured] = [make(one), make([one]), make([one, { embedder: second, weight: 0 }])];
    const reports = [await steps(plain, 3), await steps(listed, 3), await steps(measured, 3)];
    expect(await weights(listed)).toEqual(await weights(plain));
    expect(await weights(measured)).toEqual(await weights(plain));
    expect(reports[2]!.map(({ diversities }) => diversities[0])).toEqual(reports[0]!.map(({ diversity }) => diversity));
    expect(reports[2]![0]!.diversities[1]).toBeGreaterThan(0);
    const empty = make([]);
    expect((await steps(empty, 1))[0]).toMatchObject({ diversity: null, diversities: [] });
  });

  it('resume bit for bit from a folder that holds every embedder', async () => {
    const rewards = [
      { embedder: first, weight: 3 },
      { embedder: second, weight: 8 },
    ];
    const whole = make(rewards);
    await steps(whole, 5);
    const half = make(rewards);
    await steps(half, 2);
    const path = join(folder, 'list');
    await half.save(path);
    expect((await readdir(path)).sort()).toEqual([
      'embedder-0.safetensors',
      'embedder-1.safetensors',
      'teacher.safetensors',
      'trainer.safetensors',
    ]);
    const resumed = await Trainer.resume(path);
    expect(resumed.settings.diversityWeight).toEqual([3, 8]);
    await steps(resumed, 3);
    expect(await weights(resumed)).toEqual(await weights(whole));
    // Another taste from here on.
    const other = await Trainer.resume(path, { diversity: [{ embedder: second, weight: 1 }] });
    expect(other.settings.diversityWeight).toEqual([1]);
  });

  it('of which one is not built in must be given again', async () => {
    const custom = { dimensions: 7, embed: (g: readonly Int32Array[]) => second.embed(g) };
    const rewards = [
      { embedder: first, weight: 3 },
      { embedder: custom, weight: 8 },
    ];
    const trainer = make(rewards);
    const path = join(folder, 'custom');
    await trainer.save(path);
    await expect(Trainer.resume(path)).rejects.toThrow(
      'the embedder is not a built-in model: give it again to resume()',
    );
    const resumed = await Trainer.resume(path, { diversity: rewards });
    await steps(resumed, 2);
    await steps(trainer, 2);
    expect(await weights(resumed)).toEqual(await weights(trainer));
  });

  it('one that is no list is saved as it always was, and old files are read', async () => {
    const trainer = make({ embedder: first, weight: 4 });
    const path = join(folder, 'single');
    await trainer.save(path);
    const training = join(path, 'trainer.safetensors');
    const { tensors, metadata } = await loadSafetensors(training);
    const saved = JSON.parse(metadata.options!);
    expect(saved).toMatchObject({
      settings: { diversityWeight: 4 },
      embedder: 'encoder',
      compute: { embedder: 'float32' },
    });
    expect(await readdir(path)).toContain('embedder.safetensors');
    // Files of earlier versions do not say what the models compute in.
    const { compute: _, ...old } = saved;
    await saveSafetensors(training, [...tensors], { ...metadata, options: JSON.stringify(old) });
    const resumed = await Trainer.resume(path);
    expect(resumed.settings.diversityWeight).toBe(4);
    await steps(resumed, 2);
    await steps(trainer, 2);
    expect(await weights(resumed)).toEqual(await weights(trainer));
    const nonsense = { ...saved, embedder: ['encoder'], settings: { ...saved.settings, diversityWeight: [1, 2] } };
    await saveSafetensors(training, [...tensors], { ...metadata, options: JSON.stringify(nonsense) });
    await expect(Trainer.resume(path)).rejects.toThrow(CheckpointError);
  });

  it('are refused by the number of the one that is wrong', () => {
    const good = { embedder: first, weight: 1 };
    for (const weight of [-1, NaN, Infinity, undefined as never]) {
      expect(() => make([good, { embedder: second, weight }])).toThrow(
        `diversity[1].weight: expected a number of at least 0, got ${weight}`,
      );
    }
    expect(() => make([good], { samplesPerPrompt: 1 })).toThrow(
      'samplesPerPrompt: expected at least 2 with a diversity',
    );
    expect(() => make([{ ...good, weight: 0 }, good], { rollouts: 'teacher' })).toThrow("rollouts: expected 'student'");
    expect(() => make([{ ...good, weight: 0 }], { rollouts: 'teacher' })).not.toThrow();
  });
});
