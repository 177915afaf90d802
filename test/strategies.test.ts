import { BASE_SWEEP, baseGenerators, type Generator, Sampler, TRAINED_SWEEP, trainedGenerators } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { experimentGenerators } from '../lib/cli/experiment/generators.ts';
import { model } from './support/evaluation.ts';

const noPrompt = Int32Array.of(0);
const plain = { name: 'merged', family: 'merged' as const, parameters: { beta: 5, lambda: 0.5 }, model };
const told = (generators: readonly Generator[]) =>
  generators.map(({ name, family, parameters, sampling }) => ({ name, family, parameters, sampling }));
const own = (sampling: object, name: string) => ({
  name: `merged + ${name}`,
  family: 'merged',
  parameters: { beta: 5, lambda: 0.5, ...sampling },
  sampling,
});

describe('the strategies on top of a trained model', () => {
  it('are by default some temperatures, top-k and nuclei, all in one pass', () => {
    const generators = trainedGenerators(plain);
    const { temperatures, topKs, topPs } = TRAINED_SWEEP;
    for (const values of [temperatures, topKs, topPs]) expect(values.length).toBeGreaterThan(0);
    expect(told(generators)).toEqual([
      { name: 'merged', family: 'merged', parameters: { beta: 5, lambda: 0.5 }, sampling: {} },
      ...temperatures.map((temperature) => own({ temperature }, `temperature ${temperature}`)),
      ...topKs.map((topK) => own({ topK }, `top-k ${topK}`)),
      ...topPs.map((topP) => own({ topP }, `nucleus ${topP}`)),
    ]);
    for (const { sampling } of generators) expect(new Sampler(model, sampling).passesPerToken).toBe(1);
  });

  it('can be chosen, each kind by itself', () => {
    expect(told(trainedGenerators(plain, { topKs: [3], topPs: [] })).slice(1)).toEqual([
      ...TRAINED_SWEEP.temperatures.map((temperature) => own({ temperature }, `temperature ${temperature}`)),
      own({ topK: 3 }, 'top-k 3'),
    ]);
    expect(trainedGenerators(plain, { temperatures: [], topKs: [], topPs: [] })).toHaveLength(1);
  });

  it('keep the family of a model distilled off-policy', () => {
    const families = trainedGenerators({ ...plain, family: 'off-policy', parameters: { beta: 0 } });
    expect(new Set(families.map(({ family }) => family))).toEqual(new Set(['off-policy']));
  });
});

describe('the strategies of a base model', () => {
  it('are a family each, beside the plain model', () => {
    const generators = baseGenerators(model, noPrompt);
    const count = (family: string) => generators.filter((generator) => generator.family === family).length;
    expect(count('base')).toBe(1);
    expect(count('guidance')).toBe(BASE_SWEEP.scales.length);
    expect(count('temperature')).toBe(BASE_SWEEP.temperatures.length);
    expect(count('top-k')).toBe(BASE_SWEEP.topKs.length);
    expect(count('nucleus')).toBe(BASE_SWEEP.topPs.length);
    expect(generators[1]!.sampling.guidance).toEqual({ scale: BASE_SWEEP.scales[0], negative: noPrompt });
  });

  it('can be chosen', () => {
    const generators = baseGenerators(model, noPrompt, { scales: [2], temperatures: [], topKs: [], topPs: [0.9] });
    expect(generators.map(({ name }) => name)).toEqual(['base', 'CFG γ 2', 'nucleus 0.9']);
  });
});

describe('the generators of an experiment', () => {
  it('have names that differ, and every strategy on top of every trained model', () => {
    const generators = experimentGenerators(noPrompt, {
      base: model,
      distilled: [0, 5].map((beta) => ({ beta, model })),
      offPolicy: model,
      merged: [0.5].map((lambda) => ({ beta: 5, lambda, model })),
    });
    expect(new Set(generators.map(({ name }) => name)).size).toBe(generators.length);
    const onTop = 1 + TRAINED_SWEEP.temperatures.length + TRAINED_SWEEP.topKs.length + TRAINED_SWEEP.topPs.length;
    expect(generators.filter(({ family }) => family === 'distilled' || family === 'merged')).toHaveLength(3 * onTop);
  });
});
