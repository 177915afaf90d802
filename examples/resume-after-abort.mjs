// A training run that is stopped half-way, saved, and resumed in a new trainer ends with the same weights, bit for bit,
// as one that was never stopped.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Trainer, TransformerLM } from 'cfgdistill';

const prompts = [2, 3, 4, 5, 6].map((token) => Int32Array.of(token));
const base = new TransformerLM({ vocabularySize: 16, depth: 2, width: 32, heads: 2, maxPositions: 16 }, { seed: 1 });
const options = () => ({
  student: base.clone(),
  teacher: { model: base, guidance: { scale: 3, negative: Int32Array.of(1) } },
  promptsPerStep: 4,
  samplesPerPrompt: 4,
  maxTokens: 10,
  stopToken: 0,
  optimizer: { learningRate: 1e-3 },
  seed: 7,
});
const weightsOf = async (model) => Promise.all([...model.parameters()].map(({ tensor }) => tensor.read()));

const whole = new Trainer(options());
for await (const { step, kl } of whole.run(prompts, { steps: 30 })) if (step % 10 === 0) console.log(step, kl);

const folder = await mkdtemp(join(tmpdir(), 'cfgdistill-'));
try {
  const controller = new AbortController();
  const first = new Trainer(options());
  try {
    for await (const { step } of first.run(prompts, { steps: 30, signal: controller.signal })) {
      if (step === 13) controller.abort();
    }
  } catch (error) {
    console.log(`stopped after step ${first.step}: ${error.name}`);
  }
  await first.save(folder);

  const second = await Trainer.resume(folder);
  for await (const { step, kl } of second.run(prompts, { steps: 30 - second.step }))
    if (step % 10 === 0) console.log(step, kl);

  const [a, b] = await Promise.all([weightsOf(whole.student), weightsOf(second.student)]);
  const equal = a.every((values, i) => Buffer.compare(Buffer.from(values.buffer), Buffer.from(b[i].buffer)) === 0);
  console.log(equal ? 'the weights are the same, bit for bit' : 'the weights differ');
  if (!equal) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true });
}
