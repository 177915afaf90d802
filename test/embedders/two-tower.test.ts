import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import {
  CheckpointError,
  Random,
  SequenceEncoder,
  ShapeError,
  saveSafetensors,
  Tensor,
  TwoTower,
  TwoTowerTrainer,
  ValueError,
} from 'cfgdistill';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { infoNce } from '../../lib/embedders/info-nce.ts';
import { collect, errorByScale, gradientsAsMoments, savedMoments } from '../support/golden.ts';
import { randomFloats, sameBits } from '../support/random-data.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cfgdistill-towers-'));
});
afterAll(() => rm(folder, { recursive: true }));

const WORDS = 9;
const NOTES = 13;
const shape = { depth: 1, width: 12, heads: 2, feedForwardWidth: 16, dimensions: 5, maxPositions: 9 } as const;
const positions = 'rotary' as const;

function towersOf(seed = 1, dropout = 0): TwoTower {
  return new TwoTower({
    text: new SequenceEncoder({ ...shape, positions, dropout, vocabularySize: WORDS }, { seed }),
    music: new SequenceEncoder({ ...shape, positions, dropout, depth: 2, vocabularySize: NOTES }, { seed: seed + 1 }),
  });
}

const random = new Random(3);
const sequence = (vocabulary: number, length: number): Int32Array =>
  Int32Array.from({ length }, () => random.integer(vocabulary));
/** Sixteen pairs of seven texts: most texts stand there more than once. */
const texts = Array.from({ length: 7 }, (_, i) => sequence(WORDS, 1 + (i % 4)));
const pairs = Array.from({ length: 16 }, (_, i) => [texts[i % 7]!, sequence(NOTES, 2 + (i % 7))] as const);

/** The loss of embeddings [n, dimensions] as the documentation states it, in float64. */
function referenceLoss(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  { dimensions, temperature, groups }: { dimensions: number; temperature: number; groups: readonly string[] },
): number {
  const row = (all: ArrayLike<number>, i: number) =>
    Array.from({ length: dimensions }, (_, d) => all[i * dimensions + d]!);
  const score = (i: number, j: number): number => {
    const [x, y] = [row(a, i), row(b, j)];
    const dot = x.reduce((sum, value, d) => sum + value * y[d]!, 0);
    return dot / Math.hypot(...x) / Math.hypot(...y) / temperature;
  };
  const losses = groups.map((group, i) => {
    const others = groups.flatMap((other, j) => (other === group ? [] : [j]));
    const among = (scores: number[]) => Math.log(scores.reduce((sum, s) => sum + Math.exp(s - score(i, i)), 1));
    return 0.5 * among(others.map((j) => score(i, j))) + 0.5 * among(others.map((j) => score(j, i)));
  });
  return losses.reduce((sum, x) => sum + x, 0) / groups.length;
}

describe('symmetric InfoNCE with groups', () => {
  const [n, dimensions, temperature] = [7, 4, 0.3];
  const [a, b] = [randomFloats(random, n * dimensions), randomFloats(random, n * dimensions)];

  it.each([
    ['of two and three', ['x', 'y', 'x', 'z', 'z', 'w', 'z']],
    ['of one each', ['a', 'b', 'c', 'd', 'e', 'f', 'g']],
    ['of all', ['x', 'x', 'x', 'x', 'x', 'x', 'x']],
  ])('gives the loss and its gradient: groups %s', async (_, groups) => {
    const settings = { dimensions, temperature, groups };
    const [first, second] = [Tensor.from(a, [n, dimensions]), Tensor.from(b, [n, dimensions])];
    const { loss, gradients } = infoNce([first, second], () => [first, second], temperature, groups);
    expect((await loss.read())[0]).toBeCloseTo(referenceLoss(a, b, settings), 5);
    const step = 1e-5;
    for (const [tensor, values, lossAt] of [
      [first, a, (moved: Float64Array) => referenceLoss(moved, b, settings)],
      [second, b, (moved: Float64Array) => referenceLoss(a, moved, settings)],
    ] as const) {
      const slopes = Float32Array.from(values, (_, i) => {
        const at = (distance: number): number => {
          const moved = Float64Array.from(values);
          moved[i]! += distance;
          return lossAt(moved);
        };
        return (at(step) - at(-step)) / (2 * step);
      });
      const gradient = await gradients.get(tensor)!.read();
      if (new Set(groups).size === 1) expect(gradient.every((x) => x === 0)).toBe(true);
      else expect(errorByScale(gradient, slopes)).toBeLessThan(1e-5);
    }
  });

  it('without groups is that of pairs that are a group each', async () => {
    const lossOf = async (groups: readonly string[] | null): Promise<Float32Array> => {
      const [first, second] = [Tensor.from(a, [n, dimensions]), Tensor.from(b, [n, dimensions])];
      return infoNce([first, second], () => [first, second], temperature, groups).loss.read();
    };
    expect(await lossOf(null)).toEqual(await lossOf(['a', 'b', 'c', 'd', 'e', 'f', 'g']));
  });
});

describe('TwoTower', () => {
  const music = pairs.map(([, tokens]) => tokens);
  const prompts = pairs.map(([text]) => text);

  it('scores each pair by its cosine', async () => {
    const towers = towersOf();
    const [a, b] = [await towers.embedText(prompts), await towers.embedMusic(music)];
    const scores = await towers.score(prompts, music);
    expect([a.length, b.length, scores.length]).toEqual([80, 80, 16]);
    scores.forEach((score, i) => {
      const [x, y] = [a.subarray(5 * i, 5 * i + 5), b.subarray(5 * i, 5 * i + 5)];
      const dot = x.reduce((sum, value, d) => sum + value * y[d]!, 0);
      expect(score).toBeCloseTo(dot / Math.hypot(...x) / Math.hypot(...y), 6);
    });
    expect(new Set(scores).size).toBeGreaterThan(10);
  });

  it('embeds a text the same wherever it stands, and nothing as nothing', async () => {
    const towers = towersOf();
    const all = await towers.embedText(prompts);
    for (const i of [0, 6, 7, 15]) {
      const alone = await towers.embedText([prompts[i]!]);
      expect(errorByScale(all.slice(5 * i, 5 * i + 5), alone)).toBeLessThan(1e-5);
    }
    expect(sameBits(all.slice(0, 5), all.slice(35, 40))).toBe(true);
    expect(await towers.score([], [])).toEqual(new Float32Array(0));
  });

  it('is written and read bit for bit, both towers in one file', async () => {
    const path = join(folder, 'towers.safetensors');
    const towers = towersOf();
    await towers.save(path, { metadata: { task: 'tunes' } });
    const again = await TwoTower.load(path, { device: 'cpu' });
    expect(again.text.config).toEqual(towers.text.config);
    expect(again.music.config).toEqual(towers.music.config);
    expect(await again.score(prompts, music)).toEqual(await towers.score(prompts, music));
    const names = towers.parameters().map(({ name }) => name);
    expect(names.filter((name) => name.startsWith('text.')).length).toBe(towers.text.parameters().length);
    expect(names.filter((name) => name.startsWith('music.')).length).toBe(towers.music.parameters().length);
    expect(new Set(names).size).toBe(names.length);
  });

  it('refuses files of another kind, and configs that are none', async () => {
    const path = join(folder, 'other.safetensors');
    await towersOf().text.save(path);
    await expect(TwoTower.load(path)).rejects.toThrow(
      'expected a checkpoint of a TwoTower, got one of a SequenceEncoder',
    );
    for (const config of [null, {}, { text: { ...shape, vocabularySize: 4 } }, { text: {}, music: {} }]) {
      await saveSafetensors(path, [], { format: 'cfgdistill', kind: 'TwoTower', config: JSON.stringify(config) });
      await expect(TwoTower.load(path), JSON.stringify(config)).rejects.toThrow(CheckpointError);
    }
  });

  it('refuses towers and pairs that do not fit', async () => {
    const towers = towersOf();
    const wide = new SequenceEncoder({ ...shape, dimensions: 6, vocabularySize: NOTES });
    expect(() => new TwoTower({ text: towers.text, music: wide })).toThrow(
      'music: expected 5 dimensions as of text, got 6',
    );
    await expect(towers.score(prompts, music.slice(1))).rejects.toThrow(
      'texts: expected one for each of 15 generations, got 16',
    );
    await expect(towers.score(prompts, music.slice(1))).rejects.toThrow(ShapeError);
    await expect(towers.score([Int32Array.of(WORDS)], [music[0]!])).rejects.toThrow(ValueError);
    const reason = new Error('enough');
    await expect(towers.score(prompts, music, AbortSignal.abort(reason))).rejects.toThrow(reason);
  });
});

function make(options: { dropout?: number; batchSize?: number; rowsPerMicrobatch?: number; seed?: number } = {}) {
  const { dropout, ...settings } = options;
  return new TwoTowerTrainer({
    towers: towersOf(1, dropout),
    items: pairs.length,
    pair: (item) => pairs[item]!,
    batchSize: 16,
    temperature: 0.2,
    seed: 5,
    optimizer: gradientsAsMoments,
    ...settings,
  });
}

async function oneStep(trainer: TwoTowerTrainer) {
  const [metrics] = await collect(trainer.run({ steps: 1 }));
  return { metrics: metrics!, moments: await savedMoments((path) => trainer.save(path)) };
}

describe('TwoTowerTrainer', () => {
  it('leaves out pairs of equal texts, as its documentation says', async () => {
    const { towers } = make().options;
    const [a, b] = [
      await towers.embedText(pairs.map(([text]) => text)),
      await towers.embedMusic(pairs.map(([, tokens]) => tokens)),
    ];
    const settings = { dimensions: 5, temperature: 0.2, groups: pairs.map(([text]) => text.join()) };
    const { metrics } = await oneStep(make());
    expect(metrics.loss).toBeCloseTo(referenceLoss(a, b, settings), 4);
    const all = pairs.map((_, i) => String(i));
    expect(Math.abs(metrics.loss - referenceLoss(a, b, { ...settings, groups: all }))).toBeGreaterThan(0.05);
  });

  it.each([{}, { rowsPerMicrobatch: 5 }])('gives the gradient of that loss in both towers: %o', async (options) => {
    const { moments } = await oneStep(make(options));
    for (const name of ['text.projection.weight', 'music.projection.weight', 'music.norm.gain']) {
      const parameter = (trainer: TwoTowerTrainer) =>
        trainer.options.towers.parameters().find((candidate) => candidate.name === name)!.tensor;
      const values = await parameter(make()).read();
      const gradient = moments(name);
      const length = Math.hypot(...gradient);
      expect(length, name).toBeGreaterThan(1e-4);
      const step = 1e-2;
      const lossAt = async (distance: number): Promise<number> => {
        const trainer = make(options);
        parameter(trainer).write(values.map((x, i) => x + (distance * gradient[i]!) / length));
        return (await oneStep(trainer)).metrics.loss;
      };
      const slope = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
      expect(slope / length, name).toBeCloseTo(1, 2);
    }
  });

  it('does the same in parts', async () => {
    const [whole, parts] = [await oneStep(make()), await oneStep(make({ rowsPerMicrobatch: 3 }))];
    expect(parts.metrics.loss).toBeCloseTo(whole.metrics.loss, 5);
    for (const { name } of make().options.towers.parameters()) {
      expect(errorByScale(parts.moments(name), whole.moments(name)), name).toBeLessThan(1e-5);
    }
  });

  it('learns which music belongs to which text', async () => {
    const trainer = new TwoTowerTrainer({
      towers: towersOf(),
      items: 40,
      // A text is a note's number, its music that note and others.
      pair: (item, draw) => {
        const note = item % WORDS;
        return [Int32Array.of(note), Int32Array.of(note, note, WORDS + draw.integer(NOTES - WORDS), note)];
      },
      batchSize: 20,
      optimizer: { learningRate: 1e-2 },
    });
    const steps = await collect(trainer.run({ steps: 60 }));
    expect(steps.at(-1)!.loss).toBeLessThan(0.25 * steps[0]!.loss);
    const { towers } = trainer.options;
    for (let note = 0; note < WORDS; note++) {
      const all = Array.from({ length: WORDS }, (_, word) => Int32Array.of(word));
      const scores = await towers.score(
        all,
        all.map(() => Int32Array.of(note, NOTES - 1, note)),
      );
      expect(scores.indexOf(Math.max(...scores))).toBe(note);
    }
  });

  it('resumes bit for bit', async () => {
    const path = join(folder, 'training.safetensors');
    const options = { batchSize: 6, dropout: 0.2, rowsPerMicrobatch: 4 };
    const [whole, first] = [make(options), make(options)];
    await collect(whole.run({ steps: 5 }));
    await collect(first.run({ steps: 2 }));
    await first.save(path);
    const second = await TwoTowerTrainer.resume(path, { ...make(options).options, towers: towersOf(8, 0.2) });
    expect([second.step, second.options.batchSize, second.options.rowsPerMicrobatch]).toEqual([2, 6, 4]);
    await collect(second.run({ steps: 3 }));
    const weights = ({ options: { towers } }: TwoTowerTrainer) =>
      Promise.all(towers.parameters().map(({ tensor }) => tensor.read()));
    expect(await weights(second)).toEqual(await weights(whole));
    await towersOf().save(path);
    const { items, pair, towers } = first.options;
    await expect(TwoTowerTrainer.resume(path, { items, pair, towers })).rejects.toThrow(CheckpointError);
  });

  it('draws the pairs of the next step while a step is under way, one at a time, and the same ones after a stop', async () => {
    const asked: number[] = [];
    let drawing = 0;
    const slow = make({ batchSize: 4 });
    const trainer = new TwoTowerTrainer({
      ...slow.options,
      pair: async (item) => {
        expect(++drawing).toBe(1);
        asked.push(item);
        await setImmediate();
        drawing--;
        return pairs[item]!;
      },
    });
    const abort = new AbortController();
    const losses: number[] = [];
    for await (const { loss } of trainer.run({ steps: 6, signal: abort.signal })) {
      losses.push(loss);
      if (losses.length === 2) break;
    }
    expect(asked.length).toBeGreaterThan(8); // some of the third step's, too
    abort.abort(new Error('over'));
    for await (const { loss } of trainer.run({ steps: 1 })) losses.push(loss);
    for await (const { loss } of trainer.run({ steps: 1 })) losses.push(loss);
    const whole = await collect(make({ batchSize: 4 }).run({ steps: 4 }));
    expect(losses).toEqual(whole.map(({ loss }) => loss));
  });

  it('tells of a pair that cannot be drawn at its step, after the steps before', async () => {
    let asked = 0;
    const trainer = new TwoTowerTrainer({
      ...make({ batchSize: 8 }).options,
      pair: (item) => {
        if (++asked > 12) throw new Error('no pair');
        return pairs[item]!;
      },
    });
    const done: number[] = [];
    const running = (async () => {
      for await (const { step } of trainer.run({ steps: 3 })) done.push(step);
    })();
    await expect(running).rejects.toThrow('no pair');
    expect(done).toEqual([1]);
    expect(trainer.step).toBe(1);
  });

  it('refuses options outside their domain', () => {
    expect(() => make({ batchSize: 17 })).toThrow('batchSize: expected an integer from 2 to items = 16, got 17');
    expect(() => make({ rowsPerMicrobatch: 0 })).toThrow('rowsPerMicrobatch');
    expect(() => make({ seed: -1 })).toThrow('seed');
    expect(() => new TwoTowerTrainer({ ...make().options, temperature: 0 })).toThrow(ValueError);
  });
});
