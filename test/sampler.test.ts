import { type Generation, Random, Sampler, type SamplerOptions, TransformerLM, ValueError } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { softmax } from './support/exact-bigram.ts';
import { PromptedBigram } from './support/prompted-bigram.ts';

const vocab = 11;
const model = new TransformerLM(
  { vocabularySize: vocab, depth: 2, width: 16, heads: 2, maxPositions: 40 },
  { seed: 3 },
);
// Larger weights: a model fresh from initialisation is nearly uniform, and everything agrees with everything.
for (const { tensor } of model.parameters()) {
  const size = tensor.size;
  const random = new Random(size);
  if (tensor.shape.length === 2) tensor.write(Float32Array.from({ length: size }, () => random.uniform() - 0.5));
}
const prompts = [Int32Array.of(1), Int32Array.of(2, 3), Int32Array.of(4, 5, 6, 7), Int32Array.of(8, 1, 9)];
const guidance = { scale: 2, negative: Int32Array.of(10, 2) };

async function collect(
  options: SamplerOptions,
  run: { samplesPerPrompt?: number; maxTokens?: number; signal?: AbortSignal } = {},
  chosen: readonly Int32Array[] = prompts,
  of: ConstructorParameters<typeof Sampler>[0] = model,
): Promise<Generation[]> {
  const generations: Generation[] = [];
  for await (const g of new Sampler(of, options).generate(chosen, { maxTokens: 12, ...run })) generations.push(g);
  return generations;
}

/** Logits after a sequence, by a whole forward pass without any cache. */
async function logitsAfter(sequence: readonly number[]): Promise<number[]> {
  const tokens = Int32Array.from(sequence);
  using logits = model.forward({ rows: 1, positions: tokens.length, tokens, starts: Int32Array.of(0) });
  return [...(await logits.read()).subarray(-vocab)];
}

describe('Sampler', () => {
  it('gives every prompt its samples, in order', async () => {
    const generations = await collect({}, { samplesPerPrompt: 3 });
    expect(generations.map(({ prompt, sample }) => [prompt, sample])).toEqual(
      [0, 1, 2, 3].flatMap((prompt) => [0, 1, 2].map((sample) => [prompt, sample])),
    );
    expect(generations.every(({ tokens, logProbs }) => tokens.length === 12 && logProbs.length === 12)).toBe(true);
  });

  it('greedy decoding takes the likeliest token of the whole, uncached model, prompts of different lengths included', async () => {
    for (const { prompt, tokens } of await collect({ temperature: 0 }, { maxTokens: 6 })) {
      const sequence = [...prompts[prompt]!];
      for (const token of tokens) {
        const logits = await logitsAfter(sequence);
        expect(token).toBe(logits.indexOf(Math.max(...logits)));
        sequence.push(token);
      }
    }
  });

  it('log-probabilities under guidance, temperature and top-k are those of the uncached two-branch model', async () => {
    const temperature = 0.7;
    const topK = 4;
    const generations = await collect({ guidance, temperature, topK, seed: 5 }, { maxTokens: 5 });
    for (const { prompt, tokens, logProbs } of generations) {
      for (let n = 0; n < tokens.length; n++) {
        const cond = await logitsAfter([...prompts[prompt]!, ...tokens.slice(0, n)]);
        const uncond = await logitsAfter([...guidance.negative, ...tokens.slice(0, n)]);
        const guided = cond.map((c, v) => (uncond[v]! + guidance.scale * (c - uncond[v]!)) / temperature);
        const kept = [...guided].sort((a, b) => b - a).slice(0, topK);
        const probabilities = softmax(guided.map((z) => (kept.includes(z) ? z : -Infinity)));
        expect(logProbs[n]).toBeCloseTo(Math.log(probabilities[tokens[n]!]!), 4);
      }
    }
  });

  it('draws the same tokens whatever the batch', async () => {
    const whole = await collect({ guidance, seed: 9, stopToken: 0 }, { samplesPerPrompt: 5 });
    for (const batchSize of [1, 5, 10, 15]) {
      const parts = await collect({ guidance, seed: 9, stopToken: 0, batchSize }, { samplesPerPrompt: 5 });
      expect(parts).toEqual(whole);
    }
    const other = await collect({ guidance, seed: 10, stopToken: 0 }, { samplesPerPrompt: 5 });
    expect(other).not.toEqual(whole);
  });

  it('guidance with scale 1 draws what no guidance draws, and scale 0 what the negative prompt draws', async () => {
    const plain = await collect({ seed: 4 });
    expect(await collect({ seed: 4, guidance: { ...guidance, scale: 1 } })).toEqual(plain);
    const negative = await collect(
      { seed: 4 },
      {},
      prompts.map(() => guidance.negative),
    );
    const zero = await collect({ seed: 4, guidance: { ...guidance, scale: 0 } });
    expect(zero.map(({ tokens }) => tokens)).toEqual(negative.map(({ tokens }) => tokens));
  });

  it('takes a scale and a negative prompt per prompt', async () => {
    const perPrompt = { scale: Float32Array.of(1, 2, 2, 0), negative: prompts.map(() => guidance.negative) };
    const mixed = await collect({ seed: 4, guidance: perPrompt });
    const [plain, two, zero] = await Promise.all(
      [1, 2, 0].map((scale) => collect({ seed: 4, guidance: { ...guidance, scale } })),
    );
    expect(mixed).toEqual([plain![0], two![1], two![2], zero![3]]);
  });

  it('ends at the stop token, which it keeps, and says so', async () => {
    const generations = await collect({ stopToken: 3, seed: 1 }, { samplesPerPrompt: 8, maxTokens: 20 });
    const stopped = generations.filter((g) => g.stopped);
    expect(stopped.length).toBeGreaterThan(0);
    expect(stopped.length).toBeLessThan(generations.length);
    for (const { tokens, logProbs, stopped: ended } of generations) {
      expect(tokens.indexOf(3)).toBe(ended ? tokens.length - 1 : -1);
      expect(tokens.length).toBe(ended ? tokens.length : 20);
      expect(logProbs.length).toBe(tokens.length);
      expect(logProbs.every((p) => p <= 0)).toBe(true);
    }
  });

  it('draws from a model written outside the library with the exact frequencies', async () => {
    const random = new Random(8);
    const values = () => Float32Array.from({ length: 25 }, () => 2 * random.uniform() - 1);
    const [table, promptTable] = [values(), values()];
    const bigram = new PromptedBigram(5, table, promptTable);
    const draws = 20_000;
    const generations = await collect(
      { seed: 2 },
      { samplesPerPrompt: draws, maxTokens: 2 },
      [Int32Array.of(3)],
      bigram,
    );
    const distributionAfter = (previous: number) => {
      return softmax(Array.from({ length: 5 }, (_, v) => table[previous * 5 + v]! + promptTable[15 + v]!));
    };
    const counts = new Float64Array(25);
    for (const { tokens } of generations) counts[tokens[0]! * 5 + tokens[1]!]! += 1;
    let statistic = 0;
    distributionAfter(3).forEach((p, a) => {
      distributionAfter(a).forEach((q, b) => {
        const expected = draws * p * q;
        statistic += (counts[a * 5 + b]! - expected) ** 2 / expected;
      });
    });
    // Chi-square with 24 degrees of freedom: 99.99 % lie below 56.7.
    expect(statistic).toBeLessThan(56.7);
  });

  it('stops when the signal aborts, and before it starts when it is aborted already', async () => {
    const controller = new AbortController();
    const seen: number[] = [];
    const run = async () => {
      const sampler = new Sampler(model, { batchSize: 1 });
      for await (const { prompt } of sampler.generate(prompts, { maxTokens: 12, signal: controller.signal })) {
        seen.push(prompt);
        if (prompt === 1) controller.abort(new Error('enough'));
      }
    };
    await expect(run()).rejects.toThrow('enough');
    expect(seen).toEqual([0, 1]);
    await expect(collect({}, { signal: AbortSignal.abort(new Error('never')) })).rejects.toThrow('never');
  });

  it('refuses bad input by name', async () => {
    expect(() => new Sampler(model, { temperature: -1 })).toThrow(/temperature: expected/);
    expect(() => new Sampler(model, { topK: 0 })).toThrow(/topK: expected/);
    expect(() => new Sampler(model, { topP: 0 })).toThrow(/topP: expected/);
    expect(() => new Sampler(model, { topP: 1.1 })).toThrow(ValueError);
    expect(() => new Sampler(model, { seed: -1 })).toThrow(/seed: expected/);
    expect(() => new Sampler(model, { stopToken: vocab })).toThrow(/stopToken: expected/);
    await expect(collect({}, {}, [])).rejects.toThrow(/prompts: expected at least one/);
    await expect(collect({}, {}, [Int32Array.of()])).rejects.toThrow(/prompts\[0\]: expected at least one token/);
    await expect(collect({}, {}, [Int32Array.of(vocab)])).rejects.toThrow(/prompts\[0\]: expected tokens from 0 to 10/);
    await expect(collect({}, { maxTokens: 0 })).rejects.toThrow(/maxTokens: expected/);
    await expect(collect({}, { samplesPerPrompt: 0 })).rejects.toThrow(/samplesPerPrompt: expected/);
    await expect(collect({}, { maxTokens: 60 })).rejects.toThrow(/config.maxPositions = 40/);
    // The last token is never fed: 4 + 37 tokens fit into 40 positions, 4 + 38 do not.
    expect((await collect({}, { maxTokens: 37 }))[2]!.tokens).toHaveLength(37);
    await expect(collect({}, { maxTokens: 38 })).rejects.toThrow(/config.maxPositions = 40, got 41/);
    await expect(collect({ guidance: { scale: NaN, negative: prompts[0]! } })).rejects.toThrow(/guidance.scale/);
    await expect(collect({ guidance: { scale: 2, negative: [prompts[0]!] } })).rejects.toThrow(/guidance.negative/);
    await expect(collect({ guidance: { scale: Float32Array.of(1), negative: prompts[0]! } })).rejects.toThrow(
      /guidance.scale: expected a number or a Float32Array of 4/,
    );
  });

  it('NaN weights give an error that says what was wrong, and the sampler works again afterwards', async () => {
    const broken = model.clone();
    const [first] = broken.parameters();
    first!.tensor.write(new Float32Array(first!.tensor.size).fill(NaN));
    await expect(collect({}, {}, prompts, broken)).rejects.toThrow(/expected a finite logit or -Infinity/);
    broken.dispose();
    expect(await collect({ seed: 4 })).toHaveLength(4);
  });
});
