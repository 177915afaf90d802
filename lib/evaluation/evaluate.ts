import type { Embedder } from '../embedders/embedder.ts';
import { ValueError } from '../errors.ts';
import { expectInteger } from '../kernels/arguments.ts';
import { Random } from '../random.ts';
import { startStatesOf } from '../sampling-options.ts';
import { bootstrapMeans, mean, percentileInterval } from './bootstrap.ts';
import { figuresOf } from './figures.ts';
import { type Drawing, firstPrompts, type Generator, generate, samplerOf } from './generate.ts';
import type { Judge } from './judge.ts';
import { measureSpeeds } from './speed.ts';
import { type Evaluation, type EvaluationStore, loadStored } from './store.ts';

export type { Generator } from './generate.ts';
export type { Judge, Measures } from './judge.ts';
export type { Evaluation, EvaluationStore } from './store.ts';

export interface EvaluateOptions {
  prompts: readonly Int32Array[];
  /** Default 16; at least 2. */
  samplesPerPrompt?: number;
  maxTokens: number;
  stopToken?: number;
  /** For generators with a constraint: the state that each prompt's generations begin in. Default: the automaton's start. */
  startStates?: Int32Array | undefined;
  /** Measures `diversity`. */
  embedder: Embedder;
  /** Measures `independentDiversity`, as the mean pairwise 1 − cosine, in the place of the judge's `distance`. */
  independentEmbedder?: Embedder | undefined;
  judge: Judge;
  /** Of the draws and of the bootstrap. Default 0. */
  seed?: number;
  /** Rounds of timing, in each of which every generator runs once. Default 3; 0 measures no speed: tokensPerSecond is 0. */
  timingRounds?: number;
  /** Prompts per timing run. Default 32. */
  timingPrompts?: number;
  /** Keeps every generator as soon as it is judged; what it has is not drawn again. */
  store?: EvaluationStore | undefined;
  signal?: AbortSignal | undefined;
  /** Called after each generator, a stored one too, and each timing run. */
  onProgress?: (done: number, total: number, what: string) => void;
}

/**
 * Judges generators on the same prompts: quality, diversity by an embedder (mean pairwise 1 − cosine within a prompt), an
 * independent diversity, distinct valid generations, the judge's further measures, passes and speed, with bootstrap 95 %
 * intervals over prompts. Speed is the median over rounds that run all generators in turn on one batch, so that drift of
 * the machine hits all.
 *
 * With a store, an evaluation that was interrupted goes on where it was, with the same figures; speeds, which compare only
 * within the same rounds, are taken anew for all generators unless the store has one for each.
 *
 * @throws ValueError for no generators or prompts, names that occur twice, fewer than 2 samples, nothing that measures the
 *   independent diversity, or another option outside its domain, before anything is drawn
 * @throws ValueError or ShapeError naming generator and prompt for figures of the judge that are not finite, or too few;
 *   the signal's reason on abort
 */
export async function evaluate(generators: readonly Generator[], options: EvaluateOptions): Promise<Evaluation[]> {
  const { timingRounds = 3, timingPrompts = 32, store, onProgress } = options;
  const drawing = checkedDrawing(generators, options);
  expectInteger('timingRounds', timingRounds, 0);
  expectInteger('timingPrompts', timingPrompts, 1);
  const stored = await loadStored(store, generators, drawing);
  const rounds = stored.every((evaluation) => (evaluation?.point.tokensPerSecond ?? 0) > 0) ? 0 : timingRounds;
  const total = generators.length * (1 + rounds);
  let done = 0;
  const evaluations: Evaluation[] = [];
  for (const [i, generator] of generators.entries()) {
    const evaluation = stored[i] ?? (await judged(generator, drawing, options));
    if (!stored[i]) await store?.save(evaluation);
    evaluations.push(evaluation);
    onProgress?.(++done, total, generator.name);
  }
  if (rounds === 0) return evaluations;
  const timed = Math.min(timingPrompts, drawing.prompts.length);
  const runs = generators.map((generator) => {
    const first = firstPrompts(generator, drawing, timed);
    return async () => {
      const generations = await generate(first.generator, first.drawing);
      return generations.flat().reduce((sum, { length }) => sum + length, 0);
    };
  });
  const speeds = await measureSpeeds(runs, rounds, (run) =>
    onProgress?.(++done, total, `speed of ${generators[run]!.name}`),
  );
  // Those that were stored without a speed come last: until all are saved, one without tells that speeds are not complete.
  const timedBefore = (i: number) => Math.sign(stored[i]?.point.tokensPerSecond ?? 0);
  const order = evaluations.map((_, i) => i).sort((a, b) => timedBefore(b) - timedBefore(a));
  for (const i of order) {
    evaluations[i]!.point.tokensPerSecond = speeds[i]!;
    await store?.save(evaluations[i]!);
  }
  return evaluations;
}

function checkedDrawing(generators: readonly Generator[], options: EvaluateOptions): Drawing {
  const { prompts, samplesPerPrompt = 16, maxTokens, stopToken, startStates, seed = 0, signal } = options;
  if (generators.length === 0) throw new ValueError('generators: expected at least one, got none', 'generators');
  if (new Set(generators.map(({ name }) => name)).size !== generators.length) {
    throw new ValueError('generators: expected names that differ', 'generators');
  }
  if (prompts.length === 0) throw new ValueError('prompts: expected at least one prompt, got none', 'prompts');
  if (!options.independentEmbedder && !options.judge.distance) {
    throw new ValueError('judge.distance: expected a function, or an independentEmbedder; got neither', 'judge');
  }
  expectInteger('samplesPerPrompt', samplesPerPrompt, 2);
  const drawing = { prompts, samplesPerPrompt, maxTokens, stopToken, startStates, seed, signal };
  for (const generator of generators) {
    samplerOf(generator, drawing);
    const { constraint } = generator.sampling;
    if (constraint) startStatesOf(constraint, startStates, prompts.length);
  }
  return drawing;
}

async function judged(generator: Generator, drawing: Drawing, options: EvaluateOptions): Promise<Evaluation> {
  const { name, family, parameters } = generator;
  const generations = await generate(generator, drawing);
  const { perPrompt, distinctValid, measures } = await figuresOf(generations, name, options);
  const { quality, diversity } = perPrompt;
  const random = new Random(drawing.seed).fork('bootstrap');
  const [qualities, diversities] = bootstrapMeans([quality, diversity], { random });
  return {
    point: {
      name,
      family,
      parameters,
      quality: mean(quality),
      diversity: mean(diversity),
      independentDiversity: mean(perPrompt.independentDiversity),
      distinctValid,
      ...(measures && { measures }),
      passesPerToken: samplerOf(generator, drawing).passesPerToken,
      tokensPerSecond: 0,
      interval: { quality: percentileInterval(qualities!), diversity: percentileInterval(diversities!) },
    },
    perPrompt,
    generations,
  };
}
