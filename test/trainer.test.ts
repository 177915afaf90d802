import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  BaseTrainer,
  CheckpointError,
  ContrastiveTrainer,
  device,
  EncoderEmbedder,
  type LanguageModel,
  type Parameter,
  SequenceEncoder,
  type StepMetrics,
  Tensor,
  Trainer,
  type TrainerOptions,
  TransformerLM,
} from 'cfgdistill';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { native } from '../lib/native.ts';
import { collectGarbage } from './support/garbage.ts';
import { PromptedBigram } from './support/prompted-bigram.ts';

const vocabularySize = 13;
const noPrompt = Int32Array.of(12, 12);
const prompts = [1, 2, 3, 4, 5, 6, 7].map((token) => Int32Array.of(token, 11));
const base = new TransformerLM({ vocabularySize, depth: 2, width: 16, heads: 2, maxPositions: 16 }, { seed: 1 });
const encoder = new SequenceEncoder({ vocabularySize, depth: 1, width: 16, heads: 2, maxPositions: 16 }, { seed: 2 });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cfgdistill-trainer-'));
});
afterAll(() => rm(folder, { recursive: true }));

const options = (more: Partial<TrainerOptions> = {}): TrainerOptions => ({
  student: base.clone(),
  teacher: { model: base, guidance: { scale: 3, negative: noPrompt } },
  promptsPerStep: 3,
  samplesPerPrompt: 4,
  maxTokens: 9,
  stopToken: 0,
  optimizer: { learningRate: 3e-3, warmupSteps: 3, decay: 'cosine', totalSteps: 40, weightDecay: 0.01 },
  seed: 5,
  ...more,
});
const rewarded = { diversity: { embedder: new EncoderEmbedder(encoder), weight: 2 } };

async function weights(model: { parameters(): Iterable<Parameter> }): Promise<Float32Array[]> {
  return Promise.all([...model.parameters()].map(({ tensor }) => tensor.read()));
}

async function steps(trainer: Trainer, count: number): Promise<StepMetrics[]> {
  const all: StepMetrics[] = [];
  for await (const metrics of trainer.run(prompts, { steps: count })) all.push(metrics);
  return all;
}

describe('Trainer', () => {
  it('brings the student close to the guided teacher', async () => {
    // A teacher that guidance changes a lot: larger weights than those of a fresh model.
    const teacher = base.clone();
    for (const { tensor } of teacher.parameters()) {
      if (tensor.shape.length === 2) tensor.write((await tensor.read()).map((w) => 12 * w));
    }
    const guided = {
      student: teacher.clone(),
      teacher: { model: teacher, guidance: { scale: 3, negative: noPrompt } },
    };
    const trainer = new Trainer(options({ ...guided, promptsPerStep: 7, samplesPerPrompt: 8 }));
    const metrics = await steps(trainer, 120);
    const mean = (part: StepMetrics[]) => part.reduce((sum, { kl }) => sum + kl, 0) / part.length;
    expect(mean(metrics.slice(0, 5))).toBeGreaterThan(0.5);
    expect(mean(metrics.slice(-5))).toBeLessThan(0.35 * mean(metrics.slice(0, 5)));
    expect(metrics.map(({ step }) => step)).toEqual(Array.from({ length: 120 }, (_, i) => i + 1));
  });

  it('distills a teacher without guidance', async () => {
    const teacher = new TransformerLM(base.config, { seed: 8 });
    for (const { tensor } of teacher.parameters()) {
      if (tensor.shape.length === 2) tensor.write((await tensor.read()).map((w) => 12 * w));
    }
    const same = await steps(new Trainer(options({ student: teacher.clone(), teacher: { model: teacher } })), 1);
    expect(same[0]!.kl).toBeCloseTo(0, 6);
    const metrics = await steps(new Trainer(options({ teacher: { model: teacher } })), 60);
    expect(metrics.at(-1)!.kl).toBeLessThan(0.7 * metrics[0]!.kl);
  });

  it('a save while an update is under way holds the weights of the step it names', async () => {
    const trainer = new Trainer(options());
    const target = join(folder, 'meanwhile');
    await trainer.save(target);
    // The one float32 [1] that a step reads is the gradient norm, with the update enqueued and not yet reported.
    let saved: Promise<void> | null = null;
    const { read } = Tensor.prototype;
    const spy = vi.spyOn(Tensor.prototype, 'read').mockImplementation(function (this: Tensor) {
      const result = read.call(this);
      if (this.dtype === 'float32' && this.shape.join() === '1') saved ??= trainer.save(target);
      return result;
    });
    await steps(trainer, 1).finally(() => spy.mockRestore());
    expect(saved).not.toBeNull();
    await saved;
    const resumed = await Trainer.resume(target);
    expect(resumed.step).toBe(1);
    expect(await weights(resumed.student)).toEqual(await weights(trainer.student));
  });

  it('distills a model written outside the library', async () => {
    const table = () => Float32Array.from({ length: 25 }, (_, i) => Math.sin(3 * i));
    const teacher = new PromptedBigram(5, table(), table().reverse());
    const student = new PromptedBigram(5, table(), table().reverse());
    const trainer = new Trainer(
      options({
        student,
        teacher: { model: teacher, guidance: { scale: 2, negative: Int32Array.of(4) } },
        samplesPerPrompt: 32,
        optimizer: { learningRate: 0.05 },
      }),
    );
    const kls: number[] = [];
    const own = [1, 2, 3].map((token) => Int32Array.of(token));
    for await (const { kl } of trainer.run(own, { steps: 150 })) kls.push(kl);
    expect(kls.at(-1)!).toBeLessThan(0.1 * kls[0]!);
  });

  it('raises diversity with a diversity weight', async () => {
    const fast = { optimizer: { learningRate: 1e-2 }, samplesPerPrompt: 8 };
    const without = await steps(new Trainer(options({ ...fast, diversity: { ...rewarded.diversity, weight: 0 } })), 60);
    const with20 = await steps(new Trainer(options({ ...fast, diversity: { ...rewarded.diversity, weight: 20 } })), 60);
    const last = (metrics: StepMetrics[]) =>
      metrics.slice(-10).reduce((sum, { diversity }) => sum + diversity! / 10, 0);
    expect(last(with20)).toBeGreaterThan(last(without) + 0.02);
  });

  it('microbatches change nothing but the order of additions', async () => {
    const [whole, parts] = [
      new Trainer(options(rewarded)),
      new Trainer(options({ ...rewarded, rowsPerMicrobatch: 5 })),
    ];
    const [a, b] = [await steps(whole, 4), await steps(parts, 4)];
    a.forEach((metrics, i) => {
      expect(b[i]!.kl).toBeCloseTo(metrics.kl, 4);
      expect(b[i]!.gradientNorm).toBeCloseTo(metrics.gradientNorm, 4);
    });
    const [wholeWeights, partWeights] = [await weights(whole.student), await weights(parts.student)];
    wholeWeights.forEach((values, p) => {
      values.forEach((w, i) => expect(Math.abs(w - partWeights[p]![i]!)).toBeLessThan(2e-4));
    });
  });

  it.each([
    ['student', {}],
    ['student', rewarded],
    ['student', { scoreFunction: true, divergence: 'jsd' as const }],
    ['teacher', { rollouts: 'teacher' as const, divergence: 'forward' as const }],
  ])('resumed with %s rollouts it ends bit for bit where an uninterrupted run ends (%#)', async (_, more) => {
    const whole = new Trainer(options(more));
    const expected = await steps(whole, 8);
    const first = new Trainer(options(more));
    await steps(first, 3);
    const where = join(folder, `resume-${Math.random()}`);
    await first.save(where);
    const second = await Trainer.resume(where);
    expect(second.step).toBe(3);
    const rest = await steps(second, 5);
    const plain = ({ tokensPerSecond: _, ...metrics }: StepMetrics) => metrics;
    expect(rest.map(plain)).toEqual(expected.slice(3).map(plain));
    expect(await weights(second.student)).toEqual(await weights(whole.student));
  });

  it('an abort in the middle of a step leaves no trace: going on equals never stopped', async () => {
    const whole = new Trainer(options(rewarded));
    await steps(whole, 5);
    const controller = new AbortController();
    let calls = 0;
    const embedder = {
      dimensions: rewarded.diversity.embedder.dimensions,
      embed: async (generations: readonly Int32Array[]) => {
        if (++calls === 3) controller.abort(new Error('in mid-step'));
        return rewarded.diversity.embedder.embed(generations);
      },
    };
    const trainer = new Trainer(options({ diversity: { embedder, weight: 2 }, rowsPerMicrobatch: 4 }));
    const run = async () => {
      for await (const _ of trainer.run(prompts, { steps: 5, signal: controller.signal })) {
        // Until it is aborted.
      }
    };
    await expect(run()).rejects.toThrow('in mid-step');
    expect(trainer.step).toBe(2);
    await steps(trainer, 3);
    const [a, b] = [await weights(trainer.student), await weights(whole.student)];
    // Microbatches differ from the whole run's, hence only the same up to the order of additions.
    a.forEach((values, p) => {
      values.forEach((w, i) => expect(Math.abs(w - b[p]![i]!)).toBeLessThan(2e-4));
    });
  });

  it('does not depend on the number of threads', async () => {
    const threads = native.threads();
    const one = new Trainer(options(rewarded));
    native.threads(1);
    await steps(one, 3);
    native.threads(threads);
    const all = new Trainer(options(rewarded));
    await steps(all, 3);
    expect(await weights(one.student)).toEqual(await weights(all.student));
  });

  it('memory stays flat over 200 steps', async () => {
    const cpu = await device('cpu');
    const trainer = new Trainer(options({ ...rewarded, promptsPerStep: 2, samplesPerPrompt: 2, maxTokens: 4 }));
    await steps(trainer, 20);
    await collectGarbage(); // what other tests left
    await cpu.synchronize();
    const { used } = cpu.memory({ resetPeak: true });
    await steps(trainer, 90);
    const { peak } = cpu.memory({ resetPeak: true });
    await steps(trainer, 90);
    await cpu.synchronize();
    expect(cpu.memory().used).toBe(used);
    expect(cpu.memory().peak).toBeLessThanOrEqual(peak * 1.1);
  });

  it('a gradient that is not finite changes nothing and says so', async () => {
    const table = new Float32Array(25);
    const student = new PromptedBigram(5, table, table);
    const embedder = { dimensions: 1, embed: async (g: readonly Int32Array[]) => new Float32Array(g.length).fill(NaN) };
    const trainer = new Trainer(
      options({ student, teacher: { model: new PromptedBigram(5, table, table) }, diversity: { embedder, weight: 1 } }),
    );
    await expect(
      (async () => {
        for await (const _ of trainer.run([Int32Array.of(1)], { steps: 1 })) {
          // Fails in the first step.
        }
      })(),
    ).rejects.toThrow(/embeddings|coefficients/);
    expect(trainer.step).toBe(0);
    expect(await student.table.read()).toEqual(table);
  });

  it('refuses a second step while one is under way, and goes on unharmed', async () => {
    const [whole, trainer] = [new Trainer(options()), new Trainer(options())];
    const [first, second] = [trainer.run(prompts, { steps: 2 }), trainer.run(prompts, { steps: 2 })];
    const begun = first.next();
    await expect(second.next()).rejects.toThrow(/run: expected one step at a time/);
    await begun;
    await first.next();
    await steps(whole, 2);
    expect(await weights(trainer.student)).toEqual(await weights(whole.student));
  });

  it('refuses bad options and bad input by name', async () => {
    const make = (more: Partial<TrainerOptions>) => () => new Trainer(options(more));
    expect(make({ samplesPerPrompt: 1, ...rewarded })).toThrow(/samplesPerPrompt: expected at least 2/);
    expect(make({ rollouts: 'teacher', ...rewarded })).toThrow(/rollouts: expected 'student'/);
    expect(make({ rollouts: 'data', scoreFunction: true })).toThrow(/rollouts: expected 'student'/);
    expect(make({ temperature: 0 })).toThrow(/temperature: expected more than 0/);
    expect(make({ jsdWeight: 1 })).toThrow(/jsdWeight: expected/);
    expect(make({ stopToken: 13 })).toThrow(/stopToken: expected a token below 13/);
    expect(make({ optimizer: { learningRate: 0 } })).toThrow(/optimizer.learningRate: expected/);
    expect(make({ optimizer: { learningRate: 1, decay: 'cosine' } })).toThrow(/optimizer.totalSteps: expected/);
    expect(
      make({ student: new PromptedBigram(5, new Float32Array(25), new Float32Array(25)) as LanguageModel }),
    ).toThrow(/teacher.model: expected the student's vocabulary of 5, got 13/);
    const one = async (given: readonly Int32Array[], more: Partial<TrainerOptions> = {}, run = {}) => {
      for await (const _ of new Trainer(options(more)).run(given, { steps: 1, ...run })) {
        // One step.
      }
    };
    await expect(one([Int32Array.of()])).rejects.toThrow(/prompts\[0\]: expected at least one token/);
    await expect(one([Int32Array.of(99)])).rejects.toThrow(/prompts\[0\]: expected tokens from 0 to 12, got 99/);
    await expect(one([])).rejects.toThrow(/prompts: expected at least one/);
    await expect(one(prompts, { rollouts: 'data' })).rejects.toThrow(/answers: expected/);
    await expect(one(prompts, {}, { steps: -1 })).rejects.toThrow(/steps: expected/);
    await expect(Trainer.resume(join(folder, 'nothing'))).rejects.toThrow(CheckpointError);
    expect(make({ stopToken: 1.5 })).toThrow(/stopToken: expected a token below 13, got 1.5/);
    expect(make({ student: base })).toThrow(/teacher.model: expected weights of its own/);
    const unweighted = { embedder: new EncoderEmbedder(encoder) } as unknown as TrainerOptions['diversity'];
    expect(make({ diversity: unweighted! })).toThrow(
      /diversity.weight: expected a number of at least 0, got undefined/,
    );
    expect(() => new EncoderEmbedder(encoder, { batchSize: 1.5 })).toThrow(/batchSize: expected an integer/);
    const short = { dimensions: 4, embed: async () => new Float32Array(3) };
    await expect(one(prompts, { diversity: { embedder: short, weight: 1 } })).rejects.toThrow(
      /embedder: expected \[12, 4\]/,
    );
  });
});

describe('BaseTrainer', () => {
  const rows = prompts.map((prompt, i) => ({ prompt, tokens: Int32Array.of(i + 1, (2 * i) % 12, 3, 0) }));
  const make = (more = {}) =>
    new BaseTrainer({
      model: base.clone(),
      rows,
      noPrompt,
      batchSize: 7,
      seed: 3,
      optimizer: { learningRate: 1e-2 },
      ...more,
    });

  it('learns its rows, and what to say without a prompt', async () => {
    const trainer = make();
    let last = Infinity;
    for await (const { loss } of trainer.run({ steps: 150 })) last = loss;
    expect(last).toBeLessThan(0.6);
  });

  it('resumed it ends bit for bit where an uninterrupted run ends, dropout included', async () => {
    const config = { vocabularySize, depth: 2, width: 16, heads: 2, maxPositions: 16, dropout: 0.2 };
    const fresh = () => new TransformerLM(config, { seed: 4 });
    const run = async (trainer: BaseTrainer, count: number) => {
      for await (const _ of trainer.run({ steps: count })) {
        // On.
      }
      return weights(trainer.options.model);
    };
    const expected = await run(make({ model: fresh() }), 9);
    const first = make({ model: fresh() });
    await run(first, 4);
    const path = join(folder, 'base.safetensors');
    await first.save(path);
    const second = await BaseTrainer.resume(path, { model: fresh(), rows, noPrompt });
    expect(await run(second, 5)).toEqual(expected);
  });

  it('microbatches change nothing but the order of additions', async () => {
    const [whole, parts] = [make(), make({ rowsPerMicrobatch: 3 })];
    for await (const { loss } of whole.run({ steps: 1 })) {
      for await (const other of parts.run({ steps: 1 })) expect(other.loss).toBeCloseTo(loss, 5);
    }
  });

  it('refuses bad options by name', () => {
    expect(() => make({ rows: [] })).toThrow(/rows: expected at least one/);
    expect(() => make({ promptDropout: 2 })).toThrow(/promptDropout: expected/);
    expect(() => make({ noPrompt: Int32Array.of() })).toThrow(/noPrompt: expected at least one token/);
    expect(() => make({ rows: [{ prompt: prompts[0], tokens: Int32Array.of(50) }] })).toThrow(/rows\[0\].tokens/);
  });
});

describe('ContrastiveTrainer', () => {
  const items = Array.from({ length: 12 }, (_, i) => Int32Array.of(i, (i * 5) % 12, (i * 7) % 12, i));
  const make = (given = encoder.clone()) =>
    new ContrastiveTrainer({
      encoder: given,
      items: items.length,
      // The second view lacks one of the four tokens.
      pair: (item, random) => {
        const hidden = random.integer(4);
        return [items[item]!, items[item]!.filter((_, i) => i !== hidden)];
      },
      batchSize: 6,
      seed: 1,
      optimizer: { learningRate: 5e-3 },
    });

  it('brings views of one item together and resumes bit for bit', async () => {
    const whole = make();
    const losses: number[] = [];
    for await (const { loss } of whole.run({ steps: 60 })) losses.push(loss);
    expect(losses.at(-1)!).toBeLessThan(0.3 * losses[0]!);
    const first = make();
    for await (const _ of first.run({ steps: 25 })) {
      // Half of it.
    }
    const path = join(folder, 'embedder.safetensors');
    await first.save(path);
    const second = await ContrastiveTrainer.resume(path, { ...first.options, encoder: encoder.clone() });
    for await (const _ of second.run({ steps: 35 })) {
      // The rest.
    }
    expect(await weights(second.options.encoder)).toEqual(await weights(whole.options.encoder));
  });

  it('a step that fails changes nothing and does not spoil the next', async () => {
    const [whole, broken] = [make(), make()];
    const table = broken.options.encoder.parameters()[0]!.tensor;
    const before = await table.read();
    const one = async (trainer: ContrastiveTrainer) => {
      for await (const metrics of trainer.run({ steps: 1 })) return metrics;
      return null;
    };
    table.write(before.map(() => NaN));
    await expect(one(broken)).rejects.toThrow(/expected/);
    expect(broken.step).toBe(0);
    table.write(before);
    expect(await one(broken)).toEqual(await one(whole));
    expect(await weights(broken.options.encoder)).toEqual(await weights(whole.options.encoder));
    await expect(broken.run({ steps: 1.5 }).next()).rejects.toThrow(/steps: expected an integer/);
  });

  it('refuses a batch without negatives', () => {
    expect(() => new ContrastiveTrainer({ ...make().options, batchSize: 1 })).toThrow(/batchSize: expected/);
    expect(() => new ContrastiveTrainer({ ...make().options, batchSize: 13 })).toThrow(/batchSize: expected/);
  });
});
