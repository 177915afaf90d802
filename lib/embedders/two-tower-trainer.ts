import type { Random } from '../random.ts';
import { loadTraining } from '../training/training-file.ts';
import type { PositivePair } from './contrastive-pass.ts';
import { type ContrastiveMetrics, type ContrastiveSettings, ContrastiveSteps } from './contrastive-steps.ts';
import type { TwoTower } from './two-tower.ts';

export interface TwoTowerTrainerOptions extends ContrastiveSettings {
  /** Trained in place. */
  towers: TwoTower;
  /** How many items there are. */
  items: number;
  /** Draws a text and what it describes of an item; all randomness must come from `random`. One is asked for at a time. */
  pair: (item: number, random: Random) => PositivePair | Promise<PositivePair>;
}

const KIND = 'TwoTowerTrainer';

/**
 * Trains two towers by symmetric InfoNCE between texts and what they describe. Many items share a text, and what one of
 * them is would not be wrong for another: pairs of equal texts in a batch are no negatives of each other. With
 * s_ij = cos(text_i, music_j) / temperature and N(i) the pairs of other texts than text_i, the loss is the mean over i of
 * −½ log [exp(s_ii) / (exp(s_ii) + Σ_{j ∈ N(i)} exp(s_ij))] − ½ log [exp(s_ii) / (exp(s_ii) + Σ_{j ∈ N(i)} exp(s_ji))].
 */
export class TwoTowerTrainer {
  readonly options: Required<TwoTowerTrainerOptions>;
  readonly #steps: ContrastiveSteps<Int32Array, Int32Array>;

  /** @throws ValueError naming the first option that is wrong */
  constructor(options: TwoTowerTrainerOptions) {
    const { towers, items, pair } = options;
    const encoders = [towers.text, towers.music] as const;
    const group = ([text]: PositivePair): string => text.join();
    this.#steps = new ContrastiveSteps({ encoders, parameters: towers.parameters(), items, pair, group }, options);
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

  /** A trainer that goes on where `save` left off, bit for bit, with the towers and the items given again. */
  static async resume(
    path: string,
    given: Pick<TwoTowerTrainerOptions, 'towers' | 'items' | 'pair'> & Partial<TwoTowerTrainerOptions>,
  ): Promise<TwoTowerTrainer> {
    const file = await loadTraining(path, KIND);
    const trainer = new TwoTowerTrainer({ ...(file.options as ContrastiveSettings), ...given });
    trainer.#steps.restore(file, path);
    return trainer;
  }

  /** Frees the optimiser's state. The towers stay. */
  dispose(): void {
    this.#steps.dispose();
  }
}
