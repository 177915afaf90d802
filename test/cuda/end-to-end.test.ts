import {
  BaseTrainer,
  ContrastiveTrainer,
  type Device,
  EncoderEmbedder,
  type Generation,
  Sampler,
  SequenceEncoder,
  Trainer,
  TransformerLM,
} from 'cfgdistill';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../lib/random.ts';
import { bothDevices } from '../support/both-devices.ts';
import { BUILD_TIMEOUT } from '../support/emulated-device.ts';

let devices: Device[];
beforeAll(async () => {
  const { cpu, cuda } = await bothDevices();
  devices = [cpu, cuda];
}, BUILD_TIMEOUT);

const VOCAB = 13;
const STOP = 12;
/** Large, or the first updates of elements with tiny gradients would be of full size in the direction of rounding. */
const epsilon = 1e-4;
const NO_PROMPT = Int32Array.of(0, 0);
const random = new Random(5);
const rows = Array.from({ length: 12 }, (_, i) => {
  const first = 1 + (i % 10);
  const tokens = Array.from({ length: 2 + (i % 3) }, (_, n) => 1 + ((first + n) % 11));
  return { prompt: Int32Array.of(first, 1 + random.integer(11)), tokens: Int32Array.of(...tokens, STOP) };
});
const prompts = rows.slice(0, 5).map(({ prompt }) => prompt);

const KINDS = [
  { name: 'layer norm, learned positions', norm: 'layer', activation: 'gelu', positions: 'learned', gated: false },
  { name: 'RMS norm, rotary positions, gated', norm: 'rms', activation: 'silu', positions: 'rotary', gated: true },
] as const;

/** Everything a user of the method does, and what comes out of it as numbers. */
async function wholeMethod(device: Device, { name: _, ...kind }: (typeof KINDS)[number]) {
  const numbers: Record<string, number[]> = { base: [], embedder: [], distilled: [] };
  const shape = { depth: 2, width: 24, heads: 2, maxPositions: 12, ...kind };
  const base = new TransformerLM({ vocabularySize: VOCAB, tied: !kind.gated, ...shape }, { device, seed: 3 });
  const trainer = new BaseTrainer({
    model: base,
    optimizer: { learningRate: 1e-2, weightDecay: 0.1, epsilon },
    rows,
    noPrompt: NO_PROMPT,
    batchSize: 6,
    rowsPerMicrobatch: 4,
    seed: 1,
  });
  for await (const { loss, gradientNorm } of trainer.run({ steps: 4 })) numbers.base?.push(loss, gradientNorm);

  const encoder = new SequenceEncoder(
    { vocabularySize: VOCAB, dimensions: 10, ...shape, depth: 1 },
    { device, seed: 4 },
  );
  const contrastive = new ContrastiveTrainer({
    encoder,
    items: rows.length,
    pair: (item) => {
      const tokens = (rows[item] as (typeof rows)[number]).tokens;
      return [tokens, tokens.slice(0, -1)];
    },
    batchSize: 5,
    seed: 2,
    optimizer: { learningRate: 1e-3, epsilon },
  });
  for await (const { loss, gradientNorm } of contrastive.run({ steps: 2 })) numbers.embedder?.push(loss, gradientNorm);

  const student = base.clone();
  const distillation = new Trainer({
    student,
    teacher: { model: base, guidance: { scale: 2, negative: NO_PROMPT } },
    diversity: { embedder: new EncoderEmbedder(encoder), weight: 1.5 },
    samplesPerPrompt: 3,
    promptsPerStep: 3,
    maxTokens: 5,
    stopToken: STOP,
    seed: 9,
    optimizer: { learningRate: 5e-3, epsilon },
  });
  for await (const m of distillation.run(prompts, { steps: 2 })) {
    numbers.distilled?.push(m.kl, m.diversity as number, m.entropy, m.gradientNorm, m.tokens);
  }

  const drawn: Generation[] = [];
  for (const [model, options] of [
    [base, { guidance: { scale: 2.5, negative: NO_PROMPT }, topP: 0.9, seed: 6 }],
    [student, { topK: 5, temperature: 0.8, seed: 7, stopToken: STOP }],
    [student, { temperature: 0 }],
  ] as const) {
    const sampler = new Sampler(model, options);
    for await (const one of sampler.generate(prompts, { samplesPerPrompt: 2, maxTokens: 9 })) drawn.push(one);
  }
  for (const item of [trainer, contrastive, distillation, base, student, encoder]) item.dispose();
  return {
    numbers,
    tokens: drawn.map(({ tokens }) => [...tokens]),
    logProbs: drawn.flatMap(({ logProbs }) => [...logProbs]),
  };
}

describe('the whole method on the emulated CUDA device', () => {
  it.each(KINDS)(
    'gives the losses and tokens of the CPU: $name',
    async (kind) => {
      const expected = await wholeMethod(devices[0] as Device, kind);
      const actual = await wholeMethod(devices[1] as Device, kind);
      expect(expected.tokens.some((tokens) => new Set(tokens).size > 2)).toBe(true);
      for (const [stage, values] of Object.entries(expected.numbers)) {
        for (const [i, value] of values.entries()) {
          const got = actual.numbers[stage]?.[i] as number;
          expect(Math.abs(got - value), `${stage} ${i}: ${got} for ${value}`).toBeLessThanOrEqual(
            1e-4 * Math.abs(value),
          );
        }
      }
      expect(actual.tokens).toEqual(expected.tokens);
      for (const [i, value] of expected.logProbs.entries()) expect(actual.logProbs[i]).toBeCloseTo(value, 3);
    },
    120_000,
  );
});
