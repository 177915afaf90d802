import { type Generation, Sampler, TokenAutomaton, TransformerLM } from 'cfgdistill';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DType } from '../../lib/native.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { type Device, device } from '../../lib/tensor/device.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { placed } from '../support/both-devices.ts';
import {
  constrained,
  logitsOfStep,
  randomAutomaton,
  type Setup,
  startDecoding,
  steppedByHand,
} from '../support/constrained-decoding.ts';
import { BUILD_TIMEOUT, ORDERS, setOrder, useEmulatedDevice } from '../support/emulated-device.ts';
import { randomFloats } from '../support/random-data.ts';

let cpu: Device;
let cuda: Device;
beforeAll(async () => {
  useEmulatedDevice();
  [cpu, cuda] = await Promise.all([device('cpu'), device('cuda')]);
}, BUILD_TIMEOUT);
afterEach(() => setOrder('forward'));

function expectNear(actual: Float32Array, expected: Float32Array): void {
  expect(actual.length).toBe(expected.length);
  // The weights of both devices carry rounding errors of a few units in the last place of float32.
  for (const [i, value] of expected.entries())
    expect(Math.abs(actual[i]! - value)).toBeLessThanOrEqual(2e-6 * (1 + Math.abs(value)));
}

const OPTIONS = [{}, { temperature: 0 }, { topK: 4 }, { topP: 0.7 }, { topK: 40, topP: 0.8, temperature: 0.7 }];

describe('drawing from allowed tokens on the emulated CUDA device', () => {
  async function run(
    on: Device,
    [rows, vocab]: readonly [number, number],
    dtype: DType,
    each: boolean,
    options: object,
  ) {
    const random = new Random(rows * 1009 + vocab);
    const logits = () => placed(on, randomFloats(random, rows * vocab, 4), [rows, vocab], { dtype, skew: vocab % 2 });
    const [cond, uncond] = [logits(), logits()];
    const words = Math.ceil(vocab / 32);
    const masks = new Int32Array((each ? rows : 1) * words).map(
      () => random.integer(2 ** 32) & random.integer(2 ** 32),
    );
    for (let i = 0; i < masks.length; i += words) masks[i] = masks[i]! | 1; // no row without a token
    const allowed = Tensor.from(masks, each ? [rows, words] : [words], on).handle;
    const { temperature = 1, topK, topP } = options as { temperature?: number; topK?: number; topP?: number };
    const common = [temperature, topK, topP, 3, 0, allowed] as const;
    const results: { tokens: number[]; logProbs: Float32Array }[] = [];
    for (const second of [null, uncond]) {
      const [tokens, logProbs] = native.sampleGuided(cond, second, second ? 2.5 : 1, ...common);
      const drawn = Array.from((await tokens.read()) as Int32Array);
      for (const [r, token] of drawn.entries())
        expect((masks[(each ? r * words : 0) + (token >> 5)]! >>> (token & 31)) & 1).toBe(1);
      results.push({ tokens: drawn, logProbs: (await logProbs.read()) as Float32Array });
    }
    return results;
  }

  it.each([
    [[7, 1], 'float32'],
    [[7, 33], 'float32'],
    [[5, 64], 'bfloat16'],
    [[3, 131], 'float32'],
    [[2, 1031], 'bfloat16'],
    [[2, 9001], 'float32'], // more shared memory than kernels get unasked
    [[1, 12_003], 'float32'], // more than a device has
  ] as const)('equals the CPU: %j of %s', async (shape, dtype) => {
    for (const options of OPTIONS) {
      for (const each of [true, false]) {
        const expected = await run(cpu, shape, dtype, each, options);
        for (const order of shape[1] < 200 ? ORDERS : ORDERS.slice(0, 1)) {
          setOrder(order);
          for (const [i, { tokens, logProbs }] of (await run(cuda, shape, dtype, each, options)).entries()) {
            expect(tokens).toEqual(expected[i]!.tokens);
            expectNear(logProbs, expected[i]!.logProbs);
          }
        }
      }
    }
  });

  it('refuses what the CPU refuses, in the same words', async () => {
    for (const [logits, mask] of [
      [[0, Number.NaN, 0], 1],
      [[0, 0, Infinity], 1],
      [[0, 1, -Infinity], 4],
      [[0, 1, 2], -8],
    ] as const) {
      const messages = [];
      for (const on of [cpu, cuda]) {
        const allowed = Tensor.from(Int32Array.of(mask), [1], on).handle;
        const cond = placed(on, Float32Array.from(logits), [1, 3]);
        const [tokens] = native.sampleGuided(cond, null, 1, 1, undefined, undefined, 1, 0, allowed);
        messages.push(await tokens.read().then(String, (error: Error) => error.message));
      }
      expect(messages[0]).toMatch(/^cond: expected /);
      expect(messages[1]).toBe(messages[0]);
    }
  });
});

describe('decoding kept to an automaton on the emulated CUDA device', () => {
  it.each([
    [5, 11, 3, 1, 'float32', {}],
    [6, 33, 7, 2, 'float32', { stopToken: 8, topP: 0.95 }],
    [6, 64, 7, 2, 'bfloat16', { stopToken: 8, topK: 3 }],
    [3, 129, 40, 1, 'bfloat16', { temperature: 0, stopToken: 2 }],
    [2, 1031, 9, 2, 'float32', { topK: 50, topP: 0.9 }],
    [1, 12_003, 2, 1, 'float32', {}],
  ] as const)('keeps the same books as the CPU: [%i, %i], %i states, %i branches of %s, %o', async (...args) => {
    const [rows, vocab, states, branches, dtype, options] = args;
    const automaton = randomAutomaton(states, vocab);
    const setup = { rows, vocab, branches, capacity: 5, dtype, automaton, ...options };
    const expected = await constrained({ ...setup, on: cpu });
    for (const order of vocab < 200 ? ORDERS : ORDERS.slice(0, 1)) {
      setOrder(order);
      for (const actual of [await constrained({ ...setup, on: cuda }), await steppedByHand({ ...setup, on: cuda })]) {
        expect(actual.integers).toEqual(expected.integers);
        expectNear(actual.logProbs, expected.logProbs);
      }
    }
  });

  it('is replayed as a program', async () => {
    const setup: Setup = { on: cuda, rows: 5, vocab: 20, branches: 2, capacity: 7, automaton: randomAutomaton(6, 20) };
    const [direct, replayed] = [startDecoding(setup), startDecoding(setup)];
    native.beginProgram();
    replayed.step();
    const program = native.endProgram();
    for (let n = 0; n < setup.capacity; n++) {
      for (const { write } of [direct, replayed]) write(logitsOfStep(setup, n));
      direct.step();
      native.replayProgram(program);
    }
    expect(await replayed.read()).toEqual(await direct.read());
    native.disposeProgram(program);
  });

  it('refuses states that the automaton does not have as the CPU does, and changes nothing after', async () => {
    for (const state of [5, -1, 2 ** 31 - 1, -(2 ** 31)]) {
      const messages = [];
      for (const on of [cpu, cuda]) {
        const states = Int32Array.of(0, state, 1);
        const automaton = randomAutomaton(5, 9);
        const decoding = startDecoding({ on, rows: 3, vocab: 9, branches: 1, capacity: 4, automaton, states });
        decoding.write(randomFloats(new Random(1), 27, 1));
        decoding.step();
        messages.push(await decoding.history.read().then(String, (error: Error) => error.message));
      }
      expect(messages[0]).toMatch(/^state: expected a state of the automaton in row 1, got -?\d/);
      expect(messages[1]).toBe(messages[0]);
    }
  });
});

describe('a sampler on the emulated CUDA device', () => {
  // As many b as a, one to six, then the stop token: state 0 … 6 counts a's, 7 + n has n b's to come.
  const [A, B, STOP] = [2, 5, 7];
  const balanced = new TokenAutomaton({
    vocabularySize: 9,
    states: 14,
    transitions: (state, token) => {
      if (token === A && state < 6) return state + 1;
      if (token === B && state > 7) return state - 1;
      if (token === B && state > 0 && state < 7) return 7 + state - 1;
      return token === STOP && state === 7 ? 7 : undefined;
    },
  });

  it.each([{}, { guidance: { scale: 2, negative: Int32Array.of(3) } }])(
    'generates a language of equal numbers, the same as on the CPU: %o',
    async (options) => {
      const results: Generation[][] = [];
      for (const on of [cpu, cuda]) {
        const shape = { vocabularySize: 9, depth: 1, width: 16, heads: 2, maxPositions: 24 };
        const model = new TransformerLM(shape, { device: on, seed: 3 });
        const sampler = new Sampler(model, {
          constraint: balanced,
          stopToken: STOP,
          seed: 5,
          batchSize: 12,
          ...options,
        });
        const generations: Generation[] = [];
        const prompts = [Int32Array.of(1), Int32Array.of(4, 6), Int32Array.of(8, 0, 1)];
        const startStates = Int32Array.of(0, 0, 3);
        for await (const g of sampler.generate(prompts, { samplesPerPrompt: 6, maxTokens: 14, startStates }))
          generations.push(g);
        results.push(generations);
        model.dispose();
      }
      const [expected, actual] = results as [Generation[], Generation[]];
      const lengths = new Set<number>();
      for (const { prompt, tokens, stopped } of actual) {
        expect(stopped).toBe(true);
        const text = Array.from(tokens, (token) => (token === A ? 'a' : token === B ? 'b' : '.')).join('');
        const a = text.indexOf('b');
        expect(text).toBe(`${'a'.repeat(a)}${'b'.repeat(prompt === 2 ? a + 3 : a)}.`);
        lengths.add(a);
      }
      expect(lengths.size).toBeGreaterThan(3);
      for (const [i, { logProbs, ...rest }] of actual.entries()) {
        const { logProbs: want, ...same } = expected[i]!;
        expect(rest).toEqual(same);
        for (const [n, value] of want.entries()) expect(logProbs[n]).toBeCloseTo(value, 4);
      }
    },
  );
});
