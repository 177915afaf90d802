import { SequenceEncoder, TwoTower } from 'cfgdistill';
import {
  adherenceText,
  Corpus,
  QUICK_TUNE_RECIPE,
  STOP_TOKEN,
  TUNE_MEASURES,
  tuneAdherenceRetrieval,
  tuneAdherenceTrainer,
  tuneJudge,
  withoutTonic,
} from 'cfgdistill/tasks/tunes';
import { describe, expect, it } from 'vitest';
import { musicOf, tunesOf } from '../../lib/tasks/tunes/music.ts';
import { collect } from '../support/golden.ts';
import { madeTask } from './models.ts';
import { elementsOf } from './scene.ts';

const task = madeTask();
const recipe = { ...QUICK_TUNE_RECIPE.adherence, steps: 120, shortest: 16, longest: 48 };

describe('withoutTonic', () => {
  it.each([
    ['a slow air in 3/4, D major', 'a slow air in 3/4, major'],
    ['a jig in 6/8, F# minor', 'a jig in 6/8, minor'],
    ['A reel, bb Dorian.', 'A reel, Dorian.'],
    ['a jig in 6/8', 'a jig in 6/8'],
    ['a majority of bb minors', 'a majority of bb minors'],
    ['G major then A minor', 'major then A minor'],
    ['', ''],
  ])('%j is %j', (text, expected) => {
    expect(withoutTonic(text)).toBe(expected);
  });
});

describe('adherence', () => {
  it('reads a prompt without its tonic', () => {
    const text = (key: string) => adherenceText(task, `a jig in 6/8, ${key} major`);
    expect(text('D')).toEqual(text('G'));
    expect(task.vocabulary.words.decode(text('D'))).toBe('a jig in 6/8 major');
  });

  it('learns to find the prompt of held-out tunes', async () => {
    const trainer = tuneAdherenceTrainer(task, recipe);
    const { towers } = trainer.options;
    const steps = await collect(trainer.run({ steps: recipe.steps }));
    // Two prompts are all there are, so that each row has the other prompt's music as its negatives.
    expect(steps.at(-1)!.loss).toBeLessThan(0.5 * steps[0]!.loss);
    const { retrievalAt1, candidates } = await tuneAdherenceRetrieval(task, towers);
    expect(candidates).toBe(2);
    expect(retrievalAt1).toBeGreaterThan(0.8);
    trainer.dispose();
  });

  it('says 0 where every prompt is as near', async () => {
    const one = (vocabularySize: number) =>
      new SequenceEncoder({ vocabularySize, depth: 1, width: 4, heads: 1, maxPositions: 64 }, { seed: 1 });
    const towers = new TwoTower({ text: one(task.vocabularySize), music: one(task.answerTokens) });
    const projection = towers.parameters().find(({ name }) => name === 'text.projection.weight')!;
    projection.tensor.write(new Float32Array(16));
    expect(await tuneAdherenceRetrieval(task, towers)).toEqual({ retrievalAt1: 0, candidates: 2 });
  });
});

describe('tuneJudge', () => {
  const { towers } = tuneAdherenceTrainer(task, recipe).options;
  const prompts = ['a jig in 6/8, D major', 'a reel in 4/4, C major', 'a tune'];
  const judge = tuneJudge(task, prompts, towers);
  const rows = tunesOf(task.trainingRows);
  const jig = rows.find(({ text }) => text.includes('jig'))!.tokens;
  const held = tunesOf(task.heldOutRows).map(({ tokens }) => tokens);

  it('takes the cosine of prompt and tune as the quality, in one batch', async () => {
    const quality = await judge.quality(0, held);
    const text = adherenceText(task, prompts[0]!);
    const expected = await towers.score(
      held.map(() => text),
      held.map((tokens) => musicOf(task, tokens)),
    );
    expect(quality).toEqual(expected);
    const aborted = AbortSignal.abort(new Error('enough'));
    await expect(Promise.resolve(judge.quality(0, held, aborted))).rejects.toThrow('enough');
  });

  it('calls valid what has full bars, notes of the scale and some length', () => {
    expect(jig.at(-1)).toBe(STOP_TOKEN);
    expect(judge.valid(0, jig)).toBe(true);
    expect(judge.valid(1, jig)).toBe(false); // bars of 6/8 are not full in 4/4
    expect(judge.valid(2, jig)).toBe(true); // no metre was asked for
    expect(judge.valid(0, Int32Array.of(...jig.subarray(0, 10), STOP_TOKEN))).toBe(false); // says little
    // A bar that was cut off at the most tokens is not held against it, one that the model ended is.
    const cut = jig.slice(0, 33);
    expect(judge.valid(0, cut)).toBe(true);
    expect(judge.valid(0, Int32Array.of(...cut, STOP_TOKEN))).toBe(false);
    expect(judge.valid(0, new Int32Array(0))).toBe(false);
  });

  it('holds notes outside the scale against it from a tenth on', () => {
    const outside = task.vocabulary.elements.findIndex((e) => e.kind === 'note' && e.pitch === 61);
    expect(outside).toBe(-1); // the tunes made here have none
    const black = madeTask();
    const elements = (wrong: number) =>
      elementsOf(Array.from({ length: 20 }, (_, i) => `${i < wrong ? 61 : 60}:48${i % 2 ? ' |' : ''}`).join(' '));
    const vocabulary = Object.assign(Object.create(Object.getPrototypeOf(black.vocabulary)), black.vocabulary);
    for (const [wrong, valid] of [
      [0, true],
      [2, true],
      [3, false],
    ] as const) {
      vocabulary.decode = () => elements(wrong);
      const other = Object.create(black, { vocabulary: { value: vocabulary } });
      expect(tuneJudge(other, ['a reel in 4/4'], towers).valid(0, jig), String(wrong)).toBe(valid);
    }
  });

  it('identifies generations by their notes and bar lines', () => {
    const word = task.vocabulary.words.encode('jig')[0]!;
    const same = Int32Array.of(word, ...jig, 5, 6);
    expect(judge.identity(0, same)).toBe(judge.identity(0, jig));
    expect(judge.identity(0, jig.subarray(0, 9))).not.toBe(judge.identity(0, jig));
  });

  it('measures what it says it measures; what is copied from the training tunes shows', async () => {
    const reversed = musicOf(task, jig).slice().reverse();
    const measures = await judge.measures!(0, [jig, reversed]);
    expect(Object.keys(measures).sort()).toEqual(Object.keys(TUNE_MEASURES).sort());
    const music = musicOf(task, jig);
    expect(measures.length![0]).toBe(music.length);
    expect(measures.longestShared![0]).toBe(music.length);
    expect(measures.copied8grams![0]).toBe(1);
    expect([measures.fullBars![0], measures.inScale![0]]).toEqual([1, 1]);
    const corpus = new Corpus(rows.map(({ tokens }) => musicOf(task, tokens)));
    const { longestShared, copiedNgrams } = corpus.copying(reversed);
    expect(measures.longestShared![1]).toBe(longestShared);
    expect(measures.copied8grams![1]).toBe(copiedNgrams);
    expect(longestShared).toBeLessThan(music.length);
    for (const values of Object.values(measures)) expect(values.length).toBe(2);
  });

  it('says a prompt is found where no other has a higher cosine', async () => {
    const texts = prompts.map((text) => adherenceText(task, text));
    for (const [prompt] of prompts.entries()) {
      const { promptFound } = await judge.measures!(prompt, held);
      const scores = await Promise.all(
        texts.map((text) =>
          towers.score(
            held.map(() => text),
            held.map((tokens) => musicOf(task, tokens)),
          ),
        ),
      );
      const expected = held.map((_, i) =>
        scores.every((own, p) => p === prompt || own[i]! < scores[prompt]![i]!) ? 1 : 0,
      );
      expect(Array.from(promptFound!)).toEqual(expected);
    }
  });
});
