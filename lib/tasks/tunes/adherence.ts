import { retrievalAt1 } from '../../embedders/retrieval.ts';
import { TwoTower } from '../../embedders/two-tower.ts';
import { TwoTowerTrainer } from '../../embedders/two-tower-trainer.ts';
import { ValueError } from '../../errors.ts';
import { SequenceEncoder } from '../../models/sequence-encoder.ts';
import type { Placement } from '../../models/transformer-lm.ts';
import { cutOf, musicOf, tunesOf } from './music.ts';
import { withoutTonic } from './prompt.ts';
import { contrastiveOptimizer, type EncoderRecipe, TUNE_RECIPE, type TuneAdherenceRecipe } from './recipe.ts';
import type { Retrieval } from './retrieval.ts';
import type { TuneRow, TuneTask } from './task.ts';

/** What the text tower reads of a prompt: its words, but for the tonic, which cannot be heard in the common key. */
export function adherenceText(task: TuneTask, text: string): Int32Array {
  return task.encodePrompt(withoutTonic(text));
}

/**
 * A trainer of the two towers that measure adherence: contrastive between a training tune's prompt without its tonic and a
 * stretch of the tune of random length, most often its begin, as generations are.
 *
 * @throws ValueError for fewer than two training tunes, or a recipe that does not fit
 */
export function tuneAdherenceTrainer(
  task: TuneTask,
  recipe: TuneAdherenceRecipe = TUNE_RECIPE.adherence,
  placement: Placement = {},
): TwoTowerTrainer {
  const { dimensions, dropout, batchSize, temperature } = recipe;
  const tower = ({ depth, width, heads, feedForwardWidth }: EncoderShape, size: number, seed: number) =>
    new SequenceEncoder(
      {
        ...{ vocabularySize: size, depth, width, heads, feedForwardWidth, dimensions, dropout },
        positions: 'rotary',
        maxPositions: task.maxTokens,
      },
      { ...placement, seed },
    );
  const towers = new TwoTower({
    text: tower(recipe.text, task.vocabularySize, 2 * task.seed),
    music: tower(recipe, task.answerTokens, 2 * task.seed + 1),
  });
  const items = tunesOf(task.trainingRows).map(({ text, tokens }) => ({
    text: adherenceText(task, text),
    music: musicOf(task, tokens),
  }));
  return new TwoTowerTrainer({
    towers,
    items: items.length,
    pair: (item, random) => {
      const { text, music } = items[item] as (typeof items)[number];
      return [text, cutOf(music, recipe, random)];
    },
    batchSize: Math.min(batchSize, items.length),
    temperature,
    seed: task.seed,
    optimizer: contrastiveOptimizer(recipe),
  });
}

type EncoderShape = Pick<EncoderRecipe, 'depth' | 'width' | 'heads' | 'feedForwardWidth'>;

/**
 * How well the towers know what a tune is: retrieval@1 of a held-out tune's own prompt, without its tonic, among the
 * distinct ones of all held-out tunes. Prompts of one type, metre and mode that differ in pace alone are hardly to be told
 * apart, so that 1 cannot be reached.
 *
 * @throws ValueError where no tune is held out, the signal's reason when it aborts
 */
export async function tuneAdherenceRetrieval(
  task: TuneTask,
  towers: TwoTower,
  signal?: AbortSignal,
): Promise<Retrieval> {
  const tunes = tunesOf(task.heldOutRows);
  if (tunes.length === 0) throw new ValueError('task: expected tunes that are held out, got none', 'task');
  const text = (row: TuneRow): string => withoutTonic(row.text);
  const texts = [...new Set(tunes.map(text))];
  const candidates = await towers.embedText(
    texts.map((words) => adherenceText(task, words)),
    signal,
  );
  const queries = await towers.embedMusic(
    tunes.map(({ tokens }) => musicOf(task, tokens)),
    signal,
  );
  const own = tunes.map((row) => texts.indexOf(text(row)));
  return { retrievalAt1: retrievalAt1(queries, candidates, towers.dimensions, own), candidates: texts.length };
}
