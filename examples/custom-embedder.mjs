// An embedder of one's own as the diversity reward: here the share of each token in a generation. Anything will do that
// turns generations into vectors: a network, an audio model in another process, a hand-made description.
import { Random, Sampler, Trainer, TransformerLM } from 'cfgdistill';

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

const base = new TransformerLM({ vocabularySize, depth: 1, width: 32, heads: 2, maxPositions: 16 }, { seed: 1 });
const trainer = new Trainer({
  student: base.clone(),
  teacher: { model: base, guidance: { scale: 2, negative: noPrompt } },
  diversity: { embedder: new TokenShares(), weight: 2 },
  promptsPerStep: 4,
  samplesPerPrompt: 4,
  maxTokens: 8,
  stopToken,
  optimizer: { learningRate: 3e-3 },
  seed: new Random(1).integer(1000),
});
for await (const { step, kl, diversity } of trainer.run(prompts, { steps: 40 })) {
  if (step % 10 === 0) console.log(`step ${step}: KL ${kl.toFixed(3)}, diversity ${diversity.toFixed(3)}`);
}

const sampler = new Sampler(trainer.student, { stopToken, seed: 2 });
for await (const { prompt, tokens } of sampler.generate(prompts, { samplesPerPrompt: 2, maxTokens: 8 })) {
  console.log(`prompt ${prompt}: ${tokens.join(' ')}`);
}
