import type { Generator } from '../../evaluation/evaluate.ts';
import type { Guidance } from '../../sampling-options.ts';
import type { ChordModels } from './recipe.ts';
import type { ChordTask } from './task.ts';

const SCALES = [1.25, 1.5, 2, 3, 4];
const TEMPERATURES = [0.5, 0.7, 0.85];
const TOP_KS = [2, 4, 8];
const TOP_PS = [0.5, 0.8, 0.9];
/** Strategies put on top of every distilled and merged model. */
const ON_TOP = { temperature: 0.85, topP: 0.9 };

/** Every point of the front: the base under each inference-time strategy, and each trained model alone and with one. */
export function chordGenerators(task: ChordTask, { base, distilled, merged }: ChordModels): Generator[] {
  const guidance = (scale: number): Guidance => ({ scale, negative: task.noPrompt });
  const plain = { model: base, sampling: {} };
  const generators: Generator[] = [
    { name: 'base', family: 'base', parameters: {}, ...plain },
    ...SCALES.map(
      (scale): Generator => ({
        name: `CFG γ ${scale}`,
        family: 'guidance',
        parameters: { scale },
        model: base,
        sampling: { guidance: guidance(scale) },
      }),
    ),
    ...TEMPERATURES.map(
      (temperature): Generator => ({
        name: `temperature ${temperature}`,
        family: 'temperature',
        parameters: { temperature },
        model: base,
        sampling: { temperature },
      }),
    ),
    ...TOP_KS.map(
      (topK): Generator => ({
        name: `top-k ${topK}`,
        family: 'top-k',
        parameters: { topK },
        model: base,
        sampling: { topK },
      }),
    ),
    ...TOP_PS.map(
      (topP): Generator => ({
        name: `nucleus ${topP}`,
        family: 'nucleus',
        parameters: { topP },
        model: base,
        sampling: { topP },
      }),
    ),
  ];
  const trained: Generator[] = [
    ...distilled.map(
      ({ beta, model }): Generator => ({
        name: `distilled β ${beta}`,
        family: 'distilled',
        parameters: { beta },
        model,
        sampling: {},
      }),
    ),
    ...merged.map(
      ({ beta, lambda, model }): Generator => ({
        name: `merged β 0 and ${beta}, λ ${lambda}`,
        family: 'merged',
        parameters: { beta, lambda },
        model,
        sampling: {},
      }),
    ),
  ];
  const { temperature, topP } = ON_TOP;
  for (const own of trained) {
    generators.push(own);
    generators.push({
      ...own,
      name: `${own.name} + temperature ${temperature}`,
      parameters: { ...own.parameters, temperature },
      sampling: { temperature },
    });
    generators.push({
      ...own,
      name: `${own.name} + nucleus ${topP}`,
      parameters: { ...own.parameters, topP },
      sampling: { topP },
    });
  }
  return generators;
}
