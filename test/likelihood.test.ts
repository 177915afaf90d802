import { bitsPerToken, scope, TransformerLM, ValueError } from 'cfgdistill';
import { expect, it } from 'vitest';
import { packTokens } from '../lib/models/token-batch.ts';
import { Random } from '../lib/random.ts';

const VOCABULARY = 13;
const random = new Random(4);
const ints = (length: number) => Int32Array.from({ length }, () => Math.floor(VOCABULARY * random.uniform()));
const rows = Array.from({ length: 11 }, (_, i) => ({ prompt: ints(1 + (i % 4)), tokens: ints(1 + ((5 * i) % 9)) }));
const model = new TransformerLM(
  { vocabularySize: VOCABULARY, depth: 1, width: 16, heads: 2, maxPositions: 16 },
  { seed: 2 },
);

/** One row at a time, in float64. */
async function slowly(): Promise<number> {
  let [bits, count] = [0, 0];
  for (const { prompt, tokens } of rows) {
    const sequence = Int32Array.of(...prompt, ...tokens.subarray(0, -1));
    const logits = await scope(() => model.forward(packTokens([sequence], { vocabularySize: VOCABULARY }))).read();
    tokens.forEach((token, i) => {
      const at = (prompt.length - 1 + i) * VOCABULARY;
      const own = Array.from(logits.subarray(at, at + VOCABULARY));
      bits += Math.log2(own.reduce((sum, z) => sum + Math.exp(z), 0)) - (own[token] as number) / Math.LN2;
      count++;
    });
  }
  return bits / count;
}

it('is the mean over all answer tokens, whatever the batches', async () => {
  const expected = await slowly();
  for (const batchSize of [1, 4, 16]) expect(await bitsPerToken(model, rows, { batchSize })).toBeCloseTo(expected, 5);
});

it('refuses what cannot be measured, and stops when it is told', async () => {
  await expect(bitsPerToken(model, [])).rejects.toThrow(ValueError);
  await expect(bitsPerToken(model, rows, { batchSize: 0 })).rejects.toThrow(/^batchSize: expected/);
  await expect(bitsPerToken(model, rows, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
});
