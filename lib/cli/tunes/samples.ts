import { type Embedder, embedOnHost } from '../../embedders/embedder.ts';
import type { TwoTower } from '../../embedders/two-tower.ts';
import type { Evaluation } from '../../evaluation/evaluate.ts';
import { mapOf } from '../../evaluation/projection.ts';
import { generatedTune } from '../../tasks/tunes/generated-tune.ts';
import { tuneJudge } from '../../tasks/tunes/judge.ts';
import type { TuneTask } from '../../tasks/tunes/task.ts';
import type { TuneSample, TuneSamples } from '../report/index.ts';
import { spread } from './prompts.ts';

/** Prompts that the page shows: each adds some 40 kB. */
const SHOWN_PROMPTS = 12;

export interface SampleOptions {
  /** That were judged. */
  prompts: readonly string[];
  embedder: Embedder;
  towers: TwoTower;
  signal: AbortSignal;
}

/** What the page shows of the generations: those for some of the prompts, each with its figures and its place in a map. */
export async function tuneSamples(
  task: TuneTask,
  judged: readonly Evaluation[],
  { prompts, embedder, towers, signal }: SampleOptions,
): Promise<TuneSamples> {
  const judge = tuneJudge(task, prompts, towers);
  const models = Object.fromEntries(judged.map(({ point }) => [point.name, [] as TuneSample[][]]));
  const shown = spread([...prompts.keys()], SHOWN_PROMPTS);
  for (const p of shown) {
    signal.throwIfAborted();
    const text = prompts[p] as string;
    const drawn = judged.map(({ generations }) => generations[p] as Int32Array[]);
    const all = drawn.flat();
    const places = mapOf(await embedOnHost(embedder, all, signal), embedder.dimensions);
    const quality = await judge.quality(p, all, signal);
    let at = 0;
    for (const [g, { point }] of judged.entries()) {
      const samples = (drawn[g] as Int32Array[]).map((tokens): TuneSample => {
        const i = at++;
        return {
          elements: generatedTune(task.vocabulary, text, tokens).elements,
          quality: quality[i] as number,
          valid: judge.valid(p, tokens),
          map: [places[2 * i] as number, places[2 * i + 1] as number],
        };
      });
      (models[point.name] as TuneSample[][]).push(samples);
    }
  }
  return {
    prompts: shown.map((p) => {
      const text = prompts[p] as string;
      return { text, meter: generatedTune(task.vocabulary, text, new Int32Array(0)).meter };
    }),
    models,
  };
}
