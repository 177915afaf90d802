import type { Encoder } from '../models/pooled-encoder.ts';
import type { SequenceEncoder } from '../models/sequence-encoder.ts';
import type { Random } from '../random.ts';
import { loadTraining } from '../training/training-file.ts';
import type { PositivePair } from './contrastive-pass.ts';
import { type ContrastiveMetrics, type ContrastiveSettings, ContrastiveSteps } from './contrastive-steps.ts';

export type { PositivePair } from './contrastive-pass.ts';
export type { ContrastiveMetrics, ContrastiveSettings } from './contrastive-steps.ts';

/** What an encoder encodes: token sequences, sequences of patches. */
export type ItemOf<E> = E extends Encoder<infer Item> ? Item : never;

export interface ContrastiveTrainerOptions<E extends Encoder<never> = SequenceEncoder> extends ContrastiveSettings {
  /** Trained in place. */
  encoder: E;
  /** How many distinct items there are; those of one batch are each other's negatives. */
  items: number;
  /** Draws a positive pair of an item; all randomness must come from `random`. One is asked for at a time. */
  pair: (item: number, random: Random) => PositivePair<ItemOf<E>> | Promise<PositivePair<ItemOf<E>>>;
}

const KIND = 'ContrastiveTrainer';

/** Trains an encoder by symmetric InfoNCE between the two sides of positive pairs. */
export class ContrastiveTrainer<E extends Encoder<never> = SequenceEncoder> {
  readonly options: Required<ContrastiveTrainerOptions<E>>;
  readonly #steps: ContrastiveSteps<ItemOf<E>, ItemOf<E>>;

  /** @throws ValueError naming the first option that is wrong */
  constructor(options: ContrastiveTrainerOptions<E>) {
    const { encoder: given, items, pair } = options;
    const encoder = given as Encoder<ItemOf<E>>;
    const source = { encoders: [encoder, encoder] as const, parameters: encoder.parameters(), items, pair };
    this.#steps = new ContrastiveSteps(source, options);
    this.options = { ...options, ...this.#steps.settings };
  }

  /** Updates made so far. */
  get step(): number {
    return this.#steps.step;
  }

  /**
   * Trains for some steps and reports each. Stopping leaves the trainer at its last whole step.
   *
   * @throws (on iteration) the signal's reason when it aborts, what `pair` throws, ValueError for a gradient that is not
   *   finite
   */
  run(options: { steps: number; signal?: AbortSignal | undefined }): AsyncGenerator<ContrastiveMetrics, void, void> {
    return this.#steps.run(options);
  }

  /** Writes the training state to one file, atomically. */
  save(path: string): Promise<void> {
    return this.#steps.save(path, KIND);
  }

  /** A trainer that goes on where `save` left off, bit for bit, with the encoder and the items given again. */
  static async resume<E extends Encoder<never> = SequenceEncoder>(
    path: string,
    given: Pick<ContrastiveTrainerOptions<E>, 'encoder' | 'items' | 'pair'> & Partial<ContrastiveTrainerOptions<E>>,
  ): Promise<ContrastiveTrainer<E>> {
    const file = await loadTraining(path, KIND);
    const trainer = new ContrastiveTrainer<E>({ ...(file.options as ContrastiveSettings), ...given });
    trainer.#steps.restore(file, path);
    return trainer;
  }

  /** Frees the optimiser's state. The encoder stays. */
  dispose(): void {
    this.#steps.dispose();
  }
}
