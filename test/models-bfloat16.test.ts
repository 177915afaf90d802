import {
  BaseTrainer,
  Sampler,
  SequenceEncoder,
  Tape,
  Tensor,
  TransformerLM,
  type TransformerLMOptions,
} from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { packTokens } from '../lib/models/token-batch.ts';
import { cast } from '../lib/tensor/operations.ts';

const KINDS: [string, Partial<TransformerLMOptions>][] = [
  ['layer norm, learned positions, tied', {}],
  [
    'RMS norm, rotary, gated, untied',
    { norm: 'rms', positions: 'rotary', gated: true, activation: 'silu', tied: false },
  ],
  ['sinusoidal positions, no biases', { positions: 'sinusoidal', bias: false }],
];
const vocabularySize = 19;
const shape = { vocabularySize, depth: 2, width: 32, heads: 4, maxPositions: 16 };
const prompts = [Int32Array.of(3, 1, 4, 1, 5), Int32Array.of(9, 2), Int32Array.of(6, 5, 3, 5, 8, 9)];
const batch = packTokens(prompts, { vocabularySize });

/** Relative distance, ‖a − b‖ / ‖b‖. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [difference, size] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    difference += ((a[i] as number) - (b[i] as number)) ** 2;
    size += (b[i] as number) ** 2;
  }
  return Math.sqrt(difference / size);
}

/** The same weights in a model of each type. */
async function both(options: Partial<TransformerLMOptions>) {
  const full = new TransformerLM({ ...shape, ...options }, { seed: 3 });
  const half = new TransformerLM({ ...shape, ...options }, { seed: 3, compute: 'bfloat16' });
  return { full, half };
}

async function gradients(model: TransformerLM<'float32'> | TransformerLM<'bfloat16'>) {
  const tape = new Tape(model.parameters().map(({ tensor }) => tensor));
  const logits = tape.record(() => model.forward(batch));
  const seed = cast(
    Tensor.from(
      Float32Array.from({ length: logits.size }, (_, i) => Math.sin(i)),
      logits.shape,
    ),
    logits.dtype,
  );
  const found = tape.backward([[logits, seed]]);
  const result = new Map<string, Float32Array>();
  for (const { name, tensor } of model.parameters()) {
    const gradient = found.get(tensor) as Tensor;
    expect(gradient.dtype).toBe('float32');
    result.set(name, await gradient.read());
  }
  return result;
}

describe.each(KINDS)('a bfloat16 model: %s', (_, options) => {
  it('gives the logits of the float32 model up to its rounding', async () => {
    const { full, half } = await both(options);
    const logits = half.forward(batch);
    expect(logits.dtype).toBe('bfloat16');
    const error = distance(await cast(logits, 'float32').read(), await full.forward(batch).read());
    expect(error).toBeLessThan(0.03);
    expect(error).toBeGreaterThan(1e-4); // or it was not computed in bfloat16 at all
  });

  it('gives the float32 gradients of its parameters up to its rounding', async () => {
    const { full, half } = await both(options);
    const [expected, actual] = [await gradients(full), await gradients(half)];
    for (const [name, values] of expected) {
      expect(distance(actual.get(name) as Float32Array, values), name).toBeLessThan(0.06);
    }
  });

  it('decodes with a bfloat16 cache what its forward pass says', async () => {
    const { half } = await both(options);
    const whole = await cast(half.forward(batch), 'float32').read();
    const begin = batch.positions - 2;
    const cut = packTokens(
      prompts.map((tokens) => tokens.slice(0, -2)).map((t) => (t.length ? t : Int32Array.of(0))),
      {
        vocabularySize,
        width: begin,
      },
    );
    const decoder = half.decoder(cut, { capacity: batch.positions });
    const next = Tensor.zeros([3], { dtype: 'int32' });
    for (let position = begin; position < batch.positions; position++) {
      next.write(Int32Array.from(prompts, (_, r) => batch.tokens[r * batch.positions + position] as number));
      const logits = await cast(decoder.step(next), 'float32').read();
      for (const r of [0, 2]) {
        const at = (r * batch.positions + position) * vocabularySize;
        const row = logits.subarray(r * vocabularySize, (r + 1) * vocabularySize);
        expect(distance(row, whole.subarray(at, at + vocabularySize))).toBeLessThan(0.03);
      }
    }
    decoder.dispose();
  });
});

describe('bfloat16', () => {
  it('learns, samples and keeps its type in a clone', async () => {
    const model = new TransformerLM(shape, { seed: 1, compute: 'bfloat16' });
    const rows = [1, 2, 3, 4].map((first) => ({
      prompt: Int32Array.of(first),
      tokens: Int32Array.of(first + 4, first + 8, 0),
    }));
    const trainer = new BaseTrainer({
      model,
      rows,
      noPrompt: Int32Array.of(18),
      batchSize: 4,
      optimizer: { learningRate: 5e-3 },
    });
    const losses: number[] = [];
    for await (const { loss } of trainer.run({ steps: 80 })) losses.push(loss);
    expect(losses.at(-1)).toBeLessThan(0.3 * (losses[0] as number));
    const copy = model.clone();
    expect(copy.compute).toBe('bfloat16');
    const sampler = new Sampler(copy, { temperature: 0, stopToken: 0 });
    for await (const { prompt, tokens } of sampler.generate(
      rows.map((r) => r.prompt),
      { maxTokens: 5 },
    )) {
      expect([...tokens]).toEqual([...(rows[prompt] as (typeof rows)[number]).tokens]);
    }
    trainer.dispose();
  });

  it('gives float32 embeddings near those of the float32 encoder', async () => {
    const encoders = (['float32', 'bfloat16'] as const).map(
      (compute) => new SequenceEncoder(shape, { seed: 2, compute }),
    );
    const [full, half] = await Promise.all(encoders.map((encoder) => encoder.forward(batch).read()));
    expect(distance(half as Float32Array, full as Float32Array)).toBeLessThan(0.03);
  });

  it('is refused under another name', () => {
    expect(() => new TransformerLM(shape, { compute: 'float16' as never })).toThrow(
      "compute: expected 'float32' or 'bfloat16', got 'float16'",
    );
  });
});
