import { retrievalAt1 } from '../../embedders/retrieval.ts';
import type { TwoTower } from '../../embedders/two-tower.ts';
import type { Judge } from '../../evaluation/judge.ts';
import { adherenceText } from './adherence.ts';
import { checkTune, type TuneChecks } from './checks.ts';
import { type Copying, Corpus } from './copying.ts';
import { musicOf, tunesOf } from './music.ts';
import { askedFor } from './prompt.ts';
import type { TuneTask } from './task.ts';
import type { Bar, Note } from './tune.ts';
import { STOP_TOKEN } from './vocabulary.ts';

/** The least share of notes in the key's scale of a tune that counts as valid. */
export const VALID_IN_SCALE = 0.9;
/** The fewest sounding notes of a tune that counts as valid: shorter ones satisfy every check by saying nothing. */
export const VALID_NOTES = 16;

/** What the tunes' quality is called, and what it means. */
export const TUNE_QUALITY = {
  name: 'adherence',
  meaning:
    'cosine of the embeddings of the prompt, its tonic taken out, and of the tune, in two towers trained by contrast',
} as const;

/** The largest loss of adherence, a cosine, that still counts as none: about a quarter of what guidance gained in a trial. */
export const EQUAL_ADHERENCE = 0.01;

/** What the figures of `tuneJudge`'s `measures` mean. */
export const TUNE_MEASURES: Readonly<Record<string, string>> = {
  promptFound: 'share of tunes whose own prompt is, by adherence, the nearest of all that models were judged on',
  fullBars: 'share of bars that last exactly as long as the prompt’s metre says',
  inScale: 'share of notes in the scale of the key',
  range: 'semitones from the lowest note to the highest',
  repetition: 'share of bars that are the same as an earlier one',
  longestShared: 'notes and bar lines of the longest stretch that stands in a training tune, too',
  copied8grams: 'share of stretches of 8 notes and bar lines that stand in a training tune, too',
  length: 'notes and bar lines',
};

/**
 * What the evaluation asks of the tunes.
 *
 * - quality: how well a generation does what its prompt asks for, the cosine of the two towers.
 * - valid: every bar full in the prompt's metre (where it names one), at least 90 % of the notes in the scale, and at least
 *   16 notes. Of a generation that was cut at the most tokens, what follows the last bar line is not counted.
 * - identity: its notes and bar lines.
 * - measures: see {@link TUNE_MEASURES}; copying is measured against the training tunes.
 *
 * The distance is that of an independent embedder, which the evaluation is to be given.
 *
 * @param prompts the evaluated prompts, in their order
 */
export function tuneJudge(task: TuneTask, prompts: readonly string[], towers: TwoTower): Judge {
  const asked = prompts.map((text) => ({ text: adherenceText(task, text), meter: askedFor(text).meter ?? '' }));
  const promptOf = (prompt: number) => asked[prompt] as (typeof asked)[number];
  const texts = new Map(asked.map(({ text }) => [text.join(), text]));
  const keys = [...texts.keys()];
  let candidates: Promise<Float32Array> | null = null;
  const promptFound = async (prompt: number, generations: readonly Int32Array[], signal?: AbortSignal) => {
    candidates ??= towers.embedText([...texts.values()]);
    const embedded = await candidates;
    const width = towers.dimensions;
    const music = await towers.embedMusic(
      generations.map((tokens) => musicOf(task, tokens)),
      signal,
    );
    const own = [keys.indexOf(promptOf(prompt).text.join())];
    return Float64Array.from(generations, (_, i) =>
      retrievalAt1(music.subarray(i * width, (i + 1) * width), embedded, width, own),
    );
  };
  let corpus: Corpus | null = null;
  const copyingOf = (tokens: Int32Array): Copying => {
    corpus ??= new Corpus(tunesOf(task.trainingRows).map((row) => musicOf(task, row.tokens)));
    return corpus.copying(musicOf(task, tokens));
  };
  return {
    quality: (prompt, generations, signal) => {
      const { text } = promptOf(prompt);
      const music = generations.map((tokens) => musicOf(task, tokens));
      return towers.score(
        generations.map(() => text),
        music,
        signal,
      );
    },
    valid: (prompt, tokens) => isValidTune(task, tokens, promptOf(prompt).meter),
    identity: (_, tokens) => musicOf(task, tokens).join(' '),
    measures: async (prompt, generations, signal) => {
      const checks = generations.map((tokens) => checkGeneration(task, tokens, promptOf(prompt).meter));
      const copying = generations.map(copyingOf);
      const check = (name: keyof TuneChecks): Float64Array => Float64Array.from(checks, (found) => found[name]);
      return {
        promptFound: await promptFound(prompt, generations, signal),
        fullBars: check('fullBars'),
        inScale: check('inScale'),
        range: check('range'),
        repetition: check('repetition'),
        longestShared: Float64Array.from(copying, ({ longestShared }) => longestShared),
        copied8grams: Float64Array.from(copying, ({ copiedNgrams }) => copiedNgrams),
        length: Float64Array.from(generations, (tokens) => task.vocabulary.decode(tokens).length),
      };
    },
  };
}

/** What says which tokens are notes and bar lines. */
type Speaking = Pick<TuneTask, 'vocabulary'>;

/** {@link checkTune} of a generation. What follows its last bar line is not counted where it was cut at the most tokens. */
export function checkGeneration(task: Speaking, tokens: Int32Array, meter: string): TuneChecks {
  return checkTune(wholeBars(task, tokens), meter);
}

/** Whether a generation is valid, as {@link tuneJudge} has it. @param meter '' where its prompt names none */
export function isValidTune(task: Speaking, tokens: Int32Array, meter: string): boolean {
  const { fullBars, inScale } = checkGeneration(task, tokens, meter);
  return notesOf(task, tokens) >= VALID_NOTES && inScale >= VALID_IN_SCALE && (meter === '' || fullBars === 1);
}

function notesOf(task: Speaking, tokens: Int32Array): number {
  return task.vocabulary.decode(tokens).filter((e) => e.kind === 'note' && e.pitch !== null).length;
}

/** A generation's elements, without the bar that was not finished when it was cut. */
function wholeBars(task: Speaking, tokens: Int32Array): readonly (Note | Bar)[] {
  const elements = task.vocabulary.decode(tokens);
  if (tokens.includes(STOP_TOKEN)) return elements;
  return elements.slice(0, elements.findLastIndex(({ kind }) => kind === 'bar') + 1);
}
