import {
  type Embedder,
  evaluate,
  type Judge,
  type LanguageModel,
  ShapeError,
  TokenAutomaton,
  ValueError,
} from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { base, judge, model, options, vocab, worth } from './support/evaluation.ts';

const untimed = { timingRounds: 0 };
const length = (tokens: Int32Array) => tokens.length;

describe('a judge', () => {
  it('is asked once for all generations of a prompt, and may wait', async () => {
    const asked: [number, number][] = [];
    const patient: Judge = {
      ...judge,
      quality: async (p, generations, signal) => {
        expect(signal).toBe(controller.signal);
        asked.push([p, generations.length]);
        await new Promise((resolve) => setTimeout(resolve, 2));
        return Float32Array.from(generations, (tokens) => worth(p, tokens));
      },
    };
    const controller = new AbortController();
    const [told] = await evaluate([base()], options({ ...untimed, judge: patient, signal: controller.signal }));
    expect(asked).toEqual([
      [0, 6],
      [1, 6],
      [2, 6],
    ]);
    expect(told).toEqual((await evaluate([base()], options(untimed)))[0]);
  });

  it('may give any finite number, negative ones too', async () => {
    const cosine: Judge = { ...judge, quality: (p, own) => own.map((tokens) => worth(p, tokens) - 1) };
    const [below] = await evaluate([base()], options({ ...untimed, judge: cosine }));
    const [plain] = await evaluate([base()], options(untimed));
    expect(below!.point.quality).toBeCloseTo(plain!.point.quality - 1, 12);
    expect(below!.point.interval.quality[0]).toBeCloseTo(plain!.point.interval.quality[0] - 1, 12);
    // What is valid is another question.
    expect(below!.point.distinctValid).toBe(plain!.point.distinctValid);
  });

  it('tells further measures by name, as means over all generations', async () => {
    const measuring: Judge = {
      ...judge,
      measures: (_, own) => ({ length: Float32Array.from(own, length), zero: own.map(() => 0) }),
    };
    const [told] = await evaluate([base()], options({ ...untimed, judge: measuring }));
    const all = told!.generations.flat();
    expect(Object.keys(told!.point.measures!)).toEqual(['length', 'zero']);
    expect(told!.point.measures!.length).toBeCloseTo(all.reduce((sum, own) => sum + own.length, 0) / all.length, 12);
    expect(told!.point.measures!.zero).toBe(0);
    const [without] = await evaluate([base()], options(untimed));
    expect(without!.point).not.toHaveProperty('measures');
  });

  it('keeps its own this', async () => {
    class Counting implements Judge {
      readonly most = 1;
      quality(_: number, own: readonly Int32Array[]) {
        return own.map(() => this.most);
      }
      valid() {
        return this.most === 1;
      }
      identity() {
        return String(this.most);
      }
      distance() {
        return this.most;
      }
      measures(_: number, own: readonly Int32Array[]) {
        return { most: own.map(() => this.most) };
      }
    }
    const [told] = await evaluate([base()], options({ ...untimed, judge: new Counting() }));
    expect(told!.point).toMatchObject({
      quality: 1,
      distinctValid: 1,
      independentDiversity: 1,
      measures: { most: 1 },
    });
  });

  it('is held to one finite figure per generation; the error names generator and prompt', async () => {
    const only =
      <T>(p: number, then: T, otherwise: T) =>
      (prompt: number) =>
        prompt === p ? then : otherwise;
    const six = Array(6).fill(1);
    const nan = [1, 1, 1, Number.NaN, 1, 1];
    const cases: [Partial<Judge>, typeof ValueError | typeof ShapeError, RegExp][] = [
      [
        { quality: only(2, nan, six) },
        ValueError,
        /^judge\.quality of 'base', prompt 2: expected a finite number, got NaN$/,
      ],
      [{ quality: async () => [1, 1, 1, 1, 1, Number.NEGATIVE_INFINITY] }, ValueError, /prompt 0: .* got -Infinity$/],
      [
        { quality: only(1, six.slice(1), six) },
        ShapeError,
        /^judge\.quality of 'base', prompt 1: expected one figure for each of 6 generations, got 5$/,
      ],
      [{ quality: () => 1 as unknown as number[] }, ShapeError, /got number$/],
      [{ distance: () => Number.NaN }, ValueError, /^judge\.distance of 'base', prompt 0: expected a finite number/],
      [
        { measures: (p) => ({ range: only(1, nan, six)(p) }) },
        ValueError,
        /^judge\.measures range of 'base', prompt 1: expected a finite number, got NaN$/,
      ],
      [{ measures: () => ({ range: [1] }) }, ShapeError, /^judge\.measures range of 'base', prompt 0: .* got 1$/],
      [
        { measures: only(2, { range: six, other: six }, { range: six }) as Judge['measures'] & object },
        ValueError,
        /^judge\.measures of 'base', prompt 2: expected the names of prompt 0, range; got range, other$/,
      ],
      [
        { measures: only(1, {}, { range: six }) as Judge['measures'] & object },
        ValueError,
        /expected the names of prompt 0, range; got none$/,
      ],
    ];
    for (const [more, kind, message] of cases) {
      const judging = evaluate([base()], options({ ...untimed, judge: { ...judge, ...more } }));
      await expect(judging).rejects.toThrow(kind);
      await expect(judging).rejects.toThrow(message);
    }
  });

  it('that fails ends the evaluation with its own error', async () => {
    const failing: Judge = { ...judge, quality: async () => Promise.reject(new RangeError('not now')) };
    await expect(evaluate([base()], options({ judge: failing }))).rejects.toThrow(new RangeError('not now'));
  });
});

describe('an independent embedder', () => {
  const lengths: Embedder = {
    dimensions: 2,
    embed: async (generations) => Float32Array.from(generations.flatMap((own) => [own.length, 1])),
  };
  const { distance: _, ...undistanced } = judge;

  it('measures the independent diversity in the judge’s place', async () => {
    const given = options({ ...untimed, judge: undistanced, independentEmbedder: lengths });
    const [told] = await evaluate([base()], given);
    const apart = (a: Int32Array, b: Int32Array) =>
      1 - (a.length * b.length + 1) / Math.sqrt((a.length ** 2 + 1) * (b.length ** 2 + 1));
    told!.generations.forEach((own, p) => {
      const all = own.flatMap((a, i) => own.slice(i + 1).map((b) => apart(a, b)));
      const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
      expect(told!.perPrompt.independentDiversity[p]).toBeCloseTo(mean, 5);
    });
    // The judge's distance is not asked for, where there is one.
    const refusing: Judge = {
      ...judge,
      distance: () => {
        throw new Error('not to be asked');
      },
    };
    expect((await evaluate([base()], { ...given, judge: refusing }))[0]).toEqual(told);
  });

  it('or a distance is needed, before anything is drawn', async () => {
    const judging = evaluate([base()], options({ judge: undistanced }));
    await expect(judging).rejects.toThrow(ValueError);
    await expect(judging).rejects.toThrow(
      /^judge\.distance: expected a function, or an independentEmbedder; got neither$/,
    );
  });
});

describe('a generator with a constraint', () => {
  // State s allows token s alone, and goes on with the next state; the stop token 0 is never allowed.
  const constraint = new TokenAutomaton({
    vocabularySize: vocab,
    states: vocab,
    start: 1,
    transitions: (state, token) => (token === Math.max(1, state) ? (state % 3) + 1 : undefined),
  });
  const constrained = base({ name: 'constrained', sampling: { constraint } });

  it('begins each prompt in its start state, in timing too, and leaves other generators free', async () => {
    const given = options({ startStates: Int32Array.of(3, 1, 2), timingPrompts: 2 });
    const [held, free] = await evaluate([constrained, base()], given);
    expect(held!.generations.map((own) => [...own[0]!])).toEqual([
      [3, 1, 2, 3],
      [1, 2, 3, 1],
      [2, 3, 1, 2],
    ]);
    expect(held!.point.tokensPerSecond).toBeGreaterThan(0);
    const [alone] = await evaluate([base()], options(untimed));
    expect(free!.generations).toEqual(alone!.generations);
    const [started] = await evaluate([constrained], options(untimed));
    expect([...started!.generations[2]![0]!]).toEqual([1, 2, 3, 1]);
  });

  it('is timed from the same start states', async () => {
    let steps = 0;
    const stepping: LanguageModel = {
      vocabularySize: vocab,
      parameters: () => model.parameters(),
      forward: (batch) => model.forward(batch),
      decoder: (batch, own) => {
        const decoder = model.decoder(batch, own);
        return {
          logits: decoder.logits,
          step: (tokens) => {
            steps++;
            return decoder.step(tokens);
          },
          dispose: () => decoder.dispose(),
        };
      },
    };
    // State 0 stops at once, state 1 never.
    const ending = new TokenAutomaton({
      vocabularySize: vocab,
      states: 2,
      start: 1,
      transitions: (state, token) => (token === state ? state : undefined),
    });
    const generator = base({ model: stepping, sampling: { constraint: ending } });
    const stopped = { maxTokens: 30, startStates: new Int32Array(3) };
    await evaluate([generator], options({ ...stopped, timingRounds: 0 }));
    const once = steps;
    expect(once).toBeLessThan(10);
    steps = 0;
    await evaluate([generator], options({ ...stopped, timingRounds: 1, timingPrompts: 2 }));
    expect(steps).toBe(2 * once);
  });

  it('refuses start states that do not fit, before anything is drawn', async () => {
    const bad = options({ startStates: Int32Array.of(1, 2) });
    await expect(evaluate([base(), constrained], bad)).rejects.toThrow(
      /^startStates: expected \[prompts\] = \[3\], got 2$/,
    );
    const outside = options({ startStates: Int32Array.of(1, 2, vocab) });
    await expect(evaluate([constrained], outside)).rejects.toThrow(/^startStates: /);
  });
});
