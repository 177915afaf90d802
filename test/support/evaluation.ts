import { type Embedder, type EvaluateOptions, type Generator, type Judge, Random } from 'cfgdistill';
import { PromptedBigram } from './prompted-bigram.ts';

export const vocab = 4;
const random = new Random(11);
const table = () => Float64Array.from({ length: vocab * vocab }, () => Math.fround(3 * (random.uniform() - 0.5)));
export const exact = { vocab, table: table(), promptTable: table() };
export const model = new PromptedBigram(vocab, Float32Array.from(exact.table), Float32Array.from(exact.promptTable));
export const prompts = [1, 2, 3].map((token) => Int32Array.of(token));

/** How often each token occurs, so that cosines are known by hand. */
export const counts: Embedder = {
  dimensions: vocab,
  embed: async (generations) => {
    const rows = generations.map((tokens) => {
      const row = new Float32Array(vocab);
      for (const token of tokens) row[token] = row[token]! + 1;
      return [...row];
    });
    return Float32Array.from(rows.flat());
  },
};

/** Prompt p wants token p + 1; token p alone is half of it. */
export const worth = (p: number, tokens: Int32Array) => (tokens.includes(p + 1) ? 1 : tokens.includes(p) ? 0.5 : 0);
export const judge: Judge = {
  quality: (p, generations) => generations.map((tokens) => worth(p, tokens)),
  valid: (p, tokens) => tokens.includes(p + 1),
  distance: (_, a, b) => (a.length === b.length && a.every((token, i) => token === b[i]) ? 0 : 1),
  identity: (_, tokens) => tokens.join(' '),
};

export const base = (more: Partial<Generator> = {}): Generator => {
  return { name: 'base', family: 'base', parameters: {}, model, sampling: {}, ...more };
};
export const options = (more: Partial<EvaluateOptions> = {}): EvaluateOptions => ({
  prompts,
  samplesPerPrompt: 6,
  maxTokens: 4,
  stopToken: 0,
  embedder: counts,
  judge,
  seed: 3,
  timingRounds: 1,
  ...more,
});
