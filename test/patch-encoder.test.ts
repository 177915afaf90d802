import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AUDIO_ENCODER_PAPER,
  AUDIO_ENCODER_SMALL,
  CheckpointError,
  ContrastiveTrainer,
  DTypeError,
  PatchEncoder,
  type PatchEncoderOptions,
  packPatches,
  Random,
  SequenceEncoder,
  ShapeError,
  ValueError,
} from 'cfgdistill';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect, errorByScale, gradientsAsMoments, savedMoments, withoutKeyBiases } from './support/golden.ts';
import {
  centralDifferences,
  referenceEmbedding,
  referenceLoss,
  type Weights,
} from './support/patch-encoder-reference.ts';
import { randomFloats, sameBits } from './support/random-data.ts';

const CONFIGS: Record<string, PatchEncoderOptions> = {
  'layer norm, GELU, learned positions, standardised': {
    ...{ patchSize: 5, depth: 2, width: 6, heads: 2, headWidth: 4, feedForwardWidth: 7, maxPositions: 6 },
    ...{ dimensions: 4, mean: 0.25, deviation: 2.5 },
  },
  'RMS norm, gated SiLU, rotary positions, no biases': {
    ...{ patchSize: 3, depth: 1, width: 8, heads: 3, headWidth: 2, feedForwardWidth: 5, maxPositions: 9 },
    ...{ norm: 'rms', activation: 'silu', gated: true, positions: 'rotary', bias: false, dimensions: 5 },
  },
};
const temperature = 0.3;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cfgdistill-patches-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Weights large enough to matter, also those that start as 0 or 1. */
function make(options: PatchEncoderOptions): PatchEncoder {
  const encoder = new PatchEncoder(options, { seed: 1 });
  const random = new Random(2);
  for (const { name, tensor } of encoder.parameters()) {
    const noise = randomFloats(random, tensor.size, 0.8);
    tensor.write(name.endsWith('.gain') ? noise.map((x) => 1 + 0.3 * x) : noise);
  }
  return encoder;
}

async function weightsOf(encoder: PatchEncoder): Promise<Map<string, Float64Array>> {
  const entries = encoder.parameters().map(async ({ name, tensor }) => {
    return [name, Float64Array.from(await tensor.read())] as const;
  });
  return new Map(await Promise.all(entries));
}

/** Sequences of 1 to 5 patches, of which a batch pads the shorter ones. */
function somePairs(patchSize: number): [Float32Array, Float32Array][] {
  const random = new Random(3);
  const lengths = [
    [3, 5],
    [2, 2],
    [1, 4],
  ] as const;
  return lengths.map(([a, b]) => [randomFloats(random, a * patchSize, 3), randomFloats(random, b * patchSize, 3)]);
}

async function embeddings(encoder: PatchEncoder, sequences: readonly Float32Array[]): Promise<Float32Array> {
  using result = encoder.encode(sequences);
  return result.read();
}

describe.each(Object.entries(CONFIGS))('PatchEncoder with %s', (_, options) => {
  const { patchSize } = options;
  const pairs = somePairs(patchSize);

  it('gives the embeddings of a float64 reference, of length 1', async () => {
    const encoder = make(options);
    const weights = await weightsOf(encoder);
    const sequences = pairs.flat();
    const expected = sequences.map((sequence) => referenceEmbedding(weights, encoder.config, sequence));
    const values = await embeddings(encoder, sequences);
    expect(errorByScale(values, Float32Array.from(expected.flat()))).toBeLessThan(2e-6);
    for (let row = 0; row < sequences.length; row++) {
      const { dimensions } = encoder;
      expect(Math.hypot(...values.slice(row * dimensions, (row + 1) * dimensions))).toBeCloseTo(1, 6);
    }
  });

  let expectedLoss: number;
  let expected: Map<string, Float64Array>;
  beforeAll(async () => {
    const encoder = make(options);
    const weights = await weightsOf(encoder);
    const loss = (w: Weights) => referenceLoss(w, encoder.config, pairs, temperature);
    expectedLoss = loss(weights);
    expected = centralDifferences(weights, loss);
  });

  it.each([3, 2, 1])('gives the gradient of symmetric InfoNCE, %d items at a time', async (rowsPerMicrobatch) => {
    const encoder = make(options);
    const trainer = new ContrastiveTrainer({
      encoder,
      items: pairs.length,
      pair: (item) => pairs[item]!,
      rowsPerMicrobatch,
      temperature,
      optimizer: gradientsAsMoments,
    });
    const [step] = await collect(trainer.run({ steps: 1 }));
    expect(step!.loss).toBeCloseTo(expectedLoss, 5);
    const actual = withoutKeyBiases(encoder.config.positions, await savedMoments((path) => trainer.save(path)));
    const numerical = withoutKeyBiases(encoder.config.positions, (name) => Float32Array.from(expected.get(name)!));
    const errors = encoder
      .parameters()
      .map(({ name }) => ({ name, error: errorByScale(actual(name), numerical(name)) }));
    expect(errors.length).toBeGreaterThan(8);
    expect(errors.filter(({ error }) => !(error <= 1e-5))).toEqual([]);
    trainer.dispose();
  });

  it('loads what it saved bit for bit, and has a clone of its own', async () => {
    const encoder = make(options);
    const path = join(folder, 'encoder.safetensors');
    await encoder.save(path, { metadata: { task: 'tunes' } });
    const loaded = await PatchEncoder.load(path, { device: 'cpu' });
    expect(loaded.config).toEqual(encoder.config);
    const sequences = pairs.flat();
    const before = await embeddings(encoder, sequences);
    expect(sameBits(await embeddings(loaded, sequences), before)).toBe(true);
    const copy = encoder.clone();
    encoder.parameters()[0]!.tensor.write(new Float32Array(encoder.parameters()[0]!.tensor.size));
    expect(sameBits(await embeddings(copy, sequences), before)).toBe(true);
    expect(sameBits(await embeddings(encoder, sequences), before)).toBe(false);
    await expect(SequenceEncoder.load(path)).rejects.toThrow(
      'expected a checkpoint of a SequenceEncoder, got one of a PatchEncoder',
    );
    await expect(PatchEncoder.load(join(folder, 'nothing'))).rejects.toThrow(CheckpointError);
  });
});

it('computes in bfloat16 close to float32, and with masks while training', async () => {
  const options = Object.values(CONFIGS)[0]!;
  const sequences = somePairs(5).flat();
  const exact = await embeddings(new PatchEncoder(options, { seed: 4 }), sequences);
  const half = new PatchEncoder(options, { seed: 4, compute: 'bfloat16' });
  expect([half.compute, half.clone().compute]).toEqual(['bfloat16', 'bfloat16']);
  const rounded = await embeddings(half, sequences);
  expect(errorByScale(rounded, exact)).toBeLessThan(0.03);
  expect(sameBits(rounded, exact)).toBe(false);
  const dropping = new PatchEncoder({ ...options, dropout: 0.5 }, { seed: 4 });
  expect(sameBits(await embeddings(dropping, sequences), exact)).toBe(true);
  const masked = async (dropoutSeed: number) => {
    using result = dropping.encode(sequences, { dropoutSeed });
    return result.read();
  };
  const [first, again, other] = [await masked(1), await masked(1), await masked(2)];
  expect(sameBits(first, again)).toBe(true);
  expect(sameBits(first, other)).toBe(false);
  expect(sameBits(first, exact)).toBe(false);
});

it('does not see what stands behind a row’s patches', async () => {
  const encoder = make(Object.values(CONFIGS)[0]!);
  const batch = packPatches(somePairs(5).flat(), { patchSize: 5 });
  const filled = {
    ...batch,
    data: batch.data.map((x, i) =>
      i % (5 * batch.positions) >= 5 * batch.counts[Math.floor(i / (5 * batch.positions))]! ? 7 : x,
    ),
  };
  expect(filled.data).not.toEqual(batch.data);
  using a = encoder.forward(batch);
  using b = encoder.forward(filled);
  expect(sameBits(await a.read(), await b.read())).toBe(true);
});

it('refuses configs, batches and sequences that do not fit', () => {
  const options = Object.values(CONFIGS)[0]!;
  const build = (more: object) => () => new PatchEncoder({ ...options, ...more });
  expect(build({ patchSize: 0 })).toThrow('config.patchSize: expected an integer of at least 1, got 0');
  expect(build({ mean: NaN })).toThrow('config.mean: expected a finite number, got NaN');
  expect(build({ deviation: 0 })).toThrow('config.deviation: expected a positive number, got 0');
  expect(build({ dimensions: 1.5 })).toThrow('config.dimensions: expected an integer of at least 1, got 1.5');
  expect(build({ norm: 'batch' })).toThrow("config.norm: expected one of layer, rms, got 'batch'");
  const encoder = new PatchEncoder(options);
  const floats = (n: number) => new Float32Array(n);
  expect(() => encoder.encode([])).toThrow('items: expected at least one sequence, got none');
  expect(() => encoder.encode([floats(5), floats(7)])).toThrow(
    'items[1]: expected [patches, 5] with at least one patch',
  );
  expect(() => encoder.encode([floats(0)])).toThrow(ShapeError);
  expect(() => encoder.encode([[1, 2, 3, 4, 5] as unknown as Float32Array])).toThrow(DTypeError);
  expect(() => encoder.encode([Float32Array.of(1, 2, Infinity, 4, 5)], { argument: 'pair' })).toThrow(
    'pair[0][2]: expected a finite number, got Infinity',
  );
  expect(() => encoder.encode([floats(35)])).toThrow('patches: expected at most config.maxPositions = 6, got 7');
  const batch = packPatches([floats(10)], { patchSize: 5 });
  expect(() => encoder.forward({ ...batch, counts: Int32Array.of(3) })).toThrow(ValueError);
  expect(() => encoder.forward({ ...batch, positions: 3 })).toThrow(ShapeError);
});

it('has the paper’s shape, and a small one, as presets', () => {
  const { patchSize, maxPositions, ...shape } = AUDIO_ENCODER_PAPER;
  expect(shape).toEqual({ depth: 12, heads: 6, headWidth: 64, width: 512, feedForwardWidth: 1024 });
  const encoder = new PatchEncoder({ ...AUDIO_ENCODER_SMALL, dimensions: 64 });
  expect(encoder.dimensions).toBe(64);
  expect([patchSize, maxPositions]).toEqual([encoder.patchSize, encoder.config.maxPositions]);
  const shapes = new Map(encoder.parameters().map(({ name, tensor }) => [name, tensor.shape]));
  expect(shapes.get('blocks.3.attention.qkv.weight')).toEqual([128, 3 * 128]);
  encoder.dispose();
});
