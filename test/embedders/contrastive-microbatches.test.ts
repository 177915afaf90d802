import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ContrastiveTrainer, device, type EncodeOptions, Random, SequenceEncoder, type Tensor } from 'cfgdistill';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collectGarbage } from '../support/garbage.ts';
import { collect, errorByScale, gradientsAsMoments, savedMoments, withoutKeyBiases } from '../support/golden.ts';
import { sameBits } from '../support/random-data.ts';

const vocabularySize = 11;
const shape = { vocabularySize, depth: 2, width: 16, heads: 2, feedForwardWidth: 24, maxPositions: 8, dimensions: 6 };
const random = new Random(4);
const items = Array.from({ length: 24 }, () => {
  return Int32Array.from({ length: 2 + random.integer(6) }, () => random.integer(vocabularySize));
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cfgdistill-microbatches-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Keeps what each call gave. */
class WatchedEncoder extends SequenceEncoder {
  readonly calls: { rows: number; seed: number | undefined; values: Promise<Float32Array> }[] = [];

  override encode(sequences: readonly Int32Array[], options: EncodeOptions = {}): Tensor {
    const result = super.encode(sequences, options);
    this.calls.push({ rows: sequences.length, seed: options.dropoutSeed, values: result.read() });
    return result;
  }
}

function make({
  dropout = 0,
  batchSize = 24,
  ...options
}: {
  dropout?: number;
  batchSize?: number;
  rowsPerMicrobatch?: number;
}) {
  return new ContrastiveTrainer({
    encoder: new WatchedEncoder({ ...shape, dropout }, { seed: 1 }),
    items: items.length,
    pair: (item, draw) => {
      const whole = items[item]!;
      const hidden = draw.integer(whole.length);
      return [whole, whole.filter((_, i) => i !== hidden)];
    },
    batchSize,
    seed: 7,
    optimizer: gradientsAsMoments,
    ...options,
  });
}

async function oneStep(trainer: ReturnType<typeof make>) {
  const [metrics] = await collect(trainer.run({ steps: 1 }));
  const moments = withoutKeyBiases('learned', await savedMoments((path) => trainer.save(path)));
  return { metrics: metrics!, moments };
}

describe('gradient caching', () => {
  it.each([1, 5, 12, 23])('changes nothing but rounding, with %d items at a time', async (rowsPerMicrobatch) => {
    const [whole, parts] = [make({}), make({ rowsPerMicrobatch })];
    const [expected, actual] = [await oneStep(whole), await oneStep(parts)];
    expect(whole.options.encoder.calls.map(({ rows }) => rows)).toEqual([24, 24]);
    const { calls } = parts.options.encoder;
    expect(calls.length).toBe(4 * Math.ceil(24 / rowsPerMicrobatch));
    expect(Math.max(...calls.map(({ rows }) => rows))).toBe(rowsPerMicrobatch);
    expect(actual.metrics.loss).toBeCloseTo(expected.metrics.loss, 5);
    expect(actual.metrics.gradientNorm / expected.metrics.gradientNorm).toBeCloseTo(1, 5);
    for (const { name } of whole.options.encoder.parameters()) {
      expect(errorByScale(actual.moments(name), expected.moments(name)), name).toBeLessThan(5e-6);
    }
  });

  it('draws the same dropout masks in both passes, and others for every part', async () => {
    const trainer = make({ dropout: 0.4, rowsPerMicrobatch: 6 });
    await oneStep(trainer);
    const { encoder } = trainer.options;
    const half = encoder.calls.length / 2;
    const [first, again] = [encoder.calls.slice(0, half), encoder.calls.slice(half)];
    expect(half).toBe(8);
    for (const [i, { values, seed }] of first.entries()) {
      expect(sameBits(await values, await again[i]!.values)).toBe(true);
      expect(seed).toBe(again[i]!.seed);
    }
    expect(new Set(first.map(({ seed }) => seed)).size).toBe(8);
    // With other masks, or none, the same items are somewhere else.
    const still = make({ rowsPerMicrobatch: 6 });
    await oneStep(still);
    expect(sameBits(await first[0]!.values, await still.options.encoder.calls[0]!.values)).toBe(false);
  });

  it('gives with dropout the gradient of the loss that those masks give', async () => {
    const name = 'projection.weight';
    const dropped = () => make({ dropout: 0.3, rowsPerMicrobatch: 6 });
    const projection = (trainer: ReturnType<typeof make>) =>
      trainer.options.encoder.parameters().find((parameter) => parameter.name === name)!.tensor;
    const values = await projection(dropped()).read();
    const gradient = (await oneStep(dropped())).moments(name);
    const length = Math.hypot(...gradient);
    const step = 2e-2;
    /** The loss with the projection moved along its gradient; a step reports it from before its update. */
    const lossAt = async (distance: number): Promise<number> => {
      const trainer = dropped();
      projection(trainer).write(values.map((x, i) => x + (distance * gradient[i]!) / length));
      return (await oneStep(trainer)).metrics.loss;
    };
    const slope = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
    expect(slope / length).toBeCloseTo(1, 2);
  });

  it('resumes bit for bit, and remembers its parts', async () => {
    const path = join(folder, 'training.safetensors');
    const [whole, first] = [make({ batchSize: 8, rowsPerMicrobatch: 3 }), make({ batchSize: 8, rowsPerMicrobatch: 3 })];
    await collect(whole.run({ steps: 5 }));
    await collect(first.run({ steps: 2 }));
    await first.save(path);
    const { items: count, pair } = first.options;
    const encoder = new WatchedEncoder(shape, { seed: 9 });
    const second = await ContrastiveTrainer.resume(path, { encoder, items: count, pair });
    expect(second.options.rowsPerMicrobatch).toBe(3);
    await collect(second.run({ steps: 3 }));
    const weights = (trainer: { options: { encoder: SequenceEncoder } }) =>
      Promise.all(trainer.options.encoder.parameters().map(({ tensor }) => tensor.read()));
    expect(await weights(second)).toEqual(await weights(whole));
  });

  it('leaves no trace of a step that was aborted half-way, or whose pair failed', async () => {
    const [whole, broken] = [make({ rowsPerMicrobatch: 4 }), make({ rowsPerMicrobatch: 4 })];
    const abort = new AbortController();
    const { encoder } = broken.options;
    const encode = encoder.encode.bind(encoder);
    let calls = 0;
    encoder.encode = (sequences, options) => {
      if (++calls === 17) abort.abort(new Error('half-way')); // in the second pass
      return encode(sequences, options);
    };
    await expect(collect(broken.run({ steps: 1, signal: abort.signal }))).rejects.toThrow('half-way');
    expect(calls).toBe(17);
    expect(broken.step).toBe(0);
    const [a, b] = [await oneStep(broken), await oneStep(whole)];
    expect(a.metrics).toEqual(b.metrics);
    const failing = new ContrastiveTrainer({
      ...whole.options,
      pair: async () => {
        throw new Error('no pair');
      },
    });
    await expect(collect(failing.run({ steps: 1 }))).rejects.toThrow('no pair');
    expect(failing.step).toBe(0);
  });

  it('needs the memory of one part, not of the batch', async () => {
    const cpu = await device('cpu');
    const peakOf = async (options: Parameters<typeof make>[0]): Promise<number> => {
      const trainer = make(options);
      trainer.options.encoder.encode = SequenceEncoder.prototype.encode;
      await collect(trainer.run({ steps: 2 }));
      await collectGarbage();
      await cpu.synchronize();
      const { used } = cpu.memory({ resetPeak: true });
      await collect(trainer.run({ steps: 2 }));
      const { peak } = cpu.memory();
      trainer.dispose();
      return peak - used;
    };
    const whole = await peakOf({});
    const parts = await peakOf({ rowsPerMicrobatch: 2 });
    expect(parts).toBeLessThan(whole / 6);
  });

  it('takes pairs that are promised, and refuses parts of nothing', async () => {
    const { pair, ...options } = make({ rowsPerMicrobatch: 5 }).options;
    const later = new ContrastiveTrainer({
      ...options,
      encoder: make({}).options.encoder,
      pair: async (...given) => pair(...given),
    });
    expect((await oneStep(later)).metrics).toEqual((await oneStep(make({ rowsPerMicrobatch: 5 }))).metrics);
    expect(() => make({ rowsPerMicrobatch: 0 })).toThrow('rowsPerMicrobatch: expected an integer of at least 1, got 0');
  });
});
