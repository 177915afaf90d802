import type { LanguageModel } from '../models/language-model.ts';
import type { Generator } from './generate.ts';

/** Values of the inference-time strategies to judge, each on its own. */
export interface Sweep {
  /** Guidance scales γ. */
  scales: readonly number[];
  temperatures: readonly number[];
  topKs: readonly number[];
  topPs: readonly number[];
}

/** Those that are put on top of a trained model, in one pass per token. */
export type TrainedSweep = Omit<Sweep, 'scales'>;

/** The strategies that a base model is judged under by default. */
export const BASE_SWEEP: Sweep = {
  scales: [1.25, 1.5, 2, 3, 4],
  temperatures: [0.5, 0.7, 0.85],
  topKs: [2, 4, 8],
  topPs: [0.5, 0.8, 0.9],
};

/** The strategies put on top of a trained model by default; guidance is what it was trained to do without. */
export const TRAINED_SWEEP: TrainedSweep = { temperatures: [0.7, 0.85], topKs: [4], topPs: [0.8, 0.9] };

/**
 * A base model plain, and under every strategy of the sweep.
 *
 * @param noPrompt guidance's negative prompt
 * @param sweep what is left out is that of {@link BASE_SWEEP}; empty for none
 */
export function baseGenerators(
  model: LanguageModel,
  noPrompt: Int32Array,
  sweep: Partial<Sweep> = BASE_SWEEP,
): Generator[] {
  const { scales, temperatures, topKs, topPs } = { ...BASE_SWEEP, ...sweep };
  return [
    { name: 'base', family: 'base', parameters: {}, model, sampling: {} },
    ...scales.map((scale): Generator => {
      const sampling = { guidance: { scale, negative: noPrompt } };
      return { name: `CFG γ ${scale}`, family: 'guidance', parameters: { scale }, model, sampling };
    }),
    ...temperatures.map((temperature): Generator => {
      const own = { temperature };
      return { name: `temperature ${temperature}`, family: 'temperature', parameters: own, model, sampling: own };
    }),
    ...topKs.map((topK): Generator => {
      return { name: `top-k ${topK}`, family: 'top-k', parameters: { topK }, model, sampling: { topK } };
    }),
    ...topPs.map((topP): Generator => {
      return { name: `nucleus ${topP}`, family: 'nucleus', parameters: { topP }, model, sampling: { topP } };
    }),
  ];
}

/**
 * A trained model plain, and with every strategy of the sweep on top: distilled, merged or off-policy.
 *
 * @param sweep what is left out is that of {@link TRAINED_SWEEP}; empty for none
 */
export function trainedGenerators(
  plain: Omit<Generator, 'sampling'>,
  sweep: Partial<TrainedSweep> = TRAINED_SWEEP,
): Generator[] {
  const { temperatures, topKs, topPs } = { ...TRAINED_SWEEP, ...sweep };
  const onTop = (name: string, own: { temperature?: number; topK?: number; topP?: number }): Generator => ({
    ...plain,
    name: `${plain.name} + ${name}`,
    parameters: { ...plain.parameters, ...own },
    sampling: own,
  });
  return [
    { ...plain, sampling: {} },
    ...temperatures.map((temperature) => onTop(`temperature ${temperature}`, { temperature })),
    ...topKs.map((topK) => onTop(`top-k ${topK}`, { topK })),
    ...topPs.map((topP) => onTop(`nucleus ${topP}`, { topP })),
  ];
}
