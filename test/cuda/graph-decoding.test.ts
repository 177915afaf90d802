import { device, Sampler, TransformerLM } from 'cfgdistill';
import { beforeAll, describe, expect, it } from 'vitest';
import { BUILD_TIMEOUT, useEmulatedDevice } from '../support/emulated-device.ts';
import { submissionsOf } from '../support/emulation-trace.ts';

beforeAll(useEmulatedDevice, BUILD_TIMEOUT);

describe('cached decoding on the emulated CUDA device', () => {
  it('replays its step as a graph and draws the tokens of the CPU', async () => {
    const MAX_TOKENS = 16;
    const drawn: Int32Array[][] = [];
    let graphs = 0;
    for (const name of ['cpu', 'cuda'] as const) {
      const model = new TransformerLM(
        { vocabularySize: 13, width: 16, heads: 2, depth: 2, maxPositions: 24 },
        { device: await device(name), seed: 1 },
      );
      const sampler = new Sampler(model, { seed: 1, guidance: { scale: 2, negative: Int32Array.of(1) } });
      const tokens: Int32Array[] = [];
      const prompts = [Int32Array.of(1, 2, 3), Int32Array.of(7)];
      const counted = await submissionsOf(async () => {
        for await (const one of sampler.generate(prompts, { samplesPerPrompt: 2, maxTokens: MAX_TOKENS }))
          tokens[2 * one.prompt + one.sample] = one.tokens;
      });
      drawn.push(tokens);
      graphs = counted.graph;
    }
    expect(drawn[0]).toHaveLength(4);
    expect(drawn[1]).toEqual(drawn[0]);
    // The prompt gives the first token; the first of the other steps runs operation by operation.
    expect(graphs).toBe(MAX_TOKENS - 2);
  });
});
