import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CheckpointError,
  loadSafetensors,
  packTokens,
  Sampler,
  SequenceEncoder,
  ShapeError,
  saveSafetensors,
  Tape,
  Tensor,
  TransformerLM,
  type TransformerLMOptions,
  ValueError,
} from 'cfgdistill';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromFloat32, toFloat32 } from '../lib/models/safetensors.ts';
import { Random } from '../lib/random.ts';
import { largestError, randomFloats, sameBits } from './support/random-data.ts';

const config = { vocabularySize: 7, depth: 2, width: 12, heads: 3, maxPositions: 9 };
const sequences = [Int32Array.of(1, 2, 3, 4, 5), Int32Array.of(6), Int32Array.of(0, 6, 2)];
const { vocabularySize } = config;
const batch = packTokens(sequences, { vocabularySize });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cfgdistill-models-'));
});
afterAll(() => rm(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);

type Model = TransformerLM | SequenceEncoder;

const outputs = async (model: Model): Promise<Float32Array> => {
  using y = model.forward(batch);
  return y.read();
};
const weights = (model: Model): Promise<Float32Array[]> =>
  Promise.all(model.parameters().map(({ tensor }) => tensor.read()));

/** Weights large enough to matter, also those that start as 0 or 1. */
function randomise(model: Model, seed: number): void {
  const random = new Random(seed);
  for (const { tensor } of model.parameters()) tensor.write(randomFloats(random, tensor.size, 0.7));
}

const KINDS = [
  [
    'TransformerLM',
    (seed: number): Model => new TransformerLM({ ...config, tied: false, positions: 'rotary' }, { seed }),
    (path: string): Promise<Model> => TransformerLM.load(path),
  ],
  [
    'SequenceEncoder',
    (seed: number): Model => new SequenceEncoder({ ...config, dimensions: 5, norm: 'rms', gated: true }, { seed }),
    (path: string): Promise<Model> => SequenceEncoder.load(path),
  ],
] as const;

describe.each(KINDS)('%s', (kind, make, load) => {
  it('loads what it saved bit for bit, with its config and the metadata given', async () => {
    const model = make(1);
    randomise(model, 2);
    const path = at(`${kind}.safetensors`);
    await model.save(path, { metadata: { task: 'chords' } });
    const loaded = await load(path);
    expect(loaded.config).toEqual(model.config);
    expect(loaded.parameters().map(({ name, decay }) => [name, decay])).toEqual(
      model.parameters().map(({ name, decay }) => [name, decay]),
    );
    const [own, others] = await Promise.all([weights(model), weights(loaded)]);
    own.forEach((values, i) => {
      expect(sameBits(values, others[i]!)).toBe(true);
    });
    expect(sameBits(await outputs(loaded), await outputs(model))).toBe(true);
    const { metadata } = await loadSafetensors(path);
    expect(metadata).toMatchObject({ kind, task: 'chords' });
    const [first, again] = [readFileSync(path), at(`${kind}-again.safetensors`)];
    await loaded.save(again, { metadata: { task: 'chords' } });
    expect(readFileSync(again).equals(first)).toBe(true);
  });

  it.each([
    ['float16', 'F16', 2 ** -11, 2 ** -25],
    ['bfloat16', 'BF16', 2 ** -8, 0],
  ] as const)('stored as %s is rounded once', async (dtype, stored, relative, absolute) => {
    const model = make(1);
    randomise(model, 3);
    const path = at(`${kind}-${dtype}.safetensors`);
    await model.save(path, { dtype });
    const file = await loadSafetensors(path);
    expect(new Set([...file.tensors.values()].map((tensor) => tensor.dtype))).toEqual(new Set([stored]));
    const loaded = await load(path);
    const [exact, rounded] = await Promise.all([weights(model), weights(loaded)]);
    let changed = 0;
    exact.forEach((values, t) => {
      values.forEach((value, i) => {
        const error = Math.abs(rounded[t]![i]! - value);
        expect(error).toBeLessThanOrEqual(Math.max(Math.abs(value) * relative, absolute));
        if (error > 0) changed++;
      });
    });
    expect(changed).toBeGreaterThan(0);
    // What is rounded already does not change any more.
    const again = at(`${kind}-${dtype}-again.safetensors`);
    await loaded.save(again, { dtype });
    expect(readFileSync(again).equals(readFileSync(path))).toBe(true);
  });

  it('has a clone that goes its own way', async () => {
    const model = make(1);
    randomise(model, 4);
    const before = await outputs(model);
    const copy = model.clone();
    expect(copy.config).toEqual(model.config);
    expect(sameBits(await outputs(copy), before)).toBe(true);
    randomise(copy, 5);
    expect(sameBits(await outputs(model), before)).toBe(true);
    const other = await outputs(copy);
    expect(sameBits(other, before)).toBe(false);
    model.dispose();
    expect(sameBits(await outputs(copy), other)).toBe(true);
    expect(() => model.forward(batch)).toThrow(ValueError);
  });

  it('starts from its seed', async () => {
    const [a, b, c] = await Promise.all([make(1), make(1), make(2)].map(outputs));
    expect(sameBits(a!, b!)).toBe(true);
    expect(sameBits(a!, c!)).toBe(false);
  });

  it('refuses files that hold something else, naming the file and what is wrong', async () => {
    const path = at(`${kind}-good.safetensors`);
    await make(1).save(path);
    const { tensors, metadata } = await loadSafetensors(path);
    const names = [...tensors.keys()];
    const bad = at(`${kind}-bad.safetensors`);
    const refused = async (message: RegExp, change: Partial<Record<string, string>>, edit?: typeof tensors) => {
      const changed = Object.entries({ ...metadata, ...change }).filter((entry): entry is [string, string] => {
        return entry[1] !== undefined;
      });
      await saveSafetensors(bad, edit ?? tensors, Object.fromEntries(changed));
      const loading = load(bad);
      await expect(loading).rejects.toThrow(CheckpointError);
      await expect(loading).rejects.toThrow(message);
      await expect(loading).rejects.toMatchObject({ argument: bad });
    };
    await refused(/expected a checkpoint of a \w+, got one of a Trainer$/, { kind: 'Trainer' });
    await refused(/got one without a config in its metadata$/, { kind: undefined });
    await refused(/got one/, { config: undefined });
    await refused(/the config in the metadata is not valid JSON$/, { config: '{"depth":' });
    for (const damaged of ['null', '3', '[]', '{}', '"text"']) {
      await refused(/the config in the metadata is not usable: /, { config: damaged });
    }
    const own = JSON.parse(metadata.config!) as object;
    const depth = JSON.stringify({ ...own, depth: -1 });
    await refused(/not usable: config\.depth: expected an integer of at least 1, got -1$/, { config: depth });
    const deeper = JSON.stringify({ ...own, depth: 3 });
    await refused(/expected a tensor 'blocks\.2\.[^']+', got none$/, { config: deeper });
    const larger = JSON.stringify({ ...own, vocabularySize: 8 });
    await refused(/tensor 'embedding\.weight': expected \[8, 12\], got \[7, 12\]$/, { config: larger });
    await refused(new RegExp(`expected a tensor '${names[1]}', got none$`), {}, without(tensors, names[1]!));
    const whole = new Map(tensors).set('norm.gain', { dtype: 'I32', shape: [12], data: new Uint8Array(48) });
    await refused(/tensor 'norm\.gain': expected F32, F16 or BF16, got I32$/, {}, whole);
    const flat = new Map(tensors).set('embedding.weight', fromFloat32(new Float32Array(84), [84]));
    await refused(/tensor 'embedding\.weight': expected \[7, 12\], got \[84\]$/, {}, flat);
  });

  it('refuses a file that is missing, cut short, or no checkpoint', async () => {
    await expect(load(at('absent.safetensors'))).rejects.toThrow(
      /absent\.safetensors: cannot be read: there is no such/,
    );
    const path = at(`${kind}-short.safetensors`);
    await make(1).save(path);
    truncateSync(path, readFileSync(path).length - 1);
    await expect(load(path)).rejects.toThrow(CheckpointError);
    writeFileSync(path, 'Dear all,');
    await expect(load(path)).rejects.toThrow(CheckpointError);
  });

  it('leaves no file behind when it cannot be saved', async () => {
    const model = make(1);
    const before = readdirSync(folder);
    await expect(model.save(at('no/such/folder.safetensors'))).rejects.toThrow(CheckpointError);
    model.dispose();
    await expect(model.save(at('disposed.safetensors'))).rejects.toThrow(/the tensor was disposed$/);
    expect(readdirSync(folder)).toEqual(before);
  });

  it('refuses tokens, rows and lengths that do not fit', async () => {
    const model = make(1);
    const long = packTokens([new Int32Array(10)], { vocabularySize });
    expect(() => model.forward(long)).toThrow(ShapeError);
    expect(() => model.forward(long)).toThrow(/^positions: expected at most config\.maxPositions = 9, got 10$/);
    expect(() => packTokens([Int32Array.of(1, 7)], { vocabularySize })).toThrow(
      /expected tokens from 0 to 6, got 7 at 1$/,
    );
    const outside = { ...packTokens([Int32Array.of(1, 6)], { vocabularySize }), tokens: Int32Array.of(1, 7) };
    await expect(model.forward(outside).read()).rejects.toThrow(ValueError);
  });
});

function without<V>(map: ReadonlyMap<string, V>, name: string): Map<string, V> {
  return new Map([...map].filter(([key]) => key !== name));
}

describe('the two kinds', () => {
  it('do not read each other', async () => {
    await new TransformerLM(config).save(at('lm.safetensors'));
    await new SequenceEncoder(config).save(at('encoder.safetensors'));
    await expect(SequenceEncoder.load(at('lm.safetensors'))).rejects.toThrow(
      /lm\.safetensors: expected a checkpoint of a SequenceEncoder, got one of a TransformerLM$/,
    );
    await expect(TransformerLM.load(at('encoder.safetensors'))).rejects.toThrow(
      /expected a checkpoint of a TransformerLM, got one of a SequenceEncoder$/,
    );
  });

  const bad: [Record<string, unknown>, string, RegExp][] = [
    [{ vocabularySize: 0 }, 'vocabularySize', /expected an integer of at least 1, got 0/],
    [{ depth: 1.5 }, 'depth', /got 1\.5/],
    [{ width: -4, headWidth: 4 }, 'width', /got -4/],
    [{ heads: 0, headWidth: 4 }, 'heads', /got 0/],
    [{ heads: 5 }, 'headWidth', /got 2\.4/],
    [{ feedForwardWidth: Number.NaN }, 'feedForwardWidth', /got NaN/],
    [{ maxPositions: 0 }, 'maxPositions', /got 0/],
    [{ norm: 'batch' }, 'norm', /expected one of layer, rms, got 'batch'/],
    [{ activation: 'relu' }, 'activation', /expected one of gelu, gelu-tanh, silu, got 'relu'/],
    [{ positions: 'none' }, 'positions', /expected one of learned, sinusoidal, rotary, got 'none'/],
    [{ gated: 1 }, 'gated', /expected true or false, got 1/],
    [{ bias: 'yes' }, 'bias', /expected true or false, got yes/],
    [{ dropout: 1 }, 'dropout', /expected a number in \[0, 1\), got 1/],
    [{ dropout: -0.1 }, 'dropout', /got -0\.1/],
    [{ positions: 'rotary', headWidth: 3 }, 'headWidth', /rotary positions expect an even number, got 3/],
  ];
  it.each(bad)('refuse the config %o', (change, name, message) => {
    for (const make of [
      () => new TransformerLM({ ...config, ...change } as TransformerLMOptions),
      () => new SequenceEncoder({ ...config, ...change } as TransformerLMOptions),
    ]) {
      expect(make).toThrow(ValueError);
      expect(make).toThrow(message);
      expect(make).toThrow(expect.objectContaining({ argument: `config.${name}` }));
    }
  });

  it('refuse the entries that only one of them has', () => {
    expect(() => new TransformerLM({ ...config, tied: 'no' as unknown as boolean })).toThrow(
      /^config\.tied: expected true or false, got no$/,
    );
    for (const dimensions of [0, 2.5, Number.NaN]) {
      expect(() => new SequenceEncoder({ ...config, dimensions })).toThrow(
        /^config\.dimensions: expected an integer of at least 1, got /,
      );
    }
  });
});

describe('every configuration', () => {
  const combinations: Partial<TransformerLMOptions>[] = [];
  for (const norm of ['layer', 'rms'] as const)
    for (const activation of ['gelu', 'gelu-tanh', 'silu'] as const)
      for (const positions of ['learned', 'sinusoidal', 'rotary'] as const)
        for (const gated of [false, true])
          for (const tied of [false, true])
            for (const bias of [false, true]) combinations.push({ norm, activation, positions, gated, tied, bias });

  async function expectGradients(model: Model): Promise<void> {
    const parameters = model.parameters();
    const tape = new Tape(parameters.map(({ tensor }) => tensor));
    const y = tape.record(() => model.forward(batch));
    const seed = Tensor.from(randomFloats(new Random(6), y.size), y.shape);
    const gradients = tape.backward([[y, seed]]);
    for (const { name, tensor } of parameters) {
      const gradient = gradients.get(tensor);
      expect(gradient?.shape, name).toEqual(tensor.shape);
      const values = await gradient!.read();
      expect(values.every(Number.isFinite), name).toBe(true);
      expect(
        values.some((value) => value !== 0),
        name,
      ).toBe(true);
      gradient!.dispose();
    }
  }

  it('of the decoder runs forward, backward, and one token at a time to the same logits', async () => {
    expect(combinations.length).toBe(144);
    const tokens = Int32Array.of(3, 1, 4, 1, 5, 2);
    for (const combination of combinations) {
      const label = JSON.stringify(combination);
      const model = new TransformerLM({ ...config, depth: 1, headWidth: 6, ...combination });
      randomise(model, 7);
      await expectGradients(model);
      const whole = await model.forward(packTokens([tokens], { vocabularySize })).read();
      expect(whole.every(Number.isFinite), label).toBe(true);
      const decoder = model.decoder(packTokens([tokens.subarray(0, 2)], { vocabularySize }), { capacity: 6 });
      const steps = [await decoder.logits.read()];
      const next = Tensor.zeros([1], { dtype: 'int32' });
      for (const token of tokens.subarray(2)) {
        next.write(Int32Array.of(token));
        steps.push(await decoder.step(next).read());
      }
      const expected = whole.subarray(config.vocabularySize);
      const actual = Float32Array.from(steps.flatMap((logits) => [...logits]));
      expect(largestError(actual, expected), label).toBeLessThan(2e-5);
      decoder.dispose();
      model.dispose();
    }
  });

  it('of the encoder runs forward and backward, whatever stands in the padding', async () => {
    for (const { tied, ...combination } of combinations) {
      if (tied) continue;
      const model = new SequenceEncoder({ ...config, depth: 1, headWidth: 6, dimensions: 4, ...combination });
      randomise(model, 8);
      await expectGradients(model);
      const embeddings = await outputs(model);
      expect(embeddings.length).toBe(12);
      expect(embeddings.every(Number.isFinite)).toBe(true);
      const tokens = batch.tokens.map((token, i) => (i % 5 < batch.starts[Math.floor(i / 5)]! ? 6 - token : token));
      expect(tokens).not.toEqual(batch.tokens);
      expect(sameBits(await model.forward({ ...batch, tokens }).read(), embeddings)).toBe(true);
      model.dispose();
    }
  });

  it('is sampled to the end of its positions, and not beyond', async () => {
    const model = new TransformerLM(config);
    const draw = async (maxTokens: number): Promise<number[]> => {
      const all: number[] = [];
      for await (const { tokens } of new Sampler(model).generate(sequences, { maxTokens })) all.push(tokens.length);
      return all;
    };
    // The longest prompt has 5 tokens; the last token drawn is not fed.
    expect(await draw(5)).toEqual([5, 5, 5]);
    await expect(draw(6)).rejects.toThrow(/^capacity: expected at most config\.maxPositions = 9, got 10$/);
  });
});

it('the stored weights are the ones that float32 tensors hold', async () => {
  const model = new TransformerLM(config, { seed: 9 });
  await model.save(at('plain.safetensors'));
  const { tensors } = await loadSafetensors(at('plain.safetensors'));
  expect([...tensors.keys()].sort()).toEqual(
    model
      .parameters()
      .map(({ name }) => name)
      .sort(),
  );
  for (const { name, tensor } of model.parameters()) {
    expect(toFloat32(tensors.get(name)!)).toEqual(await tensor.read());
    expect(tensors.get(name)!.shape).toEqual(tensor.shape);
  }
});
