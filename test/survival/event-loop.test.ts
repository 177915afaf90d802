import { BaseTrainer, EncoderEmbedder, Sampler, SequenceEncoder, Trainer, TransformerLM } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { lateness, percentile } from '../../bench/lateness.mjs';
import { SANITIZED } from '../support/sanitized.ts';

const CONFIG = { vocabularySize: 512, depth: 4, width: 128, heads: 4, maxPositions: 64 };
const STEPS = 2 ** 40; // more than will ever be run
const optimizer = { learningRate: 1e-4 };
const noPrompt = new Int32Array(4);
const prompts = Array.from({ length: 16 }, (_, i) => new Int32Array(4).fill(i + 1));
const base = new TransformerLM(CONFIG, { seed: 1 });

const { maxPositions: _, ...SMALL } = CONFIG;
const encoder = new SequenceEncoder({ ...SMALL, depth: 2, maxPositions: 28 });

async function untilDone(steps: AsyncGenerator<unknown>, goesOn: () => boolean): Promise<void> {
  for await (const _ of steps) if (!goesOn()) break;
}

const WORK: [string, (goesOn: () => boolean) => Promise<void>][] = [
  [
    'training',
    (goesOn) => {
      const rows = prompts.map((prompt) => ({ prompt, tokens: new Int32Array(28).fill(3) }));
      const trainer = new BaseTrainer({ model: base.clone(), rows, noPrompt, batchSize: 32, optimizer });
      return untilDone(trainer.run({ steps: STEPS }), goesOn);
    },
  ],
  [
    'distillation',
    (goesOn) => {
      const trainer = new Trainer({
        student: base.clone(),
        teacher: { model: base, guidance: { scale: 2, negative: noPrompt } },
        diversity: { embedder: new EncoderEmbedder(encoder), weight: 1 },
        promptsPerStep: 8,
        samplesPerPrompt: 4,
        maxTokens: 28,
        optimizer,
      });
      return untilDone(trainer.run(prompts, { steps: STEPS }), goesOn);
    },
  ],
  [
    'sampling',
    async (goesOn) => {
      const sampler = new Sampler(base, { guidance: { scale: 2, negative: noPrompt } });
      while (goesOn()) await untilDone(sampler.generate(prompts, { samplesPerPrompt: 8, maxTokens: 28 }), () => true);
    },
  ],
];

describe('the event loop', () => {
  // Sanitizers slow down what is timed. Once more on a machine that had something else to do.
  if (SANITIZED) console.warn('skipped: lateness under a sanitizer');
  it.skipIf(SANITIZED).each(WORK)('has its turn in 50 ms during %s', { retry: 2 }, async (_, work) => {
    const late = await lateness(work, 1.5);
    expect(late.length).toBeGreaterThan(140);
    expect(percentile(late, 0.99)).toBeLessThan(50);
  });
});

describe('lateness', () => {
  it('counts every tick that a long stretch lets pass', async () => {
    const late = await lateness(async () => {
      const end = performance.now() + 205;
      while (performance.now() < end);
    }, 0);
    expect(late.length).toBeGreaterThanOrEqual(20); // more where the machine is busy
    expect(percentile(late, 1)).toBeGreaterThan(180);
    expect(percentile(late, 0.5)).toBeGreaterThan(80);
    expect(percentile(late, 0)).toBeLessThan(30);
  });
});
