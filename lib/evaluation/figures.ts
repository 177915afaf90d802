import { type Embedder, embedOnHost } from '../embedders/embedder.ts';
import { ShapeError, ValueError } from '../errors.ts';
import { diversityReward } from '../kernels/index.ts';
import { Turns } from '../turns.ts';
import { mean } from './bootstrap.ts';
import { meanPairwise } from './diversity.ts';
import type { Judge } from './judge.ts';
import type { PointJudgement } from './judgement.ts';

/** By whom generations are judged. */
export interface Judging {
  judge: Judge;
  embedder: Embedder;
  independentEmbedder?: Embedder | undefined;
  signal?: AbortSignal | undefined;
}

/** What is known of one generator's generations. */
export interface Figures {
  perPrompt: PointJudgement['perPrompt'];
  /** Distinct valid generations, the mean over prompts. */
  distinctValid: number;
  /** Means over all generations, by name; null for a judge that has no further measures. */
  measures: Record<string, number> | null;
}

/**
 * Judges the generations of one generator.
 *
 * @param generations [prompt][sample], as many samples for each prompt
 * @param name of the generator, for errors
 * @throws ShapeError for another number of figures than generations, ValueError for a figure that is no finite number:
 *   both name the generator and the prompt
 */
export async function figuresOf(
  generations: readonly (readonly Int32Array[])[],
  name: string,
  { judge, embedder, independentEmbedder, signal }: Judging,
): Promise<Figures> {
  const diversity = await embeddedDiversity(generations, embedder, signal);
  const independentDiversity = independentEmbedder
    ? await embeddedDiversity(generations, independentEmbedder, signal)
    : new Float64Array(generations.length);
  const quality = new Float64Array(generations.length);
  const distinct = new Float64Array(generations.length);
  const measures = new Map<string, Float64Array>();
  const turns = new Turns();
  for (const [p, own] of generations.entries()) {
    const told = (what: string) => `judge.${what} of '${name}', prompt ${p}`;
    quality[p] = mean(checked(await judge.quality(p, own, signal), own.length, told('quality')));
    distinct[p] = new Set(
      own.filter((tokens) => judge.valid(p, tokens)).map((tokens) => judge.identity(p, tokens)),
    ).size;
    const { distance } = judge;
    if (!independentEmbedder && distance) {
      independentDiversity[p] = meanPairwise(own, (a, b) => distance.call(judge, p, a, b));
      checked([independentDiversity[p]], 1, told('distance'));
    }
    const further = Object.entries((await judge.measures?.(p, own, signal)) ?? {});
    expectSameNames(further, p, measures, told('measures'));
    for (const [measure, values] of further) {
      const means = measures.get(measure) ?? new Float64Array(generations.length);
      means[p] = mean(checked(values, own.length, told(`measures ${measure}`)));
      measures.set(measure, means);
    }
    await turns.pause();
    signal?.throwIfAborted();
  }
  return {
    perPrompt: { quality, diversity, independentDiversity },
    distinctValid: mean(distinct),
    measures: judge.measures
      ? Object.fromEntries([...measures].map(([measure, means]) => [measure, mean(means)]))
      : null,
  };
}

/** Mean pairwise 1 − cosine of each prompt's generations. */
async function embeddedDiversity(
  generations: readonly (readonly Int32Array[])[],
  embedder: Embedder,
  signal: AbortSignal | undefined,
): Promise<Float64Array> {
  const embeddings = await embedOnHost(embedder, generations.flat(), signal);
  const { diversity } = diversityReward(embeddings, {
    prompts: generations.length,
    samples: (generations[0] as readonly Int32Array[]).length,
    dimensions: embedder.dimensions,
  });
  return Float64Array.from(diversity);
}

function checked(values: ArrayLike<number>, count: number, what: string): Float64Array {
  if (values?.length !== count) {
    const got = values?.length ?? typeof values;
    throw new ShapeError(`${what}: expected one figure for each of ${count} generations, got ${got}`, 'judge');
  }
  const figures = Float64Array.from(values);
  const wrong = figures.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) throw new ValueError(`${what}: expected a finite number, got ${values[wrong]}`, 'judge');
  return figures;
}

function expectSameNames(
  further: readonly (readonly [string, unknown])[],
  prompt: number,
  known: ReadonlyMap<string, unknown>,
  what: string,
): void {
  if (prompt === 0) return;
  const names = further.map(([measure]) => measure);
  if (names.length === known.size && names.every((measure) => known.has(measure))) return;
  throw new ValueError(
    `${what}: expected the names of prompt 0, ${[...known.keys()].join(', ') || 'none'}; got ${names.join(', ') || 'none'}`,
    'judge',
  );
}
