import type { LanguageModel } from '../models/language-model.ts';
import { Sampler, type SamplerOptions } from '../sampler.ts';
import type { Family, PointParameters } from './types.ts';

/** A model and a way to sample from it, to be judged as one point. */
export interface Generator {
  name: string;
  family: Family;
  parameters: PointParameters;
  model: LanguageModel;
  /** Guidance, temperature, truncation and constraint. */
  sampling: Omit<SamplerOptions, 'seed' | 'stopToken' | 'batchSize'>;
}

/** What all generators draw for, and how. */
export interface Drawing {
  prompts: readonly Int32Array[];
  samplesPerPrompt: number;
  maxTokens: number;
  stopToken?: number | undefined;
  /** Per prompt, for generators with a constraint. */
  startStates?: Int32Array | undefined;
  seed: number;
  signal?: AbortSignal | undefined;
}

export function samplerOf({ model, sampling }: Generator, { stopToken, seed }: Drawing): Sampler {
  return new Sampler(model, { ...sampling, seed, ...(stopToken !== undefined && { stopToken }) });
}

/** Draws: [prompt][sample] tokens. */
export async function generate(generator: Generator, drawing: Drawing): Promise<Int32Array[][]> {
  const { prompts, samplesPerPrompt, maxTokens, startStates, signal } = drawing;
  const sampler = samplerOf(generator, drawing);
  const generations: Int32Array[][] = prompts.map(() => []);
  const states = generator.sampling.constraint && startStates;
  const options = { samplesPerPrompt, maxTokens, startStates: states, signal };
  for await (const { prompt, tokens } of sampler.generate(prompts, options)) generations[prompt]!.push(tokens);
  return generations;
}

/** The first prompts only: guidance and start states may be given per prompt. */
export function firstPrompts(
  generator: Generator,
  drawing: Drawing,
  count: number,
): { generator: Generator; drawing: Drawing } {
  const { guidance, ...sampling } = generator.sampling;
  const first = {
    ...drawing,
    prompts: drawing.prompts.slice(0, count),
    startStates: drawing.startStates?.subarray(0, count),
  };
  if (!guidance) return { generator, drawing: first };
  const { scale, negative } = guidance;
  const ofFirst = {
    scale: typeof scale === 'number' ? scale : scale.subarray(0, count),
    negative: negative instanceof Int32Array ? negative : negative.slice(0, count),
  };
  return { generator: { ...generator, sampling: { ...sampling, guidance: ofFirst } }, drawing: first };
}
