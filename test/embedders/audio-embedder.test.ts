import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AudioEmbedder,
  AudioFront,
  audioPair,
  CheckpointError,
  ContrastiveTrainer,
  DTypeError,
  PatchEncoder,
  patchStatistics,
  Random,
  retrievalAt1,
  ShapeError,
  ValueError,
} from 'cfgdistill';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { melSpectrogram, patches, synthesise } from '../../lib/audio/index.ts';
import { separateChunks } from '../../lib/embedders/audio-pair.ts';
import { collect } from '../support/golden.ts';
import { randomFloats } from '../support/random-data.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cfgdistill-audio-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Short chunks of coarse spectrograms, for speed: 12 frames × 8 bands, 3 × 2 patches. */
const options = {
  chunkSeconds: 0.24,
  mel: { sampleRate: 4000, hopLength: 80, bands: 8, lowHertz: 50 },
  patches: { frames: 4, bands: 4 },
} as const;
const small = { patchSize: 16, depth: 1, width: 12, heads: 2, maxPositions: 6, dimensions: 5 };

/** A token is a pitch, a fifth of a second long. */
const toWaveform = (tokens: Int32Array): Float32Array =>
  synthesise(
    [...tokens].map((token, i) => ({ pitch: 50 + token, start: i / 5, seconds: 0.15 })),
    { sampleRate: 4000 },
  );
const generations = [[1, 5, 8], [12], [], [3, 3, 3, 3, 3, 3], [7, 0]].map((tokens) => Int32Array.from(tokens));

describe('AudioFront', () => {
  it('gives the patches of the log-mel spectrogram of the first chunk', () => {
    const front = new AudioFront(options);
    expect([front.chunkLength, front.count, front.patchSize, front.sampleRate]).toEqual([960, 6, 16, 4000]);
    const long = randomFloats(new Random(1), 3000, 0.5);
    const expected = patches(melSpectrogram(long.slice(0, 960), options.mel), options.patches);
    expect(front.patches(long)).toEqual(expected.data);
    const padded = new Float32Array(960);
    padded.set(long.subarray(0, 100));
    expect(front.patches(long.subarray(0, 100))).toEqual(front.patches(padded));
    expect(front.patches(new Float32Array(0))).toEqual(front.patches(new Float32Array(960)));
  });

  it('hears 4 seconds of 16 kHz as 100 patches of 256 by default', () => {
    const front = new AudioFront();
    expect([front.chunkLength, front.count, front.patchSize, front.sampleRate]).toEqual([64_000, 100, 256, 16_000]);
    expect(new AudioFront(front.options).options).toEqual(front.options);
  });

  it('refuses what does not fit', () => {
    expect(() => new AudioFront({ chunkSeconds: 0 })).toThrow(
      'chunkSeconds: expected a number in [0.001, 3600], got 0',
    );
    expect(() => new AudioFront({ chunkSeconds: 0.1 })).toThrow('spectrogram: expected at least 16 frames, got 10');
    expect(() => new AudioFront({ mel: { bands: 40 } })).toThrow(ShapeError);
    const front = new AudioFront(options);
    expect(() => front.patches(Float32Array.of(0, NaN))).toThrow('waveform[1]: expected a finite sample, got NaN');
    expect(() => front.patches([0] as unknown as Float32Array)).toThrow(DTypeError);
  });
});

describe('patchStatistics', () => {
  it('gives mean and deviation of all elements', () => {
    const random = new Random(2);
    const parts = [3, 0, 500, 1, 96].map((n, i) => randomFloats(random, n, 1 + i).map((x) => x + 10 * i));
    const all = parts.flatMap((part) => [...part]);
    const mean = all.reduce((a, b) => a + b, 0) / all.length;
    const { mean: m, deviation } = patchStatistics(parts);
    expect(m).toBeCloseTo(mean, 10);
    expect(deviation).toBeCloseTo(Math.sqrt(all.reduce((s, x) => s + (x - mean) ** 2, 0) / all.length), 10);
  });

  it('refuses nothing, equal elements and what is not finite', () => {
    expect(() => patchStatistics([])).toThrow(ShapeError);
    expect(() => patchStatistics([new Float32Array(4).fill(3)])).toThrow(ValueError);
    expect(() => patchStatistics([Float32Array.of(1, NaN)])).toThrow(ValueError);
  });
});

describe('separateChunks', () => {
  it('gives every pair of places that do not overlap as often', () => {
    const random = new Random(3);
    const counts = new Map<string, number>();
    const draws = 4000;
    for (let i = 0; i < draws; i++) {
      const [a, b] = separateChunks(8, [2, 3], random);
      const apart = a.begin + 2 <= b.begin || b.begin + 3 <= a.begin;
      const inside = Math.min(a.begin, b.begin) >= 0 && Math.max(a.begin + 2, b.begin + 3) <= 8;
      expect(a.length === 2 && b.length === 3 && apart && inside).toBe(true);
      counts.set(`${a.begin} ${b.begin}`, (counts.get(`${a.begin} ${b.begin}`) ?? 0) + 1);
    }
    // Slack 3: ten pairs of gaps, in two orders.
    expect(counts.size).toBe(20);
    const chiSquare = [...counts.values()].reduce((sum, n) => sum + (n - draws / 20) ** 2 / (draws / 20), 0);
    expect(chiSquare).toBeLessThan(43.8); // the 0.999 quantile with 19 degrees of freedom
  });

  it('shares what is too short, without overlap or rest', () => {
    const random = new Random(4);
    for (const samples of [2, 3, 17, 99, 100]) {
      const [a, b] = separateChunks(samples, [60, 40], random);
      expect(a.length + b.length).toBe(samples);
      expect(Math.min(a.length, b.length)).toBeGreaterThanOrEqual(1);
      expect([0, b.length]).toContain(a.begin);
      expect(b.begin).toBe(a.begin === 0 ? a.length : 0);
      if (samples >= 17) expect(a.length / samples).toBeCloseTo(0.6, 1);
    }
    expect(() => separateChunks(1, [2, 2], random)).toThrow('waveform: expected at least 2 samples, got 1');
  });
});

describe('audioPair', () => {
  it('cuts two places apart, as they are without an augmentation', () => {
    const front = new AudioFront(options);
    const waveform = randomFloats(new Random(5), 4000, 0.5);
    const pair = audioPair(waveform, new Random(6), { front, ranges: null });
    const places = separateChunks(4000, [960, 960], new Random(6));
    for (const [i, { begin, length }] of places.entries()) {
      expect(pair[i]).toEqual(front.patches(waveform.subarray(begin, begin + length)));
    }
  });

  it('changes each chunk in its own way, the same for the same random numbers', () => {
    const front = new AudioFront(options);
    const waveform = toWaveform(Int32Array.from({ length: 20 }, (_, i) => (i * 5) % 17));
    const vocoder = { semitones: [-1, 1], speed: [0.9, 1.2], decibels: [20, 30] } as const;
    const draw = (seed: number) => audioPair(waveform, new Random(seed), { front, ranges: vocoder });
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)[0]).not.toEqual(draw(2)[0]);
    const short = [2, 3, 40, 700].map((n) => audioPair(waveform.subarray(0, n), new Random(n), { front }));
    for (const side of [draw(1), ...short].flat()) {
      expect(side.length).toBe(front.count * front.patchSize);
      expect(side.every(Number.isFinite)).toBe(true);
    }
  });
});

describe('AudioEmbedder', () => {
  const encoder = new PatchEncoder({ ...small, mean: -4, deviation: 3 }, { seed: 3 });

  it.each([1, 2, 32])('embeds how generations sound, %d at a time', async (batchSize) => {
    const embedder = new AudioEmbedder({
      encoder,
      toWaveform: async (tokens) => toWaveform(tokens),
      batchSize,
      ...options,
    });
    const values = await embedder.embed(generations);
    expect(values.length).toBe(generations.length * embedder.dimensions);
    const front = new AudioFront(options);
    using expected = encoder.encode(generations.map((tokens) => front.patches(toWaveform(tokens))));
    const reference = await expected.read();
    values.forEach((x, i) => {
      expect(x).toBeCloseTo(reference[i]!, 6);
    });
    expect(await embedder.embedWaveforms(generations.map(toWaveform))).toEqual(values);
    expect(await embedder.embed([])).toEqual(new Float32Array(0));
  });

  it.each([1, 3])(
    'takes the mean of the chunks that sound fills at least half, %d generations at a time',
    async (batchSize) => {
      const front = new AudioFront(options);
      const { chunkLength } = front;
      const noise = randomFloats(new Random(9), 4 * chunkLength, 0.5);
      const embedder = new AudioEmbedder({ encoder, toWaveform, chunks: 3, batchSize, ...options });
      const width = embedder.dimensions;
      const cases = [
        [0.2, 1],
        [1.4, 1],
        [1.6, 2],
        [3, 3],
        [3.9, 3],
      ] as const;
      const values = await embedder.embedWaveforms(
        cases.map(([length]) => noise.subarray(0, Math.round(length * chunkLength))),
      );
      for (const [i, [length, chunks]] of cases.entries()) {
        const waveform = noise.slice(0, Math.round(length * chunkLength));
        const heard = Array.from({ length: chunks }, (_, c) => front.patches(waveform.slice(c * chunkLength)));
        using expected = encoder.encode(heard);
        const rows = await expected.read();
        for (let d = 0; d < width; d++) {
          const mean = heard.reduce((sum, _, c) => sum + rows[c * width + d]!, 0) / chunks;
          expect(values[i * width + d]).toBeCloseTo(mean, 6);
        }
      }
      expect(() => new AudioEmbedder({ encoder, toWaveform, chunks: 0, ...options })).toThrow(
        'chunks: expected an integer of at least 1, got 0',
      );
    },
  );

  it('stops when its signal aborts, and lets the event loop in', async () => {
    const abort = new AbortController();
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    let heard = 0;
    const embedder = new AudioEmbedder({
      encoder,
      toWaveform: (tokens) => {
        if (++heard === 8) abort.abort(new Error('enough'));
        const end = performance.now() + 6;
        while (performance.now() < end);
        return toWaveform(tokens);
      },
      ...options,
    });
    const many = Array.from({ length: 12 }, () => generations[0]!);
    await expect(embedder.embed(many, abort.signal)).rejects.toThrow('enough');
    clearInterval(timer);
    expect(heard).toBe(8);
    expect(ticks).toBeGreaterThan(2);
  });

  it('loads what it saved, with what it hears', async () => {
    const path = join(folder, 'embedder.safetensors');
    const embedder = new AudioEmbedder({ encoder, toWaveform, ...options });
    await embedder.save(path, { metadata: { task: 'tunes' } });
    const loaded = await AudioEmbedder.load(path, { toWaveform, device: 'cpu' });
    expect(loaded.front.options).toEqual(embedder.front.options);
    expect(loaded.encoder.config).toMatchObject({ mean: -4, deviation: 3 });
    expect(await loaded.embed(generations)).toEqual(await embedder.embed(generations));
    await encoder.save(path);
    await expect(AudioEmbedder.load(path, { toWaveform })).rejects.toThrow('expected an encoder of audio');
    for (const audio of ['{', '{"mel":{"bands":0}}', 'null']) {
      await encoder.save(path, { metadata: { audio } });
      await expect(AudioEmbedder.load(path, { toWaveform })).rejects.toThrow(CheckpointError);
    }
  });

  it('refuses an encoder of other patches, and waveforms that are none', async () => {
    const build = (more: object) => () => new AudioEmbedder({ encoder, toWaveform, ...options, ...more });
    expect(build({ chunkSeconds: 1 })).toThrow(
      'encoder: expected one of at least 24 patches of 16 elements, got one of 6 of 16',
    );
    expect(build({ patches: { frames: 4, bands: 8 } })).toThrow(ShapeError);
    expect(build({ batchSize: 0 })).toThrow('batchSize: expected an integer of at least 1, got 0');
    expect(build({ toWaveform: undefined })).toThrow('toWaveform: expected a function, got undefined');
    const silent = new AudioEmbedder({ encoder, toWaveform: () => [] as never, ...options });
    await expect(silent.embed(generations)).rejects.toThrow(DTypeError);
  });
});

it('learns to tell pieces by their sound: the other half of one that it never heard', async () => {
  const random = new Random(8);
  const front = new AudioFront(options);
  // A piece goes to and fro between two notes of its own; a chunk holds at most one and a half of them.
  const pieces = Array.from({ length: 48 }, () => {
    const [low, step] = [random.integer(18), 1 + random.integer(12)];
    return toWaveform(Int32Array.from({ length: 10 }, (_, i) => low + step * (i % 2)));
  });
  const { mean, deviation } = patchStatistics(pieces.map((waveform) => front.patches(waveform)));
  const encoder = new PatchEncoder({ ...small, width: 32, dimensions: 16, mean, deviation }, { seed: 1 });
  const embedder = new AudioEmbedder({ encoder, toWaveform, ...options });
  const heldOut = pieces.slice(0, 12);
  const retrieval = async () => {
    const halves = heldOut.map((w) => [w.subarray(0, 4000), w.subarray(4400)] as const);
    const [a, b] = [halves.map(([x]) => x), halves.map(([, x]) => x)];
    return retrievalAt1(await embedder.embedWaveforms(a), await embedder.embedWaveforms(b), embedder.dimensions);
  };
  const before = await retrieval();
  const trainer = new ContrastiveTrainer({
    encoder,
    items: 36,
    pair: (item, draw) => audioPair(pieces[12 + item]!, draw, { front, ranges: null }),
    batchSize: 36,
    rowsPerMicrobatch: 18,
    seed: 2,
    optimizer: { learningRate: 3e-3, warmupSteps: 5 },
  });
  const losses = (await collect(trainer.run({ steps: 40 }))).map(({ loss }) => loss);
  const after = await retrieval();
  expect(losses.at(-1)!).toBeLessThan(0.6 * losses[0]!);
  expect(after).toBeGreaterThan(0.3);
  expect(after).toBeGreaterThan(before);
});
