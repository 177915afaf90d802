import { ValueError } from '../errors.ts';
import type { SequenceEncoder } from '../models/sequence-encoder.ts';
import { packTokens } from '../models/token-batch.ts';
import { native } from '../native.ts';
import { Random } from '../random.ts';
import { Tape } from '../tensor/autograd.ts';
import { l2Normalize, matmul, scale } from '../tensor/operations.ts';
import { scope } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';
import { Epochs } from '../training/epochs.ts';
import { Exclusive } from '../training/exclusive.ts';
import { Optimizer, type OptimizerOptions } from '../training/optimizer.ts';
import { learningRateAt } from '../training/schedule.ts';
import { loadTraining, restoreTraining, saveTraining } from '../training/training-file.ts';

/** Two token sequences that should be close: two chunks of one piece, or two views of one item. */
export type PositivePair = readonly [Int32Array, Int32Array];

export interface ContrastiveTrainerOptions {
  /** Trained in place. */
  encoder: SequenceEncoder;
  /** How many distinct items there are; those of one batch are each other's negatives. */
  items: number;
  /** Draws a positive pair of an item; all randomness must come from `random`. */
  pair: (item: number, random: Random) => PositivePair;
  optimizer: OptimizerOptions;
  /** Items per step, at least 2. Default 128, at most all items. */
  batchSize?: number;
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

/**
 * Trains an encoder by symmetric InfoNCE (van den Oord, Li, Vinyals, 2018; symmetric as in Radford et al., 2021): with
 * unit embeddings a_i, b_i of the two sides and s_ij = a_i · b_j / temperature, the mean of the cross-entropies of
 * softmax_j(s_ij) and softmax_j(s_ji) at j = i.
 */
export class ContrastiveTrainer {
  readonly options: Required<ContrastiveTrainerOptions>;
  readonly #optimizer: Optimizer;
  readonly #exclusive = new Exclusive();
  readonly #epochs: Epochs;

  /** @throws ValueError naming the first option that is wrong */
  constructor(options: ContrastiveTrainerOptions) {
    const { items, temperature = 0.1, seed = 0 } = options;
    const batchSize = options.batchSize ?? Math.min(128, items);
    if (!(Number.isInteger(batchSize) && batchSize >= 2 && batchSize <= items)) {
      throw new ValueError(`batchSize: expected an integer from 2 to items = ${items}, got ${batchSize}`, 'batchSize');
    }
    if (!(temperature > 0 && Number.isFinite(temperature))) {
      throw new ValueError(`temperature: expected a positive number, got ${temperature}`, 'temperature');
    }
    this.options = { ...options, batchSize, temperature, seed };
    this.#optimizer = new Optimizer(options.encoder.parameters(), options.optimizer);
    this.#epochs = new Epochs(items, seed);
  }

  /** Updates made so far. */
  get step(): number {
    return this.#optimizer.steps;
  }

  /**
   * Trains for some steps and reports each.
   *
   * @throws (on iteration) the signal's reason when it aborts, ValueError for a gradient that is not finite
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
      yield await this.#exclusive.run(() => this.#step());
    }
  }

  async #step(): Promise<ContrastiveMetrics> {
    const { pair, batchSize, items, seed } = this.options;
    const random = new Random(seed).fork('pairs').fork(this.step);
    // Whole batches per epoch, so that no item meets itself as its own negative.
    const perEpoch = Math.floor(items / batchSize);
    const first = Math.floor(this.step / perEpoch) * items + (this.step % perEpoch) * batchSize;
    const pairs = this.#epochs.take(first, batchSize).map((item) => pair(item, random));
    let value: number | undefined;
    try {
      using loss = this.#backward(pairs, random.word());
      [value] = await loss.read();
    } catch (error) {
      this.#optimizer.zeroGradients();
      throw error;
    }
    const gradientNorm = await this.#optimizer.apply();
    const learningRate = learningRateAt(this.step, this.options.optimizer);
    return { step: this.step, loss: value as number, gradientNorm, learningRate };
  }

  #backward(pairs: readonly PositivePair[], dropoutSeed: number): Tensor {
    const { encoder, temperature } = this.options;
    const count = pairs.length;
    return scope(() => {
      const tape = new Tape(this.#optimizer.watched);
      const sides = [0, 1].map((side) => {
        const sequences = pairs.map((pair) => pair[side] as Int32Array);
        const batch = packTokens(sequences, { vocabularySize: encoder.vocabularySize, argument: 'pair' });
        return { ...batch, dropoutSeed: dropoutSeed + side };
      });
      const scores = tape.record(() => {
        const [a, b] = sides.map((batch) => l2Normalize(encoder.forward(batch))) as [Tensor, Tensor];
        return [
          scale(matmul(a, b, { transposeB: true }), 1 / temperature),
          scale(matmul(b, a, { transposeB: true }), 1 / temperature),
        ];
      });
      const targets = Tensor.from(
        new Int32Array(count).map((_, i) => i),
        [count],
        encoder.device,
      );
      const losses = scores.map((logits) => {
        const [loss, perRow, gradient] = native.crossEntropy(logits.handle, targets.handle, null, 0.5 / count);
        new Tensor(perRow, 'float32');
        return { logits, loss: new Tensor(loss, 'float32'), gradient: new Tensor(gradient, 'float32') };
      });
      this.#optimizer.accumulate(tape.backward(losses.map(({ logits, gradient }) => [logits, gradient] as const)));
      const [forward, backward] = losses.map(({ loss }) => loss) as [Tensor, Tensor];
      return new Tensor(native.add(forward.handle, backward.handle), 'float32');
    });
  }

  /** Writes the training state to one file, atomically. */
  save(path: string): Promise<void> {
    const { optimizer, batchSize, temperature, seed } = this.options;
    const options = { optimizer, batchSize, temperature, seed };
    return saveTraining(path, { kind: KIND, options }, this.options.encoder.parameters(), this.#optimizer);
  }

  /** A trainer that goes on where `save` left off, bit for bit, with the encoder and the items given again. */
  static async resume(
    path: string,
    given: Pick<ContrastiveTrainerOptions, 'encoder' | 'items' | 'pair'> & Partial<ContrastiveTrainerOptions>,
  ): Promise<ContrastiveTrainer> {
    const file = await loadTraining(path, KIND);
    const trainer = new ContrastiveTrainer({ ...(file.options as ContrastiveTrainerOptions), ...given });
    restoreTraining(file, path, given.encoder.parameters(), trainer.#optimizer);
    return trainer;
  }

  /** Frees the optimiser's state. The encoder stays. */
  dispose(): void {
    this.#optimizer.dispose();
  }
}
