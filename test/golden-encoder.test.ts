import { beforeAll, describe, expect, it } from 'vitest';
import { ContrastiveTrainer } from '../lib/embedders/contrastive-trainer.ts';
import { EncoderEmbedder } from '../lib/embedders/embedder.ts';
import { fillParameters } from '../lib/models/model-file.ts';
import { SequenceEncoder, type SequenceEncoderOptions } from '../lib/models/sequence-encoder.ts';
import type { OptimizerOptions } from '../lib/training/optimizer.ts';
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
  config: SequenceEncoderOptions & { positions: string };
  pairs: [number[], number[]][];
  temperature: number;
}

describe.each(['sinusoidal', 'rotary'])('the sequence encoder with weights %s', (name) => {
  let golden: Golden<Case>;
  beforeAll(async () => {
    golden = await readGolden<Case>(`encoder-${name}`);
  });

  const withWeights = () => {
    const encoder = new SequenceEncoder(golden.case.config, { seed: 1 });
    fillParameters(encoder.parameters(), golden.tensors, name, 'weights.');
    return encoder;
  };
  const trainer = (optimizer: OptimizerOptions) => {
    const { pairs, temperature } = golden.case;
    return new ContrastiveTrainer({
      encoder: withWeights(),
      items: pairs.length,
      pair: (item) => {
        const [a, b] = pairs[item] as [number[], number[]];
        return [Int32Array.from(a), Int32Array.from(b)];
      },
      temperature,
      optimizer,
    });
  };

  it.each([512, 2])('gives the embeddings, %d sequences at a time', async (batchSize) => {
    const embedder = new EncoderEmbedder(withWeights(), { batchSize });
    for (const [side, tensor] of ['left', 'right'].entries()) {
      const values = await embedder.embed(golden.case.pairs.map((pair) => Int32Array.from(pair[side] as number[])));
      expect(errorByScale(values, golden.values(tensor))).toBeLessThanOrEqual(TENSOR_TOLERANCE);
    }
    embedder.encoder.dispose();
  });

  it('gives the gradient of symmetric InfoNCE', async () => {
    const one = trainer(gradientsAsMoments);
    const steps = await collect(one.run({ steps: 1 }));
    expectSteps(steps, golden.case.runs.contrastive?.slice(0, 1), ['loss', 'gradientNorm']);
    const moments = await savedMoments((path) => one.save(path));
    expectParameters(golden, 'gradients', one.options.encoder.parameters(), moments);
    one.dispose();
  });

  it('trains for ten steps as PyTorch does', async () => {
    const run = trainer(golden.case.optimizer);
    const steps = await collect(run.run({ steps: 10 }));
    expectSteps(steps, golden.case.runs.contrastive, ['loss', 'gradientNorm', 'learningRate']);
    const parameters = run.options.encoder.parameters();
    const weights = await readParameters(parameters);
    expectParameters(golden, 'trained', parameters, withoutKeyBiases(golden.case.config.positions, weights));
    run.dispose();
  });
});
