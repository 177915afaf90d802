import {
  type Embedder,
  type EvaluateOptions,
  evaluate,
  type Generator,
  type Judge,
  ShapeError,
  ValueError,
} from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { base, exact, judge, model, options, prompts, vocab, worth } from './support/evaluation.ts';
import { type Sequence, sequences } from './support/exact-bigram.ts';
import { ScriptedModel } from './support/scripted-model.ts';

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

function pairs<T>(all: readonly T[]): [T, T][] {
  return all.flatMap((a, i) => all.slice(i + 1).map((b): [T, T] => [a, b]));
}

function oneMinusCosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  return 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

const histogram = (tokens: Int32Array): number[] =>
  Array.from({ length: vocab }, (_, v) => tokens.filter((token) => token === v).length);

describe('evaluate', () => {
  it('of prescribed generations gives the figures worked out by hand', async () => {
    const scripts: Record<number, number[][]> = {
      1: [
        [1, 0],
        [1, 0],
        [2, 0],
      ],
      2: [
        [2, 2, 0],
        [3, 3, 3, 3],
        [1, 0],
      ],
    };
    const scripted = new ScriptedModel(model, (prompt) => scripts[prompt[0]!]!);
    const given = options({ prompts: prompts.slice(0, 2), samplesPerPrompt: 3 });
    const [evaluation] = await evaluate([base({ model: scripted })], given);
    expect(evaluation!.generations.map((own) => own.map((tokens) => [...tokens]))).toEqual([scripts[1], scripts[2]]);
    const { point, perPrompt } = evaluation!;
    // 1, 1, ½ and 1, 0, ½.
    expect([...perPrompt.quality]).toEqual([2.5 / 3, 0.5]);
    expect(point.quality).toBeCloseTo(2 / 3, 12);
    // Histograms: [1 1 0 0] twice and [1 0 1 0]; then [1 0 2 0], [0 0 0 4], [1 1 0 0].
    const diversity = [(0 + 0.5 + 0.5) / 3, (1 + (1 - 1 / Math.sqrt(10)) + 1) / 3];
    perPrompt.diversity.forEach((value, p) => {
      expect(value).toBeCloseTo(diversity[p]!, 6);
    });
    expect(point.diversity).toBeCloseTo(mean(diversity), 6);
    expect([...perPrompt.independentDiversity]).toEqual([2 / 3, 1]);
    expect(point.independentDiversity).toBeCloseTo(5 / 6, 12);
    // Two valid ones for prompt 1 are the same; only [2 2 0] is valid for prompt 2.
    expect(point.distinctValid).toBe(1);
    expect(point).toMatchObject({ name: 'base', family: 'base', parameters: {}, passesPerToken: 1 });
  });

  it('of drawn generations gives what their tokens say, with intervals around the means', async () => {
    const generators = [
      base(),
      base({
        name: 'CFG',
        family: 'guidance',
        parameters: { scale: 2 },
        sampling: { guidance: { scale: 2, negative: Int32Array.of(0) } },
      }),
      base({ name: 'cold', family: 'temperature', parameters: { temperature: 0.5 }, sampling: { temperature: 0.5 } }),
    ];
    const evaluations = await evaluate(generators, options({ samplesPerPrompt: 16 }));
    expect(evaluations.map(({ point }) => point.passesPerToken)).toEqual([1, 2, 1]);
    evaluations.forEach(({ point, perPrompt, generations }, g) => {
      const { name, family, parameters } = generators[g]!;
      expect(point).toMatchObject({ name, family, parameters });
      expect(generations.map((own) => own.length)).toEqual([16, 16, 16]);
      const quality = generations.map((own, p) => mean(own.map((tokens) => worth(p, tokens))));
      const diversity = generations.map((own) => mean(pairs(own.map(histogram)).map(([a, b]) => oneMinusCosine(a, b))));
      const independent = generations.map((own) => mean(pairs(own).map(([a, b]) => (a.join() === b.join() ? 0 : 1))));
      const distinct = generations.map(
        (own, p) => new Set(own.filter((tokens) => tokens.includes(p + 1)).map((tokens) => tokens.join())).size,
      );
      const close = (actual: ArrayLike<number>, expected: readonly number[], digits: number) => {
        expect(actual.length).toBe(expected.length);
        expected.forEach((value, p) => {
          expect(actual[p]).toBeCloseTo(value, digits);
        });
      };
      close(perPrompt.quality, quality, 12);
      close(perPrompt.diversity, diversity, 5);
      close(perPrompt.independentDiversity, independent, 12);
      expect(point.quality).toBeCloseTo(mean(quality), 12);
      expect(point.diversity).toBeCloseTo(mean(diversity), 5);
      expect(point.independentDiversity).toBeCloseTo(mean(independent), 12);
      expect(point.distinctValid).toBeCloseTo(mean(distinct), 12);
      for (const measure of ['quality', 'diversity'] as const) {
        const [low, high] = point.interval[measure];
        expect(low).toBeLessThanOrEqual(point[measure]);
        expect(high).toBeGreaterThanOrEqual(point[measure]);
        // With three prompts a resample can be any one of them, three times.
        expect(low).toBeGreaterThanOrEqual(Math.min(...perPrompt[measure]) - 1e-12);
        expect(high).toBeLessThanOrEqual(Math.max(...perPrompt[measure]) + 1e-12);
        expect(high).toBeGreaterThan(low);
      }
      expect(point.tokensPerSecond).toBeGreaterThan(0);
    });
  });

  it('estimates what the model, enumerated, really does', async () => {
    const [evaluation] = await evaluate([base()], options({ samplesPerPrompt: 2000, timingRounds: 0 }));
    prompts.forEach(([prompt], p) => {
      const setting = { prompt: prompt!, negative: 0, scale: 1, temperature: 1, stop: 0, maxTokens: 4 };
      const all: Sequence[] = sequences(exact, setting);
      const expectation = (f: (tokens: Int32Array) => number) =>
        all.reduce((sum, { tokens, probability }) => sum + probability * f(Int32Array.from(tokens)), 0);
      const quality = expectation((tokens) => worth(p, tokens));
      const variance = expectation((tokens) => (worth(p, tokens) - quality) ** 2);
      const error = evaluation!.perPrompt.quality[p]! - quality;
      expect(Math.abs(error)).toBeLessThan(4 * Math.sqrt(variance / 2000));
      const distance = 1 - all.reduce((sum, { probability }) => sum + probability ** 2, 0);
      expect(evaluation!.perPrompt.independentDiversity[p]).toBeCloseTo(distance, 1);
    });
  });

  it('repeats with its seed, whoever else is judged, and differs with another', async () => {
    const other = base({ name: 'cold', family: 'temperature', sampling: { temperature: 0.5 } });
    const untimed = { timingRounds: 0 };
    const [alone] = await evaluate([base()], options(untimed));
    const [, beside] = await evaluate([other, base()], options(untimed));
    expect(beside).toEqual(alone);
    const [reseeded] = await evaluate([base()], options({ ...untimed, seed: 4 }));
    expect(reseeded!.generations).not.toEqual(alone!.generations);
    expect(alone!.point.tokensPerSecond).toBe(0);
  });

  it('reports its progress', async () => {
    const told: [number, number, string][] = [];
    const generators = [base(), base({ name: 'other' })];
    const onProgress = (...step: [number, number, string]) => told.push(step);
    await evaluate(generators, options({ timingRounds: 2, onProgress }));
    expect(told.map(([done, total]) => [done, total])).toEqual([1, 2, 3, 4, 5, 6].map((done) => [done, 6]));
    // Every round of timing runs all of them.
    expect(told.map(([, , what]) => what)).toEqual([
      'base',
      'other',
      'speed of base',
      'speed of other',
      'speed of base',
      'speed of other',
    ]);
  });

  it('times fewer prompts than it judges, also where guidance is given per prompt', async () => {
    const guidance = { scale: Float32Array.of(1, 2, 3), negative: [0, 0, 1].map((token) => Int32Array.of(token)) };
    const guided = base({ name: 'CFG', family: 'guidance', sampling: { guidance } });
    const [evaluation] = await evaluate([guided], options({ timingPrompts: 2 }));
    expect(evaluation!.point).toMatchObject({ passesPerToken: 2, tokensPerSecond: expect.any(Number) });
    expect(evaluation!.point.tokensPerSecond).toBeGreaterThan(0);
  });

  it('stops when it is aborted: before, between two generators, and while timing', async () => {
    const reason = new Error('enough');
    await expect(evaluate([base()], options({ signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);
    for (const after of [1, 3]) {
      const controller = new AbortController();
      const told: number[] = [];
      const onProgress = (done: number) => {
        told.push(done);
        if (done === after) controller.abort(reason);
      };
      const generators = [base(), base({ name: 'other' })];
      const judging = evaluate(generators, options({ timingRounds: 3, signal: controller.signal, onProgress }));
      await expect(judging).rejects.toBe(reason);
      expect(told.at(-1)).toBe(after);
    }
  });

  it('refuses bad input by name, before anything is drawn', async () => {
    let drawn = 0;
    const scripted = new ScriptedModel(model, () => {
      drawn++;
      return Array.from({ length: 6 }, () => [1, 0]);
    });
    const generator = base({ model: scripted });
    const second = (sampling: Generator['sampling']) => [generator, base({ name: 'second', sampling })];
    const cases: [readonly Generator[], Partial<EvaluateOptions>, RegExp][] = [
      [[], {}, /^generators: expected at least one, got none$/],
      [[generator, generator], {}, /^generators: expected names that differ$/],
      [[generator], { prompts: [] }, /^prompts: expected at least one prompt, got none$/],
      [[generator], { samplesPerPrompt: 1 }, /^samplesPerPrompt: expected an integer of at least 2, got 1$/],
      [[generator], { samplesPerPrompt: 2.5 }, /^samplesPerPrompt: .* got 2\.5$/],
      [[generator], { timingRounds: -1 }, /^timingRounds: expected an integer of at least 0, got -1$/],
      [[generator], { timingRounds: Number.NaN }, /^timingRounds: .* got NaN$/],
      [[generator], { timingPrompts: 0 }, /^timingPrompts: expected an integer of at least 1, got 0$/],
      [[generator], { maxTokens: 0 }, /^maxTokens: /],
      [[generator], { stopToken: vocab }, /^stopToken: expected a token below 4, got 4$/],
      [[generator], { seed: -1 }, /^seed: /],
      [[generator], { prompts: [new Int32Array(0)] }, /^prompts\[0\]: expected at least one token, got none$/],
      [second({ temperature: -1 }), {}, /^temperature: expected a number of at least 0, got -1$/],
      [second({ topP: 0 }), {}, /^topP: /],
    ];
    for (const [generators, more, message] of cases) {
      const judging = evaluate(generators, options(more));
      await expect(judging).rejects.toThrow(ValueError);
      await expect(judging).rejects.toThrow(message);
    }
    expect(drawn).toBe(0);
  });

  it('refuses embeddings of another size, and a quality that is no number', async () => {
    const short: Embedder = { dimensions: 3, embed: async () => new Float32Array(5) };
    await expect(evaluate([base()], options({ embedder: short }))).rejects.toThrow(ShapeError);
    await expect(evaluate([base()], options({ embedder: short }))).rejects.toThrow(
      /^embedder: expected \[18, 3\] = 54 float32 elements, got 5 elements$/,
    );
    const confused: Judge = { ...judge, quality: () => Array(6).fill(Number.NaN) };
    await expect(evaluate([base()], options({ judge: confused }))).rejects.toThrow(
      /^judge\.quality of 'base', prompt 0: expected a finite number, got NaN$/,
    );
  });
});
