// Cached sampling from prompts to finished generations, in one pass per token and in two (guidance).
import { Sampler, TransformerLM } from '../../cfgdistill.mjs';
import { sequences } from '../../data.mjs';
import { stage } from '../stage.mjs';
import { model, shapeText, workload } from './shapes.mjs';
import { timedOnHost } from './timing.mjs';

await stage(async ({ gpu, small, report }) => {
  const { batches, prompt, answer } = workload(small).sampling;
  const config = model(small);
  const lm = new TransformerLM(config, { device: gpu, seed: 1, compute: 'bfloat16' });
  const negative = new Int32Array(prompt).fill(1);
  const passes = {
    'sampling, one pass': new Sampler(lm, { temperature: 0.99, seed: 1 }),
    'sampling, two passes': new Sampler(lm, { temperature: 0.99, seed: 1, guidance: { scale: 3, negative } }),
  };
  for (const batch of batches) {
    const prompts = sequences(batch, prompt, config.vocabularySize, 5);
    for (const [what, sampler] of Object.entries(passes)) {
      await report.measure({ what, shape: shapeText([batch, prompt, answer]), dtype: 'bfloat16' }, async () => {
        const time = await timedOnHost(
          async () => {
            let tokens = 0;
            for await (const g of sampler.generate(prompts, { maxTokens: answer })) tokens += g.tokens.length;
            if (tokens !== batch * answer) throw new Error(`expected ${batch * answer} tokens, got ${tokens}`);
          },
          { rounds: 5, seconds: 5 },
        );
        return { ...time, tokens: batch * answer };
      });
    }
  }
});
