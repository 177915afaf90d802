import { Random, Trainer, type TrainerOptions } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import {
  type ExactBigram,
  numericalGradient,
  type Sequence,
  type Setting,
  sequenceKl,
  sequences,
} from './support/exact-bigram.ts';
import { PromptedBigram } from './support/prompted-bigram.ts';

const vocab = 4;
const setting: Setting = { prompt: 1, negative: 2, scale: 2.5, temperature: 0.8, stop: 0, maxTokens: 3 };

function randomBigram(seed: number): ExactBigram {
  const random = new Random(seed);
  const values = () => Float64Array.from({ length: vocab * vocab }, () => Math.fround(2 * random.uniform() - 1));
  return { vocab, table: values(), promptTable: values() };
}

const student = randomBigram(1);
const teacher = randomBigram(2);
const asModel = (m: ExactBigram) =>
  new PromptedBigram(vocab, Float32Array.from(m.table), Float32Array.from(m.promptTable));

/** What the embedder of these tests says of a sequence: how often each token occurs, and a constant. */
function features(tokens: ArrayLike<number>): number[] {
  const counts = new Array<number>(vocab + 1).fill(0);
  for (let i = 0; i < tokens.length; i++) counts[tokens[i]!]! += 1;
  counts[vocab] = 0.5;
  return counts;
}

const embedder = {
  dimensions: vocab + 1,
  embed: async (generations: readonly Int32Array[]) => Float32Array.from(generations.flatMap(features)),
};

function cosineDistance(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) => x.reduce((sum, v, i) => sum + v * y[i]!, 0);
  return 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/** The gradient of one training step, read off the weights: this AdamW moves them by minus the gradient. */
async function stepGradient(options: Partial<TrainerOptions>, seed: number): Promise<Float64Array> {
  const model = asModel(student);
  const trainer = new Trainer({
    student: model,
    teacher: { model: asModel(teacher), guidance: { scale: setting.scale, negative: Int32Array.of(setting.negative) } },
    promptsPerStep: 1,
    samplesPerPrompt: 64,
    maxTokens: setting.maxTokens,
    stopToken: setting.stop,
    temperature: setting.temperature,
    optimizer: { learningRate: 1000, epsilon: 1000, beta1: 0, beta2: 0, maxGradientNorm: Infinity },
    seed,
    ...options,
  });
  for await (const _ of trainer.run([Int32Array.of(setting.prompt)], { steps: 1 })) {
    // One step.
  }
  const [table, promptTable] = await Promise.all([model.table.read(), model.promptTable.read()]);
  const moved = [...table, ...promptTable];
  return Float64Array.from([...student.table, ...student.promptTable], (before, i) => before - moved[i]!);
}

/** Compares the mean of many steps' gradients with the exact one, by its standard error. */
async function expectUnbiased(options: Partial<TrainerOptions>, exact: Float64Array, repeats = 60): Promise<void> {
  const draws: Float64Array[] = [];
  for (let seed = 0; seed < repeats; seed++) draws.push(await stepGradient(options, seed));
  exact.forEach((value, i) => {
    const column = draws.map((draw) => draw[i]!);
    const mean = column.reduce((a, b) => a + b, 0) / repeats;
    const variance = column.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (repeats - 1);
    // 4.5 standard errors: with 32 components a false alarm has a chance of about 1 in 3,000, and seeds are fixed.
    // The gradient is read through float32 weights of size 1, hence the 2e-6.
    expect(Math.abs(mean - value)).toBeLessThan(4.5 * Math.sqrt(variance / repeats) + 2e-6);
  });
}

const expected = (model: ExactBigram, of: (sequence: Sequence) => number): number =>
  sequences(model, setting).reduce((sum, sequence) => sum + sequence.probability * of(sequence), 0);

describe('gradients of a training step against exact ones, at temperature 0.8', () => {
  const kl = (model: ExactBigram, tokens: readonly number[]) => sequenceKl(model, teacher, setting, tokens);
  /** The sampled prefix held constant: the sequences keep the student's present probabilities. */
  const semi = numericalGradient(student, (model) => {
    return sequences(student, setting).reduce((sum, s) => sum + s.probability * kl(model, s.tokens), 0);
  });
  const full = numericalGradient(student, (model) => expected(model, ({ tokens }) => kl(model, tokens)));
  const diversity = numericalGradient(student, (model) => {
    const all = sequences(model, setting).map((s) => ({ ...s, embedding: features(s.tokens) }));
    let sum = 0;
    for (const a of all) {
      for (const b of all) sum += a.probability * b.probability * cosineDistance(a.embedding, b.embedding);
    }
    return sum;
  });

  it('the semi-gradient and the full gradient differ enough for these tests to tell them apart', () => {
    expect(Math.max(...semi.map((x, i) => Math.abs(x - full[i]!)))).toBeGreaterThan(0.05);
    expect(Math.max(...diversity.map(Math.abs))).toBeGreaterThan(0.01);
  });

  it('distillation gives the semi-gradient', async () => {
    await expectUnbiased({}, semi);
  });

  it('distillation with the score function gives the full gradient', async () => {
    await expectUnbiased({ scoreFunction: true }, full);
  });

  it('the diversity reward subtracts β times the gradient of the expected distance, with a leave-one-out baseline', async () => {
    const beta = 3;
    const exact = semi.map((x, i) => x - beta * diversity[i]!);
    await expectUnbiased({ diversity: { embedder, weight: beta } }, exact);
  });

  it('… and with two samples per prompt, where the other prompts give the baseline', async () => {
    const beta = 3;
    const exact = semi.map((x, i) => x - beta * diversity[i]!);
    const options = { diversity: { embedder, weight: beta }, promptsPerStep: 40, samplesPerPrompt: 2 };
    await expectUnbiased(options, exact);
  });

  it('microbatches change nothing', async () => {
    const options = { diversity: { embedder, weight: 3 }, scoreFunction: true };
    const whole = await stepGradient(options, 5);
    for (const rowsPerMicrobatch of [1, 7, 32]) {
      const parts = await stepGradient({ ...options, rowsPerMicrobatch }, 5);
      parts.forEach((value, i) => {
        expect(value).toBeCloseTo(whole[i]!, 5);
      });
    }
  });
});
