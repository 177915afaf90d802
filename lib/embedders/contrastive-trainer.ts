import { ValueError } from '../errors.ts';
import type { Encoder } from '../models/pooled-encoder.ts';
import type { SequenceEncoder } from '../models/sequence-encoder.ts';
import { Random } from '../random.ts';
import { Epochs } from '../training/epochs.ts';
import { Exclusive } from '../training/exclusive.ts';
import { Optimizer, type OptimizerOptions } from '../training/optimizer.ts';
import { learningRateAt } from '../training/schedule.ts';
import { loadTraining, restoreTraining, saveTraining } from '../training/training-file.ts';
import { Turns } from '../turns.ts';
import { cachedPass, type PositivePair, wholePass } from './contrastive-pass.ts';

export type { PositivePair } from './contrastive-pass.ts';

/** What an encoder encodes: token sequences, sequences of patches. */
export type ItemOf<E> = E extends Encoder<infer Item> ? Item : never;

export interface ContrastiveTrainerOptions<E extends Encoder<never> = SequenceEncoder> {
  /** Trained in place. */
  encoder: E;
  /** How many distinct items there are; those of one batch are each other's negatives. */
  items: number;
  /** Draws a positive pair of an item; all randomness must come from `random`. One is asked for at a time. */
  pair: (item: number, random: Random) => PositivePair<ItemOf<E>> | Promise<PositivePair<ItemOf<E>>>;
  optimizer: OptimizerOptions;
  /** Items per step, at least 2. Default 128, at most all items. */
  batchSize?: number;
  /**
   * Items per forward and backward pass. Fewer than the batch bound the memory by gradient caching, which encodes every
   * item twice and changes nothing but rounding, and which dropout masks are drawn. Default: all.
   */
  rowsPerMicrobatch?: number;
  /** Divides the cosines. Default 0.1. */
  temperature?: number;
  /** Integer of [0, 2^53). Default 0. */
  seed?: number;
}

export interface ContrastiveMetrics {
  /** Updates made so far. */
  step: number;
  /** Symmetric InfoNCE, nats. */
  loss: number;
  gradientNorm: number;
  learningRate: number;
}

const KIND = 'ContrastiveTrainer';

/** Trains an encoder by symmetric InfoNCE between the two sides of positive pairs. */
export class ContrastiveTrainer<E extends Encoder<never> = SequenceEncoder> {
  readonly options: Required<ContrastiveTrainerOptions<E>>;
  readonly #optimizer: Optimizer;
  readonly #exclusive = new Exclusive();
  readonly #epochs: Epochs;

  /** @throws ValueError naming the first option that is wrong */
  constructor(options: ContrastiveTrainerOptions<E>) {
    const { items, temperature = 0.1, seed = 0 } = options;
    const batchSize = options.batchSize ?? Math.min(128, items);
    const rowsPerMicrobatch = options.rowsPerMicrobatch ?? batchSize;
    if (!(Number.isInteger(batchSize) && batchSize >= 2 && batchSize <= items)) {
      throw new ValueError(`batchSize: expected an integer from 2 to items = ${items}, got ${batchSize}`, 'batchSize');
    }
    if (!(Number.isInteger(rowsPerMicrobatch) && rowsPerMicrobatch >= 1)) {
      throw new ValueError(
        `rowsPerMicrobatch: expected an integer of at least 1, got ${rowsPerMicrobatch}`,
        'rowsPerMicrobatch',
      );
    }
    if (!(temperature > 0 && Number.isFinite(temperature))) {
      throw new ValueError(`temperature: expected a positive number, got ${temperature}`, 'temperature');
    }
    this.options = { ...options, batchSize, rowsPerMicrobatch, temperature, seed };
    this.#optimizer = new Optimizer(options.encoder.parameters(), options.optimizer);
    this.#epochs = new Epochs(items, seed);
  }

  /** Updates made so far. */
  get step(): number {
    return this.#optimizer.steps;
  }

  /**
   * Trains for some steps and reports each. Stopping leaves the trainer at its last whole step.
   *
   * @throws (on iteration) the signal's reason when it aborts, what `pair` throws, ValueError for a gradient that is not
   *   finite
   */
  async *run({
    steps,
    signal,
  }: {
    steps: number;
    signal?: AbortSignal | undefined;
  }): AsyncGenerator<ContrastiveMetrics, void, void> {
    if (!(Number.isInteger(steps) && steps >= 0)) {
      throw new ValueError(`steps: expected an integer of at least 0, got ${steps}`, 'steps');
    }
    for (const last = this.step + steps; this.step < last; ) {
      signal?.throwIfAborted();
      yield await this.#exclusive.run(() => this.#step(signal));
    }
  }

  async #step(signal: AbortSignal | undefined): Promise<ContrastiveMetrics> {
    const { temperature, batchSize, rowsPerMicrobatch: rows, seed } = this.options;
    const encoder = this.options.encoder as Encoder<ItemOf<E>>;
    const random = new Random(seed).fork('pairs').fork(this.step);
    const pairs = await this.#pairs(random, signal);
    const pass = { encoder, optimizer: this.#optimizer, temperature };
    let loss: number;
    try {
      loss = await (rows < batchSize
        ? cachedPass(pass, pairs, random, { rows, signal })
        : wholePass(pass, pairs, random));
    } catch (error) {
      this.#optimizer.zeroGradients();
      throw error;
    }
    const gradientNorm = await this.#optimizer.apply();
    const learningRate = learningRateAt(this.step, this.options.optimizer);
    return { step: this.step, loss, gradientNorm, learningRate };
  }

  async #pairs(random: Random, signal: AbortSignal | undefined): Promise<PositivePair<ItemOf<E>>[]> {
    const { pair, batchSize, items } = this.options;
    // Whole batches per epoch, so that no item meets itself as its own negative.
    const perEpoch = Math.floor(items / batchSize);
    const first = Math.floor(this.step / perEpoch) * items + (this.step % perEpoch) * batchSize;
    const pairs: PositivePair<ItemOf<E>>[] = [];
    const turns = new Turns();
    for (const item of this.#epochs.take(first, batchSize)) {
      signal?.throwIfAborted();
      pairs.push(await pair(item, random));
      await turns.pause();
    }
    return pairs;
  }

  /** Writes the training state to one file, atomically. */
  save(path: string): Promise<void> {
    const { optimizer, batchSize, rowsPerMicrobatch, temperature, seed } = this.options;
    const options = { optimizer, batchSize, rowsPerMicrobatch, temperature, seed };
    return saveTraining(path, { kind: KIND, options }, this.options.encoder.parameters(), this.#optimizer);
  }

  /** A trainer that goes on where `save` left off, bit for bit, with the encoder and the items given again. */
  static async resume<E extends Encoder<never> = SequenceEncoder>(
    path: string,
    given: Pick<ContrastiveTrainerOptions<E>, 'encoder' | 'items' | 'pair'> & Partial<ContrastiveTrainerOptions<E>>,
  ): Promise<ContrastiveTrainer<E>> {
    const file = await loadTraining(path, KIND);
    const trainer = new ContrastiveTrainer<E>({ ...(file.options as ContrastiveTrainerOptions<E>), ...given });
    restoreTraining(file, path, given.encoder.parameters(), trainer.#optimizer);
    return trainer;
  }

  /** Frees the optimiser's state. The encoder stays. */
  dispose(): void {
    this.#optimizer.dispose();
  }
}
