import { isDeepStrictEqual } from 'node:util';
import { ValueError } from '../errors.ts';
import type { Drawing, Generator } from './generate.ts';
import type { PointJudgement } from './judgement.ts';

/** A judged generator, and what it drew. */
export interface Evaluation extends PointJudgement {
  /** [prompt][sample]: the tokens. */
  generations: Int32Array[][];
}

/** Keeps judged generators, so that an evaluation that was interrupted need not draw for them again. */
export interface EvaluationStore {
  /** What was saved for the generator of this name; null when there is nothing, or nothing that can be read. */
  load(name: string): Promise<Evaluation | null>;
  /** Keeps an evaluation, in the place of an earlier one of the same name. */
  save(evaluation: Evaluation): Promise<void>;
}

/** What is stored of every generator; null where there is nothing. ValueError for something that is not of this generator. */
export async function loadStored(
  store: EvaluationStore | undefined,
  generators: readonly Generator[],
  drawing: Drawing,
): Promise<(Evaluation | null)[]> {
  const stored: (Evaluation | null)[] = [];
  for (const generator of generators) {
    const evaluation = (await store?.load(generator.name)) ?? null;
    if (evaluation) expectFits(evaluation, generator, drawing);
    drawing.signal?.throwIfAborted();
    stored.push(evaluation);
  }
  return stored;
}

function expectFits({ point, generations }: Evaluation, generator: Generator, drawing: Drawing): void {
  const { name, family, parameters } = generator;
  const samples = [...new Set(generations.map((own) => own.length))];
  // Parameters that are undefined are as good as absent.
  const plain = (value: object): unknown => JSON.parse(JSON.stringify(value));
  const compared: [what: string, stored: unknown, wanted: unknown][] = [
    ['name', point.name, name],
    ['family', point.family, family],
    ['parameters', plain(point.parameters), plain(parameters)],
    ['prompts', generations.length, drawing.prompts.length],
    ['samples per prompt', samples.length === 1 ? samples[0] : samples, drawing.samplesPerPrompt],
  ];
  const differing = compared.filter(([, stored, wanted]) => !isDeepStrictEqual(stored, wanted));
  if (differing.length === 0) return;
  const told = differing.map(([what, stored, wanted]) => {
    return `${what} ${JSON.stringify(wanted)}, got ${JSON.stringify(stored)}`;
  });
  throw new ValueError(`store: of generator '${name}', expected ${told.join('; ')}`, 'store');
}
