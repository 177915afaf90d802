import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Evaluation,
  EvaluationFolder,
  evaluate,
  type Generator,
  type LanguageModel,
  ValueError,
} from 'cfgdistill';
import { afterAll, describe, expect, it } from 'vitest';
import { base, judge, model, options } from './support/evaluation.ts';

const root = mkdtempSync(join(tmpdir(), 'cfgdistill-evaluation-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const newFolder = () => join(root, `folder-${folders++}`);
const open = (path: string, settings: Record<string, unknown> = { seed: 3 }) =>
  EvaluationFolder.open(path, { settings });

/** The model, and how often something was drawn from it. */
function counted() {
  const counter = { drawn: 0 };
  const counting: LanguageModel = {
    vocabularySize: model.vocabularySize,
    parameters: () => model.parameters(),
    forward: (batch) => model.forward(batch),
    decoder: (batch, own) => {
      counter.drawn++;
      return model.decoder(batch, own);
    },
  };
  return { counter, counting };
}

const generatorsOf = (own: LanguageModel): Generator[] => [
  base({ model: own }),
  base({ name: 'CFG γ 2/1', family: 'guidance', parameters: { scale: 2 }, model: own }),
  base({
    name: 'cold',
    family: 'temperature',
    parameters: { temperature: 0.5 },
    sampling: { temperature: 0.5 },
    model: own,
  }),
];
const measuring = {
  ...judge,
  measures: (_: number, own: readonly Int32Array[]) => ({ third: own.map((tokens) => tokens.length / 3) }),
};

function untimed(evaluations: readonly Evaluation[]) {
  return evaluations.map(({ point: { tokensPerSecond: _, ...point }, ...rest }) => ({ point, ...rest }));
}

/** The evaluations' files. */
const filesIn = (path: string) =>
  readdirSync(path)
    .filter((name) => name !== 'cfgdistill.json')
    .sort();

describe('an evaluation with a folder', () => {
  it('that was aborted goes on where it was, and ends with the same figures, bit for bit', async () => {
    const whole = await evaluate(generatorsOf(model), options({ judge: measuring }));
    // With 3 generators and one round: 1 … 3 are judgements, 4 … 6 runs of timing.
    for (const after of [1, 2, 3, 5]) {
      const path = newFolder();
      const { counter, counting } = counted();
      const controller = new AbortController();
      const reason = new Error('enough');
      const onProgress = (done: number) => done === after && controller.abort(reason);
      const first = options({ judge: measuring, store: await open(path), signal: controller.signal, onProgress });
      await expect(evaluate(generatorsOf(counting), first)).rejects.toBe(reason);
      expect(filesIn(path)).toHaveLength(Math.min(3, after));
      counter.drawn = 0;
      const told: number[] = [];
      const resumed = await evaluate(
        generatorsOf(counting),
        options({ judge: measuring, store: await open(path), onProgress: (done, total) => told.push(done, total) }),
      );
      expect(untimed(resumed)).toEqual(untimed(whole));
      // Those that were left, and one run of timing for each.
      expect(counter.drawn).toBe(Math.max(0, 3 - after) + 3);
      expect(told).toEqual([1, 2, 3, 4, 5, 6].flatMap((done) => [done, 6]));
      for (const { point } of resumed) expect(point.tokensPerSecond).toBeGreaterThan(0);
    }
  });

  it('that has ended draws nothing and measures nothing again, speeds included', async () => {
    const path = newFolder();
    const first = await evaluate(generatorsOf(model), options({ store: await open(path) }));
    const { counter, counting } = counted();
    const told: number[] = [];
    const again = await evaluate(
      generatorsOf(counting),
      options({ store: await open(path), onProgress: (done, total) => told.push(done, total) }),
    );
    expect(again).toEqual(first);
    expect(counter.drawn).toBe(0);
    expect(told).toEqual([1, 3, 2, 3, 3, 3]);
    expect(again[0]!.perPrompt.quality).toBeInstanceOf(Float64Array);
    expect(again[0]!.generations[0]![0]).toBeInstanceOf(Int32Array);
  });

  it('takes further generators, and then the speed of all', async () => {
    const path = newFolder();
    const [one, two, three] = generatorsOf(model) as [Generator, Generator, Generator];
    const [first] = await evaluate([one], options({ store: await open(path) }));
    const { counter, counting } = counted();
    const more = [one, two, three].map((generator) => ({ ...generator, model: counting }));
    const three_ = await evaluate(more, options({ store: await open(path), timingRounds: 2 }));
    expect(counter.drawn).toBe(2 + 3 * 2);
    expect(untimed(three_.slice(0, 1))).toEqual(untimed([first!]));
    expect(three_[0]!.point.tokensPerSecond).not.toBe(first!.point.tokensPerSecond);
    // And the new speeds are kept.
    const kept = await evaluate(more, options({ store: await open(path) }));
    expect(kept).toEqual(three_);
  });

  it('draws again what a damaged file held, whatever the damage', async () => {
    const path = newFolder();
    const whole = await evaluate(generatorsOf(model), options({ store: await open(path), timingRounds: 0 }));
    const files = filesIn(path);
    expect(files).toHaveLength(3);
    const intact = readFileSync(join(path, files[1]!), 'utf8');
    const digit = intact.lastIndexOf('1');
    const damages = [
      '',
      'dear all',
      intact.slice(0, -1),
      intact.slice(0, intact.length / 2),
      `${intact.slice(0, digit)}2${intact.slice(digit + 1)}`,
      intact.replace('"format":1', '"format":2'),
      readFileSync(join(path, files[0]!), 'utf8'),
    ];
    for (const damage of damages) {
      writeFileSync(join(path, files[1]!), damage);
      const { counter, counting } = counted();
      const again = await evaluate(generatorsOf(counting), options({ store: await open(path), timingRounds: 0 }));
      expect(again).toEqual(whole);
      expect(counter.drawn).toBe(1);
      expect(readFileSync(join(path, files[1]!), 'utf8')).toBe(intact);
    }
  });

  it('keeps names apart that look the same as file names', async () => {
    const path = newFolder();
    const names = ['γ 1', 'β 1', 'A', 'a', '../a', 'a/b', 'CON', 'x'.repeat(300)];
    const generators = names.map((name) => base({ name }));
    const first = await evaluate(generators, options({ store: await open(path), timingRounds: 0 }));
    expect(new Set(filesIn(path).map((name) => name.toLowerCase())).size).toBe(names.length);
    const store = await open(path);
    for (const [i, name] of names.entries()) expect(await store.load(name)).toEqual(first[i]);
    expect(await store.load('b')).toBeNull();
  });
});

describe('an evaluation folder', () => {
  const snapshot = (path: string) =>
    readdirSync(path).map((name) => [name, statSync(join(path, name)).mtimeMs, readFileSync(join(path, name), 'utf8')]);

  it('of other settings is refused by what differs, and left alone', async () => {
    const path = newFolder();
    const settings = { seed: 3, samples: 6, embedder: { digest: 'ab', size: 2 }, prompts: ['x', 'y'] };
    await evaluate([base()], options({ store: await open(path, settings), timingRounds: 0 }));
    const before = snapshot(path);
    const { samples: _, ...fewer } = settings;
    const cases: [Record<string, unknown>, string][] = [
      [{ ...settings, seed: 4 }, 'seed was 3, is 4'],
      [{ ...settings, seed: '3' }, 'seed was 3, is "3"'],
      [
        { ...settings, embedder: { digest: 'cd', size: 2 }, prompts: ['x'] },
        'embedder.digest was "ab", is "cd"; prompts was ["x","y"], is ["x"]',
      ],
      [fewer, 'samples was 6, is none'],
      [{ ...settings, adherence: null }, 'adherence was none, is null'],
    ];
    for (const [other, told] of cases) {
      const opening = open(path, other);
      await expect(opening).rejects.toThrow(ValueError);
      await expect(opening).rejects.toThrow(
        `output: ${path} holds an evaluation with other settings (${told}); give another folder, or remove it`,
      );
    }
    expect(snapshot(path)).toEqual(before);
    // The order of names says nothing, nor does what is undefined.
    await open(path, { ...Object.fromEntries(Object.entries(settings).reverse()), further: undefined });
  });

  it('that holds something else is refused and left alone', async () => {
    const path = newFolder();
    mkdirSync(path);
    writeFileSync(join(path, 'letter.txt'), 'dear all');
    await expect(open(path)).rejects.toThrow(/^output: .*holds "letter\.txt"; nothing in it was touched$/);
    expect(readdirSync(path)).toEqual(['letter.txt']);
  });

  it('tells a generator of another origin by its name', async () => {
    const path = newFolder();
    const from = (digest?: string) => EvaluationFolder.open(path, { settings: {}, originOf: () => digest });
    await evaluate([base()], options({ store: await from('ab'), timingRounds: 0 }));
    await evaluate([base()], options({ store: await from('ab'), timingRounds: 0 }));
    const other = evaluate([base()], options({ store: await from('cd'), timingRounds: 0 }));
    await expect(other).rejects.toThrow(ValueError);
    await expect(other).rejects.toThrow(/evaluation of 'base' from another origin \(was ab, is cd\)/);
    const unknown = evaluate([base()], options({ store: await from(), timingRounds: 0 }));
    await expect(unknown).rejects.toThrow(/\(was ab, is none\)/);
  });

  it('whose evaluations do not fit the generators or the prompts is refused before anything is drawn', async () => {
    const path = newFolder();
    const cold = base({ name: 'cold', family: 'temperature', parameters: { temperature: 0.5 } });
    await evaluate([cold], options({ store: await open(path), timingRounds: 0 }));
    const { counter, counting } = counted();
    const before = base({ name: 'new', model: counting });
    const cases: [Partial<Generator>, Parameters<typeof options>[0], RegExp][] = [
      [{ family: 'nucleus' }, {}, /^store: of generator 'cold', expected family "nucleus", got "temperature"$/],
      [
        { parameters: { temperature: 0.6 } },
        {},
        /expected parameters \{"temperature":0\.6\}, got \{"temperature":0\.5\}$/,
      ],
      [{}, { samplesPerPrompt: 5 }, /expected samples per prompt 5, got 6$/],
      [
        {},
        { prompts: options().prompts.slice(0, 2), samplesPerPrompt: 5 },
        /expected prompts 2, got 3; samples per prompt 5, got 6$/,
      ],
    ];
    for (const [more, given, message] of cases) {
      const generators = [before, { ...cold, ...more, model: counting }];
      const judging = evaluate(generators, options({ ...given, store: await open(path), timingRounds: 0 }));
      await expect(judging).rejects.toThrow(ValueError);
      await expect(judging).rejects.toThrow(message);
    }
    expect(counter.drawn).toBe(0);
  });
});

describe('a store', () => {
  it('may be anything; its errors end the evaluation', async () => {
    const kept = new Map<string, Evaluation>();
    const store = {
      load: async (name: string) => kept.get(name) ?? null,
      save: async (evaluation: Evaluation) => {
        if (kept.size === 2) throw new RangeError('full');
        kept.set(evaluation.point.name, structuredClone(evaluation));
      },
    };
    await expect(evaluate(generatorsOf(model), options({ store }))).rejects.toThrow(new RangeError('full'));
    expect([...kept.keys()]).toEqual(['base', 'CFG γ 2/1']);
    kept.delete('base');
    const { counter, counting } = counted();
    const two = await evaluate(generatorsOf(counting).slice(0, 2), options({ store: { ...store }, timingRounds: 0 }));
    expect(counter.drawn).toBe(1);
    expect(two).toEqual(await evaluate(generatorsOf(model).slice(0, 2), options({ timingRounds: 0 })));
  });
});
