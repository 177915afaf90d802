import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BaseTrainer } from '../lib/base-trainer.ts';
import { fillParameters } from '../lib/models/model-file.ts';
import { packTokens } from '../lib/models/token-batch.ts';
import { TransformerLM, type TransformerLMOptions } from '../lib/models/transformer-lm.ts';
import { Tape } from '../lib/tensor/autograd.ts';
import { scope } from '../lib/tensor/scope.ts';
import { Tensor } from '../lib/tensor/tensor.ts';
import {
  collect,
  errorByScale,
  expectParameters,
  expectSteps,
  type Golden,
  gradientsAsMoments,
  readGolden,
  readParameters,
  savedMoments,
  TENSOR_TOLERANCE,
  withoutKeyBiases,
} from './support/golden.ts';

interface Case {
  config: TransformerLMOptions & { positions: string };
  positions: number;
  starts: number[];
  sequences: number[][];
  completions: { prompt: number[]; tokens: number[] }[];
}

describe.each(['learned', 'rotary', 'sinusoidal', 'unbiased'])('the language model with weights %s', (name) => {
  let golden: Golden<Case>;
  let model: TransformerLM;
  beforeAll(async () => {
    golden = await readGolden<Case>(`language-model-${name}`);
    model = withWeights();
  });
  afterAll(() => model.dispose());

  const withWeights = () => {
    const made = new TransformerLM(golden.case.config, { seed: 1 });
    fillParameters(made.parameters(), golden.tensors, name, 'weights.');
    return made;
  };
  const batchOf = (padding: number) => {
    const { sequences, starts, positions, config } = golden.case;
    const { vocabularySize } = config;
    const batch = packTokens(
      sequences.map((s) => Int32Array.from(s)),
      { vocabularySize, width: positions },
    );
    expect([...batch.starts]).toEqual(starts);
    starts.forEach((start, r) => {
      batch.tokens.fill(padding, r * positions, r * positions + start);
    });
    return batch;
  };
  /** The elements of [rows, positions, vocab] that are not padding. */
  const inside = (values: Float32Array) => {
    const { starts, positions, config } = golden.case;
    const vocab = config.vocabularySize;
    return values.filter(
      (_, i) => Math.floor(i / vocab) % positions >= (starts[Math.floor(i / vocab / positions)] ?? 0),
    );
  };
  const trainer = (options: Partial<ConstructorParameters<typeof BaseTrainer>[0]>) => {
    const { completions, optimizer } = golden.case;
    return new BaseTrainer({
      model: withWeights(),
      optimizer,
      rows: completions.map(({ prompt, tokens }) => ({
        prompt: Int32Array.from(prompt),
        tokens: Int32Array.from(tokens),
      })),
      noPrompt: Int32Array.of(0),
      promptDropout: 0,
      batchSize: completions.length,
      ...options,
    });
  };

  it('holds exactly the parameters of the reference', () => {
    const names = [...golden.tensors.keys()].filter((key) => key.startsWith('weights.'));
    expect(model.parameters().map((p) => `weights.${p.name}`)).toEqual(names);
  });

  it('gives the logits, whatever the padding holds', async () => {
    using logits = model.forward(batchOf(0));
    using others = model.forward(batchOf(7));
    const values = inside(await logits.read());
    expect(errorByScale(values, inside(golden.values('logits')))).toBeLessThanOrEqual(TENSOR_TOLERANCE);
    expect(inside(await others.read())).toEqual(values);
  });

  it('gives the gradient of a linear function of the logits', async () => {
    const { tokens, ...batch } = batchOf(7);
    const watched = model.parameters().map(({ tensor }) => tensor);
    const gradients = scope(() => {
      const tape = new Tape(watched);
      const logits = tape.record(() => model.forward({ ...batch, tokens }));
      const found = tape.backward([[logits, Tensor.from(golden.values('cotangent'), logits.shape)]]);
      return watched.map((tensor) => found.get(tensor) as Tensor);
    });
    const values = await Promise.all(gradients.map((tensor) => tensor.read()));
    for (const tensor of gradients) tensor.dispose();
    const byName = new Map(model.parameters().map((p, i) => [p.name, values[i] as Float32Array]));
    expectParameters(golden, 'gradients.cotangent', model.parameters(), (key) => byName.get(key) as Float32Array);
  });

  it.each([5, 2])(
    'gives the gradient of the mean loss of completions, %d rows at a time',
    async (rowsPerMicrobatch) => {
      const one = trainer({ optimizer: gradientsAsMoments, rowsPerMicrobatch });
      const steps = await collect(one.run({ steps: 1 }));
      expectSteps(steps, golden.case.runs.completions?.slice(0, 1), ['loss', 'gradientNorm']);
      const moments = await savedMoments((path) => one.save(path));
      expectParameters(golden, 'gradients.completions', one.options.model.parameters(), moments);
      one.dispose();
    },
  );

  it('trains for ten steps as PyTorch does', async () => {
    const run = trainer({});
    const steps = await collect(run.run({ steps: 10 }));
    expectSteps(steps, golden.case.runs.completions, ['loss', 'gradientNorm', 'learningRate']);
    const weights = await readParameters(run.options.model.parameters());
    const { positions } = golden.case.config;
    expectParameters(golden, 'trained', model.parameters(), withoutKeyBiases(positions, weights));
    run.dispose();
  });

  it.each([1, 3])('decodes step by step to the same logits, %d samples of a row', async (samples) => {
    const { positions, starts, config } = golden.case;
    const vocab = config.vocabularySize;
    const prompt = 8;
    const single = batchOf(7).tokens;
    // Sample 0 of a row goes on as the golden sequence does, the others differently.
    const rows = starts.length * samples;
    const tokens = new Int32Array(rows * positions).map((_, i) => {
      const position = i % positions;
      const row = Math.floor(i / positions);
      const token = single[Math.floor(row / samples) * positions + position] as number;
      return position < prompt ? token : (token + 3 * (row % samples)) % vocab;
    });
    using full = model.forward({
      rows,
      positions,
      tokens,
      starts: new Int32Array(rows).map((_, r) => starts[Math.floor(r / samples)] as number),
    });
    const together = await full.read();

    const decoder = model.decoder(
      {
        rows: starts.length,
        positions: prompt,
        tokens: single.filter((_, i) => i % positions < prompt),
        starts: Int32Array.from(starts),
      },
      { capacity: positions, samplesPerRow: samples },
    );
    const check = async (logits: Tensor, position: number) => {
      const values = await logits.read();
      expect(values.length).toBe(rows * vocab);
      for (let r = 0; r < rows; r++) {
        const decoded = values.slice(r * vocab, (r + 1) * vocab);
        const error = (expected: Float32Array, row: number) => {
          const begin = (row * positions + position) * vocab;
          return errorByScale(decoded, expected.slice(begin, begin + vocab));
        };
        expect(error(together, r), `row ${r}, position ${position}`).toBeLessThanOrEqual(TENSOR_TOLERANCE);
        if (r % samples === 0) {
          expect(error(golden.values('logits'), r / samples), `row ${r}`).toBeLessThanOrEqual(TENSOR_TOLERANCE);
        }
      }
    };
    await check(decoder.logits, prompt - 1);
    using next = Tensor.zeros([rows], { dtype: 'int32' });
    for (let position = prompt; position < positions; position++) {
      next.write(new Int32Array(rows).map((_, r) => tokens[r * positions + position] as number));
      await check(decoder.step(next), position);
    }
    decoder.dispose();
  });
});
