import { type Embedder, embedOnHost } from '../embedders/embedder.ts';
import { ValueError } from '../errors.ts';
import { expectInteger } from '../kernels/arguments.ts';
import { diversityReward } from '../kernels/index.ts';
import type { LanguageModel } from '../models/language-model.ts';
import { Random } from '../random.ts';
import { Sampler, type SamplerOptions } from '../sampler.ts';
import { Turns } from '../turns.ts';
import { bootstrapMean } from './bootstrap.ts';
import { meanPairwise } from './diversity.ts';
import type { PointJudgement } from './judgement.ts';
import type { Family, PointParameters } from './types.ts';

/** A model and a way to sample from it, to be judged as one point. */
export interface Generator {
  name: string;
  family: Family;
  parameters: PointParameters;
  model: LanguageModel;
  /** Guidance, temperature and truncation. */
  sampling: Omit<SamplerOptions, 'seed' | 'stopToken' | 'batchSize'>;
}

/** What a task knows of a generation's worth. `prompt` is the index among the evaluated prompts. */
export interface Judge {
  /** In [0, 1]; 1 counts as valid. */
  quality(prompt: number, tokens: Int32Array): number;
  /** How different two generations are, in [0, 1], by a measure that nothing was rewarded for. */
  distance(prompt: number, a: Int32Array, b: Int32Array): number;
  /** Equal for generations that count as the same. */
  identity(prompt: number, tokens: Int32Array): string;
}

export interface EvaluateOptions {
  prompts: readonly Int32Array[];
  /** Default 16; at least 2. */
  samplesPerPrompt?: number;
  maxTokens: number;
  stopToken?: number;
  /** Measures `diversity`. */
  embedder: Embedder;
  judge: Judge;
  /** Of the draws and of the bootstrap. Default 0. */
  seed?: number;
  /** Rounds of timing, in each of which every generator runs once. Default 3; 0 leaves tokensPerSecond at 0. */
  timingRounds?: number;
  /** Prompts per timing run. Default 32. */
  timingPrompts?: number;
  signal?: AbortSignal | undefined;
  /** Called after each generator and each timing run. */
  onProgress?: (done: number, total: number, what: string) => void;
}

export interface Evaluation extends PointJudgement {
  /** [prompt][sample]: the tokens. */
  generations: Int32Array[][];
}

/**
 * Judges generators on the same prompts: quality, diversity by an embedder (mean pairwise 1 − cosine within a prompt), an
 * independent diversity, distinct valid generations, passes and speed, with bootstrap 95 % intervals over prompts.
 * Speed is the median over rounds that run all generators in turn on one batch, so that drift of the machine hits all.
 *
 * @throws ValueError for no generators or prompts, names that occur twice, fewer than 2 samples, or another option outside
 *   its domain, before anything is drawn; the signal's reason on abort
 */
export async function evaluate(generators: readonly Generator[], options: EvaluateOptions): Promise<Evaluation[]> {
  const { prompts, samplesPerPrompt = 16, timingRounds = 3, timingPrompts = 32, onProgress } = options;
  if (generators.length === 0) throw new ValueError('generators: expected at least one, got none', 'generators');
  if (new Set(generators.map(({ name }) => name)).size !== generators.length) {
    throw new ValueError('generators: expected names that differ', 'generators');
  }
  if (prompts.length === 0) throw new ValueError('prompts: expected at least one prompt, got none', 'prompts');
  expectInteger('samplesPerPrompt', samplesPerPrompt, 2);
  expectInteger('timingRounds', timingRounds, 0);
  expectInteger('timingPrompts', timingPrompts, 1);
  for (const generator of generators) samplerOf(generator, options);
  const total = generators.length * (1 + timingRounds);
  let done = 0;
  const evaluations: Evaluation[] = [];
  for (const generator of generators) {
    evaluations.push(await judged(generator, options, samplesPerPrompt));
    onProgress?.(++done, total, generator.name);
  }
  const speeds = generators.map((): number[] => []);
  const batch = prompts.slice(0, timingPrompts);
  for (let round = 0; round < timingRounds; round++) {
    for (const [i, generator] of generators.entries()) {
      const begin = performance.now();
      const generations = await generate(
        firstOf(generator, batch.length),
        { ...options, prompts: batch },
        samplesPerPrompt,
      );
      const tokens = generations.flat().reduce((sum, { length }) => sum + length, 0);
      (speeds[i] as number[]).push(tokens / ((performance.now() - begin) / 1000));
      onProgress?.(++done, total, `speed of ${generator.name}`);
    }
  }
  evaluations.forEach(({ point }, i) => {
    point.tokensPerSecond = median(speeds[i] as number[]);
  });
  return evaluations;
}

function samplerOf({ model, sampling }: Generator, { stopToken, seed = 0 }: EvaluateOptions): Sampler {
  return new Sampler(model, { ...sampling, seed, ...(stopToken !== undefined && { stopToken }) });
}

/** The generator for the first prompts only: guidance may be given per prompt. */
function firstOf(generator: Generator, prompts: number): Generator {
  const { guidance, ...sampling } = generator.sampling;
  if (!guidance) return generator;
  const { scale, negative } = guidance;
  const first = {
    scale: typeof scale === 'number' ? scale : scale.subarray(0, prompts),
    negative: negative instanceof Int32Array ? negative : negative.slice(0, prompts),
  };
  return { ...generator, sampling: { ...sampling, guidance: first } };
}

async function generate(
  generator: Generator,
  options: EvaluateOptions,
  samplesPerPrompt: number,
): Promise<Int32Array[][]> {
  const { prompts, maxTokens, signal } = options;
  const sampler = samplerOf(generator, options);
  const generations: Int32Array[][] = prompts.map(() => []);
  for await (const { prompt, tokens } of sampler.generate(prompts, { samplesPerPrompt, maxTokens, signal })) {
    (generations[prompt] as Int32Array[]).push(tokens);
  }
  return generations;
}

async function judged(generator: Generator, options: EvaluateOptions, samples: number): Promise<Evaluation> {
  const { prompts, embedder, judge, seed = 0, signal } = options;
  const generations = await generate(generator, options, samples);
  const embeddings = await embedOnHost(embedder, generations.flat(), signal);
  const { diversity } = diversityReward(embeddings, {
    prompts: prompts.length,
    samples,
    dimensions: embedder.dimensions,
  });
  const distinct: number[] = [];
  const quality = new Float64Array(prompts.length);
  const independent = new Float64Array(prompts.length);
  const turns = new Turns();
  for (const [p, own] of generations.entries()) {
    const qualities = own.map((tokens) => judge.quality(p, tokens));
    const valid = own.filter((_, i) => qualities[i] === 1).map((tokens) => judge.identity(p, tokens));
    quality[p] = qualities.reduce((a, b) => a + b, 0) / samples;
    independent[p] = meanPairwise(own, (a, b) => judge.distance(p, a, b));
    distinct.push(new Set(valid).size);
    await turns.pause();
    signal?.throwIfAborted();
  }
  const perPrompt = { quality, diversity: Float64Array.from(diversity), independentDiversity: independent };
  const mean = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0) / values.length;
  const interval = (values: Float64Array) => {
    return bootstrapMean(values, { random: new Random(seed).fork('bootstrap') }).interval;
  };
  return {
    point: {
      name: generator.name,
      family: generator.family,
      parameters: generator.parameters,
      quality: mean(quality),
      diversity: mean(perPrompt.diversity),
      independentDiversity: mean(independent),
      distinctValid: mean(distinct),
      passesPerToken: samplerOf(generator, options).passesPerToken,
      tokensPerSecond: 0,
      interval: { quality: interval(quality), diversity: interval(perPrompt.diversity) },
    },
    perPrompt,
    generations,
  };
}

function median(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
