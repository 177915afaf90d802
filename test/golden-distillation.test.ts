import { beforeAll, describe, expect, it } from 'vitest';
import type { Embedder } from '../lib/embedders/embedder.ts';
import { fillParameters } from '../lib/models/model-file.ts';
import { TransformerLM, type TransformerLMOptions } from '../lib/models/transformer-lm.ts';
import type { Divergence } from '../lib/native.ts';
import { Trainer } from '../lib/trainer.ts';
import type { OptimizerOptions } from '../lib/training/optimizer.ts';
import {
  collect,
  expectParameters,
  expectSteps,
  type Golden,
  gradientsAsMoments,
  readGolden,
  savedMoments,
} from './support/golden.ts';
import { ScriptedModel } from './support/scripted-model.ts';

interface Scenario {
  prompts: number[][];
  negatives: number[][];
  scales: number[];
  /** Per prompt, its generations. */
  generations: number[][][];
  temperature: number;
  stopToken: number;
  maxTokens: number;
  divergence: Divergence;
  jsdWeight: number;
  diversityWeight: number;
  scoreFunction: boolean;
}

interface Case {
  config: TransformerLMOptions;
  scenarios: Record<string, Scenario>;
}

const DIMENSIONS = 4;

describe.each(['learned', 'rotary'])('distillation with weights %s', (name) => {
  let golden: Golden<Case>;
  beforeAll(async () => {
    golden = await readGolden<Case>(`distillation-${name}`);
  });

  const withWeights = (prefix: string) => {
    const model = new TransformerLM(golden.case.config, { seed: 1 });
    fillParameters(model.parameters(), golden.tensors, name, `${prefix}.`);
    return model;
  };

  /** The embedding of each generation as the golden file has it. */
  const embedderOf = ({ generations }: Scenario): Embedder => {
    const table = golden.values('embeddings');
    // [3 prompts, 3 samples]; a scenario of fewer samples uses the first.
    const places = new Map(
      generations.flatMap((row, p) => row.map((tokens, i) => [tokens.join(), 3 * p + i] as const)),
    );
    return {
      dimensions: DIMENSIONS,
      embed: async (samples) => {
        const rows = samples.map((tokens) => {
          const place = places.get(tokens.join());
          if (place === undefined) throw new Error(`${tokens} is no generation of the scenario`);
          return table.slice(place * DIMENSIONS, (place + 1) * DIMENSIONS);
        });
        return Float32Array.from(rows.flatMap((row) => [...row]));
      },
    };
  };

  const trainerOf = (scenario: Scenario, optimizer: OptimizerOptions, rowsPerMicrobatch?: number) => {
    const { prompts, negatives, scales, generations, diversityWeight, ...options } = scenario;
    const scripts = new Map(prompts.map((prompt, p) => [prompt.join(), generations[p] as number[][]]));
    return new Trainer({
      ...options,
      student: new ScriptedModel(withWeights('student'), (prompt) => scripts.get(prompt.join()) ?? []),
      teacher: {
        model: withWeights('teacher'),
        guidance: { scale: Float32Array.from(scales), negative: negatives.map((n) => Int32Array.from(n)) },
      },
      diversity: { embedder: embedderOf(scenario), weight: diversityWeight },
      samplesPerPrompt: generations[0]?.length ?? 0,
      promptsPerStep: prompts.length,
      optimizer,
      ...(rowsPerMicrobatch !== undefined && { rowsPerMicrobatch }),
    });
  };
  const promptsOf = ({ prompts }: Scenario) => prompts.map((prompt) => Int32Array.from(prompt));
  const REPORTED = ['kl', 'klPerToken', 'entropy', 'diversity', 'gradientNorm'];

  describe.each(['reverse', 'forward', 'jsd', 'scoreFunction'])('%s', (key) => {
    it.each([undefined, 4])('gives the gradient of one step, %s rows at a time', async (rowsPerMicrobatch) => {
      const scenario = golden.case.scenarios[key] as Scenario;
      const one = trainerOf(scenario, gradientsAsMoments, rowsPerMicrobatch);
      const steps = await collect(one.run(promptsOf(scenario), { steps: 1 }));
      expectSteps(steps, golden.case.runs[key]?.slice(0, 1), REPORTED);
      expect(steps[0]?.tokens).toBe(scenario.generations.flat(2).length);
      const moments = await savedMoments((path) => one.save(path), 'trainer.safetensors');
      expectParameters(golden, `gradients.${key}`, one.student.parameters(), moments);
      one.dispose();
    });

    it('trains for five steps as PyTorch does', async () => {
      const scenario = golden.case.scenarios[key] as Scenario;
      const run = trainerOf(scenario, golden.case.optimizer);
      const steps = await collect(run.run(promptsOf(scenario), { steps: 5 }));
      expectSteps(steps, golden.case.runs[key], [...REPORTED, 'learningRate']);
      run.dispose();
    });
  });
});
