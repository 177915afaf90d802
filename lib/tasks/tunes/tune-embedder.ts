import { ContrastiveTrainer } from '../../embedders/contrastive-trainer.ts';
import { type Embedder, EncoderEmbedder } from '../../embedders/embedder.ts';
import { SequenceEncoder } from '../../models/sequence-encoder.ts';
import type { Placement } from '../../models/transformer-lm.ts';
import { musicOf, tunesOf, twoStretches } from './music.ts';
import { contrastiveOptimizer, TUNE_RECIPE, type TuneEmbedderRecipe } from './recipe.ts';
import type { TuneTask } from './task.ts';

/**
 * A trainer of the symbolic embedder: a bidirectional transformer over joint tokens, contrastive between two stretches of
 * one tune that do not overlap. Their lengths are drawn each for itself, so that what is close does not hang on length.
 *
 * @throws ValueError for fewer than two training tunes of two tokens or more, or a recipe that does not fit
 */
export function tuneEmbedderTrainer(
  task: TuneTask,
  recipe: TuneEmbedderRecipe = TUNE_RECIPE.embedder,
  placement: Placement = {},
): ContrastiveTrainer {
  const { depth, width, heads, feedForwardWidth, dimensions, dropout, batchSize } = recipe;
  const tunes = tunesOf(task.trainingRows)
    .map(({ tokens }) => musicOf(task, tokens))
    .filter(({ length }) => length >= 2);
  const encoder = new SequenceEncoder(
    {
      vocabularySize: task.answerTokens,
      depth,
      width,
      heads,
      feedForwardWidth,
      dimensions,
      dropout,
      positions: 'rotary',
      maxPositions: task.maxTokens,
    },
    { ...placement, seed: task.seed },
  );
  return new ContrastiveTrainer({
    encoder,
    items: tunes.length,
    pair: (item, random) => twoStretches(tunes[item] as Int32Array, recipe, random),
    batchSize: Math.min(batchSize, tunes.length),
    temperature: recipe.temperature,
    seed: task.seed,
    optimizer: contrastiveOptimizer(recipe),
  });
}

/** The symbolic embedder of generations: of any tokens, words and what follows the stop token left out. */
export class TuneEmbedder implements Embedder {
  readonly #embedder: EncoderEmbedder;
  readonly #task: TuneTask;

  constructor(task: TuneTask, encoder: SequenceEncoder) {
    this.#task = task;
    this.#embedder = new EncoderEmbedder(encoder);
  }

  get dimensions(): number {
    return this.#embedder.dimensions;
  }

  /** @throws the signal's reason when it aborts */
  embed(generations: readonly Int32Array[], signal?: AbortSignal): Promise<Float32Array> {
    return this.#embedder.embed(
      generations.map((tokens) => musicOf(this.#task, tokens)),
      signal,
    );
  }
}
