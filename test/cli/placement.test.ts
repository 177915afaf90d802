import { join } from 'node:path';
import type { LanguageModel, SequenceEncoder, TransformerLM } from 'cfgdistill';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { placementOf } from '../../lib/cli/placement.ts';
import { loadLanguageModel } from '../../lib/cli/provenance.ts';
import { chords } from '../../lib/cli/tasks/chords.ts';
import { loadSymbolicEncoder } from '../../lib/cli/tasks/encoder-file.ts';
import { ChordTask } from '../../lib/tasks/chords/index.ts';
import { device } from '../../lib/tensor/device.ts';
import { temporaryFolder } from './command.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);
const task = await chords.open({ seed: 1 });
const { defaults } = chords;
const [base, embedder] = [join(folder, 'base.safetensors'), join(folder, 'embedder.safetensors')];
const computeOf = (model: LanguageModel) => (model as TransformerLM).compute;

/** What train-base and train-embedder start with. */
async function trained(flags: Parameters<typeof placementOf>[0]): Promise<[TransformerLM, SequenceEncoder]> {
  const placement = await placementOf(flags);
  const { model } = task.baseTrainer(defaults.base, placement).options;
  const { encoder } = await task.embedderTraining('symbolic', defaults.embedder.symbolic, placement, null);
  return [model as TransformerLM, encoder as SequenceEncoder];
}

beforeAll(async () => {
  const [model, encoder] = await trained({});
  await Promise.all([model.save(base), encoder.save(embedder)]);
});

describe('the placement that a command is told', () => {
  it('is the CPU and float32 where nothing is said', async () => {
    expect(await placementOf({})).toEqual({ device: await device('cpu'), compute: 'float32' });
    for (const { device: place, compute } of await trained({})) {
      expect([place.id, compute]).toEqual(['cpu', 'float32']);
    }
  });

  it('is where new models start, with the same weights', async () => {
    const [plain, rounded] = [await trained({}), await trained({ device: 'cpu', compute: 'bfloat16' })];
    for (const [i, model] of rounded.entries()) {
      expect(model.compute).toBe('bfloat16');
      for (const [p, { tensor }] of model.parameters().entries()) {
        expect(await tensor.read()).toEqual(await plain[i]!.parameters()[p]!.tensor.read());
      }
    }
  });

  it('is where saved models go, and the student with its teacher', async () => {
    for (const compute of ['float32', 'bfloat16'] as const) {
      const placement = await placementOf({ compute });
      const model = await loadLanguageModel(base, task, placement);
      const shape = { name: task.name, tokens: new ChordTask({ seed: 1 }).answerTokens, positions: task.maxTokens };
      const encoder = await loadSymbolicEncoder(embedder, shape, placement);
      expect([model.compute, encoder.compute]).toEqual([compute, compute]);
      const settings = { ...defaults.distill, beta: 1, seed: 1, maxTokens: task.generationTokens };
      const { student, teacher } = task.distillationTrainer(settings, {
        base: model,
        rewards: [{ embedder: await task.loadEmbedder(embedder, placement), weight: 1 }],
      }).options;
      expect([computeOf(student), computeOf(teacher.model)]).toEqual([compute, compute]);
    }
  });
});
