// Training on the GPU: the same run twice is the same, a resumed run equals one that never stopped, both bit for bit; and
// a long run needs no more memory at its end than at its beginning.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BaseTrainer, EncoderEmbedder, SequenceEncoder, Trainer, TransformerLM } from '../../cfgdistill.mjs';
import { sequences } from '../../data.mjs';
import { stage } from '../stage.mjs';

const VOCABULARY = 211;
const PROMPT = 4;
const ANSWER = 12;
const noPrompt = new Int32Array(PROMPT).fill(1);
const optimizer = { learningRate: 1e-3, weightDecay: 0.1 };
const config = (small) => ({
  vocabularySize: VOCABULARY,
  depth: 2,
  width: small ? 16 : 128,
  heads: small ? 2 : 4,
  maxPositions: PROMPT + ANSWER,
});

function baseTrainer(gpu, small, compute) {
  const model = new TransformerLM(config(small), { device: gpu, seed: 2, ...(compute && { compute }) });
  const prompts = sequences(64, PROMPT, VOCABULARY, 1);
  const answers = sequences(64, ANSWER, VOCABULARY, 2);
  const rows = prompts.map((prompt, i) => ({ prompt, tokens: answers[i] }));
  return { given: { model, rows, noPrompt }, options: { batchSize: small ? 4 : 32, optimizer, seed: 5 } };
}

function distiller(gpu, small, compute) {
  const make = (seed) => new TransformerLM(config(small), { device: gpu, seed, ...(compute && { compute }) });
  const encoder = { ...config(small), dimensions: 8, maxPositions: ANSWER };
  const embedder = new EncoderEmbedder(new SequenceEncoder(encoder, { device: gpu, seed: 4 }));
  return {
    student: make(2),
    teacher: { model: make(3), guidance: { scale: 3, negative: noPrompt } },
    diversity: { embedder, weight: 1 },
    promptsPerStep: small ? 2 : 8,
    samplesPerPrompt: 3,
    maxTokens: ANSWER,
    stopToken: 0,
    optimizer,
    seed: 5,
  };
}

async function losses(steps) {
  const values = [];
  for await (const { loss, kl, gradientNorm } of steps) values.push(loss ?? kl, gradientNorm);
  return values;
}

const weights = (model) => Promise.all(model.parameters().map(({ tensor }) => tensor.read()));

function expectSame(what, actual, expected) {
  const bytes = (values) => Buffer.concat(values.map((v) => Buffer.from(Float32Array.from(v).buffer)));
  if (!bytes(actual).equals(bytes(expected))) throw new Error(`${what} differ`);
}

async function inFolder(body) {
  const folder = await mkdtemp(join(tmpdir(), 'cfgdistill-gpu-'));
  try {
    return await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function resumedBase(gpu, small, compute, steps) {
  const runs = [];
  for (let run = 0; run < 2; run++) {
    const { given, options } = baseTrainer(gpu, small, compute);
    const trainer = new BaseTrainer({ ...given, ...options });
    runs.push({ losses: await losses(trainer.run({ steps: 2 * steps })), weights: await weights(given.model) });
  }
  expectSame('losses of two equal runs', [runs[1].losses], [runs[0].losses]);
  expectSame('weights of two equal runs', runs[1].weights, runs[0].weights);
  await inFolder(async (folder) => {
    const { given, options } = baseTrainer(gpu, small, compute);
    const first = new BaseTrainer({ ...given, ...options });
    const values = await losses(first.run({ steps }));
    await first.save(join(folder, 'half'));
    const again = baseTrainer(gpu, small, compute);
    const second = await BaseTrainer.resume(join(folder, 'half'), again.given);
    values.push(...(await losses(second.run({ steps }))));
    expectSame('losses of a resumed run', [values], [runs[0].losses]);
    expectSame('weights of a resumed run', await weights(again.given.model), runs[0].weights);
  });
}

async function resumedDistillation(gpu, small, compute, steps) {
  const prompts = sequences(16, PROMPT, VOCABULARY, 3);
  const whole = new Trainer(distiller(gpu, small, compute));
  const expected = await losses(whole.run(prompts, { steps: 2 * steps }));
  await inFolder(async (folder) => {
    const first = new Trainer(distiller(gpu, small, compute));
    const values = await losses(first.run(prompts, { steps }));
    await first.save(folder);
    const { student, teacher, diversity } = distiller(gpu, small, compute);
    const second = await Trainer.resume(folder, { student, teacher, diversity });
    values.push(...(await losses(second.run(prompts, { steps }))));
    expectSame('losses of a resumed run', [values], [expected]);
    expectSame('weights of a resumed run', await weights(second.student), await weights(whole.student));
  });
}

/** Memory after some steps, and after many more: the same. */
async function flat(gpu, steps, warmUp, total) {
  let early;
  for (let step = 1; step <= total; step++) {
    const { done } = await steps.next();
    if (done) throw new Error('the trainer ended too early');
    if (step !== warmUp) continue;
    await gpu.synchronize();
    early = gpu.memory({ resetPeak: true });
  }
  await gpu.synchronize();
  const late = gpu.memory();
  await steps.return();
  const text = `${JSON.stringify(early)} after ${warmUp} steps, ${JSON.stringify(late)} after ${total}`;
  // The peak is only reported: it also tells how far the host happened to run ahead.
  if (late.used > early.used || late.reserved > early.reserved) throw new Error(`memory grew: ${text}`);
  return { steps: total, early, late };
}

await stage(async ({ gpu, small, report }) => {
  const steps = small ? 2 : 5;
  for (const compute of [undefined, 'bfloat16']) {
    const name = compute ?? 'float32';
    await report.check(`next-token training, resumed, ${name}`, () => resumedBase(gpu, small, compute, steps));
    await report.check(`distillation, resumed, ${name}`, () => resumedDistillation(gpu, small, compute, steps));
  }
  const [warmUp, total] = small ? [8, 32] : [50, 1_000];
  await report.check(`memory flat over ${total} steps of next-token training`, () => {
    const { given, options } = baseTrainer(gpu, small);
    return flat(gpu, new BaseTrainer({ ...given, ...options }).run({ steps: total }), warmUp, total);
  });
  await report.check(`memory flat over ${total / 4} steps of distillation`, () => {
    const trainer = new Trainer({ ...distiller(gpu, small), stopToken: undefined });
    const run = trainer.run(sequences(16, PROMPT, VOCABULARY, 3), { steps: total });
    return flat(gpu, run, Math.min(warmUp / 2, 10), total / 4);
  });
});
