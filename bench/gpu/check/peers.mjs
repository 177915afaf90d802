// That the peers in bench/peers compute what is computed here: their small inputs and results, repeated on the GPU.
//
//   node bench/gpu/check/peers.mjs --folder <with the reference files> --json FILE
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BaseTrainer, loadSafetensors, packTokens, Sampler, TransformerLM } from '../../cfgdistill.mjs';
import { fillParameters, native, toFloat32 } from '../../internals.mjs';
import { stage } from '../stage.mjs';
import { largestError } from './compare.mjs';

const TOLERANCE = 1e-4;

/** The tensors of a reference file under one name, on the device and as arrays. */
class Reference {
  constructor(tensors, gpu) {
    this.tensors = tensors;
    this.gpu = gpu;
  }

  array(name) {
    const stored = this.tensors.get(name);
    if (!stored) throw new Error(`the reference has no ${name}`);
    const { buffer, byteOffset, byteLength } = stored.data;
    return stored.dtype === 'I32'
      ? new Int32Array(buffer.slice(byteOffset, byteOffset + byteLength))
      : toFloat32(stored, name);
  }

  shape(name) {
    return this.tensors.get(name).shape;
  }

  tensor(name) {
    const data = this.array(name);
    const dtype = data instanceof Int32Array ? 'int32' : 'float32';
    return native.createTensor(this.gpu.id, dtype, [...this.shape(name)], data);
  }

  /** Throws unless a native tensor holds what the reference does. */
  async expect(name, tensor) {
    const error = largestError(await tensor.read(), this.array(name));
    if (!(error <= TOLERANCE)) throw new Error(`${name}: error ${error.toExponential(1)}`);
    return error;
  }
}

async function elementwise(reference) {
  const inputs = (what, count) => Array.from({ length: count }, (_, i) => reference.tensor(`${what}.input${i}`));
  await reference.expect('guidedLogits.output', native.guidedLogits(...inputs('guidedLogits', 2), 3));
  await reference.expect('lerp.output', native.lerp(...inputs('lerp', 2), 0.3));
  const three = inputs('weightedAverage of 3', 3);
  await reference.expect('weightedAverage of 3.output', native.weightedAverage(three, [0.5, 0.2, 0.3]));
}

async function distillationLoss(reference) {
  const [student, cond, uncond, weights, tokens, coefficients] = [
    'student',
    'cond',
    'uncond',
    'weights',
    'tokens',
    'coefficients',
  ].map((name) => reference.tensor(`distillationLoss.${name}`));
  const [loss, perToken, , grad] = native.distillationLoss(
    ...[student, cond, uncond, 3, 0.99, 'reverse', 0.5, weights, tokens, coefficients],
  );
  for (const [name, tensor] of Object.entries({ loss, perToken, grad }))
    await reference.expect(`distillationLoss.${name}`, tensor);
}

/** Draws differ by their random numbers; the distribution they are drawn from must not. */
async function samplingKernels(reference) {
  const filters = { '': [], ', top-k 50': [50], ', top-p 0.9': [undefined, 0.9] };
  for (const [name, [topK, topP]] of Object.entries(filters)) {
    const what = `sampleGuided${name}`;
    const [cond, uncond] = ['cond', 'uncond'].map((part) => reference.tensor(`${what}.${part}`));
    const expected = reference.array(`${what}.logProbs`);
    const [rows, vocab] = reference.shape(`${what}.logProbs`);
    for (let draw = 0; draw < 20; draw++) {
      const drawn = native.sampleGuided(cond, uncond, 3, 0.99, topK, topP, draw, 0);
      const [tokens, logProbs] = await Promise.all(drawn.map((tensor) => tensor.read()));
      const theirs = Float32Array.from({ length: rows }, (_, r) => expected[r * vocab + tokens[r]]);
      const error = largestError(logProbs, theirs);
      if (!(error <= TOLERANCE)) throw new Error(`${what}: error ${error.toExponential(1)}`);
    }
  }
  const results = native.diversityReward(reference.tensor('diversityReward.embeddings'), undefined);
  for (const [i, name] of ['reward', 'advantage', 'diversity'].entries())
    await reference.expect(`diversityReward.${name}`, results[i]);
}

async function model(reference, { gpu, metadata }) {
  const lm = new TransformerLM(JSON.parse(metadata.config), { device: gpu });
  fillParameters(lm.parameters(), reference.tensors, 'the reference', 'weights.');
  const [rows, length] = reference.shape('model.tokens');
  const flat = reference.array('model.tokens');
  const sequences = Array.from({ length: rows }, (_, r) => flat.slice(r * length, (r + 1) * length));
  await reference.expect('model.logits', lm.forward(packTokens(sequences, lm)).handle);

  const negative = new Int32Array(length).fill(1);
  for (const [name, guidance] of Object.entries({ plain: undefined, guided: { scale: 3, negative } })) {
    const expected = reference.array(`model.${name}`);
    const answer = expected.length / rows;
    const sampler = new Sampler(lm, { temperature: 0, ...(guidance && { guidance }) });
    for await (const { prompt, tokens } of sampler.generate(sequences, { maxTokens: answer })) {
      const theirs = expected.subarray(prompt * answer, (prompt + 1) * answer);
      if (tokens.join() !== theirs.join()) throw new Error(`${name}: expected tokens ${theirs}, got ${tokens}`);
    }
  }

  const trainer = new BaseTrainer({
    model: lm,
    rows: sequences.map((s) => ({ prompt: s.slice(0, 1), tokens: s.slice(1) })),
    noPrompt: Int32Array.of(0),
    promptDropout: 0,
    batchSize: rows,
    optimizer: { learningRate: 1e-2, weightDecay: 0.1 },
  });
  const losses = [];
  for await (const { loss } of trainer.run({ steps: 3 })) losses.push(loss);
  const error = largestError(losses, reference.array('model.losses'));
  if (!(error <= TOLERANCE)) throw new Error(`losses: error ${error.toExponential(1)}`);
}

const CHECKS = { elementwise, distillation_loss: distillationLoss, sampling_kernels: samplingKernels, training: model };

await stage(async ({ gpu, folder, report }) => {
  for (const [name, check] of Object.entries(CHECKS)) {
    const path = join(folder, `${name}.safetensors`);
    if (!existsSync(path)) {
      report.note(`bench/peers/${name}.py left no reference to compare with`);
      continue;
    }
    await report.check(`bench/peers/${name}.py computes the same`, async () => {
      const { tensors, metadata } = await loadSafetensors(path);
      await check(new Reference(tensors, gpu), { gpu, metadata });
    });
  }
});
