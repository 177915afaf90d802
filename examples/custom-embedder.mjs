// An embedder of one's own as the diversity reward: here the share of each token in a generation. Anything will do that
// turns generations into vectors: a network, an audio model in another process, a hand-made description.
import { BaseTrainer, Sampler, Trainer, TransformerLM } from 'cfgdistill';

const vocabularySize = 12;
const stopToken = 0;
const noPrompt = Int32Array.of(1);
const prompts = [2, 3, 4, 5].map((token) => Int32Array.of(token));

/** @implements {import('cfgdistill').Embedder} */
class TokenShares {
  dimensions = vocabularySize;

  async embed(generations) {
    const result = new Float32Array(generations.length * this.dimensions);
    generations.forEach((tokens, row) => {
      for (const token of tokens) result[row * this.dimensions + token] += 1 / tokens.length;
    });
    return result;
  }
}

// Data in which every prompt has one usual answer and two rare ones.
const rows = prompts.flatMap((prompt, p) =>
  [0, 0, 0, 0, 0, 0, 1, 2].map((kind) => ({
    prompt,
    tokens: Int32Array.of(6 + p, 6 + ((p + kind) % 4), 10 - kind, 0),
  })),
);
const base = new TransformerLM({ vocabularySize, depth: 1, width: 32, heads: 2, maxPositions: 16 }, { seed: 1 });
const pretraining = new BaseTrainer({ model: base, rows, noPrompt, batchSize: 32, optimizer: { learningRate: 5e-3 } });
for await (const { step, loss } of pretraining.run({ steps: 150 })) {
  if (step % 50 === 0) console.log(`base step ${step}: loss ${loss.toFixed(3)}`);
}

const trainer = new Trainer({
  student: base.clone(),
  teacher: { model: base, guidance: { scale: 1.5, negative: noPrompt } },
  diversity: { embedder: new TokenShares(), weight: 8 },
  promptsPerStep: 4,
  samplesPerPrompt: 16,
  maxTokens: 8,
  stopToken,
  optimizer: { learningRate: 3e-3 },
  seed: 1,
});
for await (const { step, kl, diversity } of trainer.run(prompts, { steps: 80 })) {
  if (step === 1 || step % 20 === 0)
    console.log(`step ${step}: KL ${kl.toFixed(3)}, diversity ${diversity.toFixed(3)}`);
}

const sampler = new Sampler(trainer.student, { stopToken, seed: 2 });
for await (const { prompt, tokens } of sampler.generate(prompts, { samplesPerPrompt: 4, maxTokens: 8 })) {
  console.log(`prompt ${prompt}: ${tokens.join(' ')}`);
}
