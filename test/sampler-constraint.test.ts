import {
  type Generation,
  Random,
  Sampler,
  type SamplerOptions,
  ShapeError,
  sampleGuided,
  TokenAutomaton,
  TransformerLM,
  ValueError,
} from 'cfgdistill';
import { afterAll, describe, expect, it } from 'vitest';
import { chiSquareP } from './support/chi-square.ts';
import { drawDistribution, guide } from './support/guidance-reference.ts';
import { PromptedBigram } from './support/prompted-bigram.ts';

const VOCAB = 6;
const [A, B, C, D, STOP] = [0, 1, 2, 3, 4];
const model = new TransformerLM(
  { vocabularySize: VOCAB, depth: 2, width: 16, heads: 2, maxPositions: 40 },
  { seed: 3 },
);
for (const { tensor } of model.parameters()) {
  const random = new Random(tensor.size);
  if (tensor.shape.length === 2) tensor.write(Float32Array.from({ length: tensor.size }, () => random.uniform() - 0.5));
}
afterAll(() => model.dispose());
const prompts = [Int32Array.of(1), Int32Array.of(2, 3), Int32Array.of(4, 5, 0, 3), Int32Array.of(5, 1, 2)];
const guidance = { scale: 2, negative: Int32Array.of(5, 2) };

/** Bars of four beats: a lasts one, b two, c three, d four; the stop token only between two bars. */
const bars = new TokenAutomaton({
  vocabularySize: VOCAB,
  states: 4,
  transitions: (beat, token) => {
    if (token === STOP) return beat === 0 ? 0 : undefined;
    const end = beat + 1 + token;
    return token <= D && end <= 4 ? end % 4 : undefined;
  },
});

const anything = new TokenAutomaton({ vocabularySize: VOCAB, states: 1, transitions: () => 0 });

async function collect(
  options: SamplerOptions,
  run: { samplesPerPrompt?: number; maxTokens?: number; startStates?: Int32Array } = {},
  chosen: readonly Int32Array[] = prompts,
): Promise<Generation[]> {
  const generations: Generation[] = [];
  for await (const g of new Sampler(model, options).generate(chosen, { maxTokens: 14, ...run })) generations.push(g);
  return generations;
}

/** Logits after a sequence, by a whole forward pass without any cache. */
async function logitsAfter(sequence: readonly number[]): Promise<Float32Array> {
  const tokens = Int32Array.from(sequence);
  using logits = model.forward({ rows: 1, positions: tokens.length, tokens, starts: Int32Array.of(0) });
  return (await logits.read()).slice(-VOCAB);
}

describe('a sampler kept to an automaton', () => {
  it.each<SamplerOptions>([
    {},
    { guidance },
    { temperature: 1.7, topK: 3 },
    { guidance, temperature: 0.7, topP: 0.8 },
    { temperature: 0 },
    { guidance, temperature: 0 },
  ])(
    'generates the language and nothing else, with the log-probabilities of the model kept to it: %o',
    async (options) => {
      const sampling = { constraint: bars, stopToken: STOP, seed: 4, ...options };
      const generations = await collect(sampling, { samplesPerPrompt: 3 });
      expect(generations).toHaveLength(12);
      for (const { prompt, tokens, logProbs, stopped } of generations) {
        expect(bars.stateAfter(tokens)).toBeDefined();
        if (stopped) expect(bars.stateAfter(tokens.slice(0, -1))).toBe(0);
        for (const [n, token] of tokens.entries()) {
          const before = tokens.subarray(0, n);
          const uncond = options.guidance && (await logitsAfter([...guidance.negative, ...before]));
          const guided = guide(await logitsAfter([...prompts[prompt]!, ...before]), uncond ?? null, guidance.scale);
          const state = bars.stateAfter(before)!;
          const masked = guided.map((z, v) => (bars.next(state, v) === undefined ? -Infinity : z));
          expect(logProbs[n]).toBeCloseTo(Math.log(drawDistribution(masked, options)[token]!), 4);
          if (options.temperature !== 0) continue;
          const words = bars.allowed.subarray(state, state + 1);
          const byHand = { vocab: VOCAB, temperature: 0, seed: 0, allowed: words };
          expect(sampleGuided(Float32Array.from(guided), null, byHand).tokens[0]).toBe(token);
        }
      }
      const free = await collect({ ...sampling, constraint: anything }, { samplesPerPrompt: 3 });
      if (options.temperature !== 0)
        expect(free.some(({ tokens }) => bars.stateAfter(tokens) === undefined)).toBe(true);
    },
  );

  it('draws the same tokens whatever the batch, and however many samples a prompt has', async () => {
    const options = { constraint: bars, guidance, seed: 9, stopToken: STOP };
    const whole = await collect(options, { samplesPerPrompt: 5 });
    for (const batchSize of [1, 5, 10, 15]) {
      expect(await collect({ ...options, batchSize }, { samplesPerPrompt: 5 })).toEqual(whole);
    }
    expect(whole.some(({ stopped }) => stopped)).toBe(true);
  });

  it('changes nothing where it allows everything', async () => {
    for (const options of [{ seed: 3 }, { seed: 3, guidance, topP: 0.9, stopToken: STOP }]) {
      const free = await collect({ ...options, constraint: anything }, { samplesPerPrompt: 2 });
      expect(free).toEqual(await collect(options, { samplesPerPrompt: 2 }));
    }
  });

  it('begins in a state per prompt', async () => {
    const startStates = Int32Array.of(0, 3, 1, 2);
    const options = { constraint: bars, seed: 2, batchSize: 6 };
    const generations = await collect(options, { samplesPerPrompt: 3, startStates });
    for (const { prompt, tokens } of generations) {
      expect(bars.stateAfter(tokens, startStates[prompt])).toBeDefined();
      if (prompt === 1) expect(tokens[0]).toBe(A);
      if (prompt === 3) expect([A, B]).toContain(tokens[0]);
      if (prompt === 2) expect([A, B, C]).toContain(tokens[0]);
    }
    const alike = await collect(options, { samplesPerPrompt: 3, startStates: new Int32Array(4) });
    expect(alike).toEqual(await collect(options, { samplesPerPrompt: 3 }));
  });

  it('keeps a model written outside the library, and draws from its distribution kept to the language', async () => {
    const random = new Random(8);
    const values = () => Float32Array.from({ length: VOCAB ** 2 }, () => 2 * random.uniform() - 1);
    const [table, promptTable] = [values(), values()];
    const bigram = new PromptedBigram(VOCAB, table, promptTable);
    const draws = 20_000;
    const counts = new Array<number>(VOCAB ** 2).fill(0);
    const run = { samplesPerPrompt: draws, maxTokens: 2 };
    for await (const { tokens } of new Sampler(bigram, { constraint: bars, seed: 2 }).generate(
      [Int32Array.of(3)],
      run,
    )) {
      const at = tokens[0]! * VOCAB + tokens[1]!;
      counts[at] = counts[at]! + 1;
    }
    const distributionAfter = (state: number, previous: number) =>
      drawDistribution(
        Array.from({ length: VOCAB }, (_, v) =>
          bars.next(state, v) === undefined ? -Infinity : table[previous * VOCAB + v]! + promptTable[3 * VOCAB + v]!,
        ),
        {},
      );
    const exact = distributionAfter(0, 3).flatMap((p, a) =>
      p === 0 ? new Array<number>(VOCAB).fill(0) : distributionAfter(bars.next(0, a)!, a).map((q) => p * q),
    );
    expect(chiSquareP(counts, exact)).toBeGreaterThan(1e-4);
  });

  it('refuses by name what does not fit', async () => {
    const other = new TokenAutomaton({ vocabularySize: 5, states: 1, transitions: () => 0 });
    expect(() => new Sampler(model, { constraint: other })).toThrow(ShapeError);
    expect(() => new Sampler(model, { constraint: other })).toThrow('constraint: expected a vocabulary of 6, got 5');
    const plain = { vocabularySize: 6, states: 1 } as unknown as TokenAutomaton;
    expect(() => new Sampler(model, { constraint: plain })).toThrow(
      'constraint: expected a TokenAutomaton, got object',
    );
    const starts = (startStates: unknown) => collect({ constraint: bars }, { startStates: startStates as Int32Array });
    await expect(starts(Int32Array.of(0, 1, 4, 0))).rejects.toThrow('startStates: expected a state below 4, got 4');
    await expect(starts(Int32Array.of(0, 1, 2))).rejects.toThrow('startStates: expected [prompts] = [4], got 3');
    await expect(starts([0, 1, 2, 3])).rejects.toThrow('startStates: expected an Int32Array');
    await expect(collect({}, { startStates: new Int32Array(4) })).rejects.toThrow(ValueError);
    await expect(collect({}, { startStates: new Int32Array(4) })).rejects.toThrow(
      'startStates: expected none without a constraint',
    );
  });
});
