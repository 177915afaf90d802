import { type Embedder, embedOnHost } from '../../embedders/embedder.ts';
import { retrievalAt1 } from '../../embedders/retrieval.ts';
import { ValueError } from '../../errors.ts';
import { halvesOf, musicOf, tunesOf } from './music.ts';
import type { TuneTask } from './task.ts';

/** How often what belongs together is found; by chance it would be 1 / candidates. */
export interface Retrieval {
  readonly retrievalAt1: number;
  readonly candidates: number;
}

/**
 * How well an embedder of generations knows a tune: retrieval@1 of a held-out tune's second half by its first, among the
 * second halves of all held-out tunes.
 *
 * @throws ValueError where no tune of two tokens or more is held out, the signal's reason when it aborts
 */
export async function tuneRetrieval(task: TuneTask, embedder: Embedder, signal?: AbortSignal): Promise<Retrieval> {
  const halves = tunesOf(task.heldOutRows)
    .map(({ tokens }) => musicOf(task, tokens))
    .filter(({ length }) => length >= 2)
    .map(halvesOf);
  if (halves.length === 0) throw new ValueError('task: expected tunes that are held out, got none', 'task');
  const first = await embedOnHost(
    embedder,
    halves.map(([half]) => half),
    signal,
  );
  const second = await embedOnHost(
    embedder,
    halves.map(([, half]) => half),
    signal,
  );
  return { retrievalAt1: retrievalAt1(first, second, embedder.dimensions), candidates: halves.length };
}
