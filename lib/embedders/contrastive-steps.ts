import { ValueError } from '../errors.ts';
import type { Parameter } from '../models/parameter.ts';
import type { Encoder } from '../models/pooled-encoder.ts';
import { Random } from '../random.ts';
import { Epochs } from '../training/epochs.ts';
import { Exclusive } from '../training/exclusive.ts';
import { Optimizer, type OptimizerOptions } from '../training/optimizer.ts';
import { learningRateAt } from '../training/schedule.ts';
import { restoreTraining, saveTraining, type TrainingFile } from '../training/training-file.ts';
import { Turns } from '../turns.ts';
import { cachedPass, type PositivePair, wholePass } from './contrastive-pass.ts';

/** What all contrastive trainers take that is plain data. */
export interface ContrastiveSettings {
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

/** What is trained, and what on. */
export interface ContrastiveSource<A, B> {
  /** Of the first items of the pairs, and of the second. */
  readonly encoders: readonly [Encoder<A>, Encoder<B>];
  readonly parameters: readonly Parameter[];
  readonly items: number;
  readonly pair: (item: number, random: Random) => PositivePair<A, B> | Promise<PositivePair<A, B>>;
  /** Pairs of one group are no negatives of each other. */
  readonly group?: (pair: PositivePair<A, B>) => string;
}

/** The pairs of a step, and the random numbers that its dropout goes on with. */
interface Drawn<A, B> {
  readonly pairs: readonly PositivePair<A, B>[];
  readonly random: Random;
}

/** The steps of contrastive training, whatever is trained: batches, updates, and how to go on after a stop. */
export class ContrastiveSteps<A, B> {
  readonly settings: Required<ContrastiveSettings>;
  readonly #source: ContrastiveSource<A, B>;
  readonly #optimizer: Optimizer;
  readonly #exclusive = new Exclusive();
  readonly #epochs: Epochs;
  /** Pairs that are drawn already, while the device was busy with the step before. */
  #ahead: { step: number; drawn: Promise<Drawn<A, B>> } | null = null;

  /** @throws ValueError naming the first setting that is wrong */
  constructor(source: ContrastiveSource<A, B>, settings: ContrastiveSettings) {
    this.settings = completeSettings(settings, source.items);
    new Random(this.settings.seed); // checked now, and not at the first step
    this.#source = source;
    this.#optimizer = new Optimizer(source.parameters, settings.optimizer);
    this.#epochs = new Epochs(source.items, this.settings.seed);
  }

  /** Updates made so far. */
  get step(): number {
    return this.#optimizer.steps;
  }

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
      yield await this.#exclusive.run(() => this.#step(signal, this.step + 1 < last));
    }
  }

  async #step(signal: AbortSignal | undefined, more: boolean): Promise<ContrastiveMetrics> {
    const { temperature, batchSize, rowsPerMicrobatch: rows, optimizer } = this.settings;
    const { encoders, group } = this.#source;
    const { pairs, random } = await this.#take(signal);
    const pass = { encoders, optimizer: this.#optimizer, temperature, groups: group ? pairs.map(group) : null };
    let loss: number;
    try {
      const working =
        rows < batchSize ? cachedPass(pass, pairs, random, { rows, signal }) : wholePass(pass, pairs, random);
      if (more) this.#drawAhead(this.step + 1, signal);
      loss = await working;
    } catch (error) {
      this.#optimizer.zeroGradients();
      throw error;
    }
    const gradientNorm = await this.#optimizer.apply();
    return { step: this.step, loss, gradientNorm, learningRate: learningRateAt(this.step, optimizer) };
  }

  /** The pairs of this step: what a step depends on is its number, so that drawing ahead changes nothing. */
  async #take(signal: AbortSignal | undefined): Promise<Drawn<A, B>> {
    const ahead = this.#ahead;
    this.#ahead = null;
    try {
      // Also pairs of another step are waited for: one pair is asked for at a time.
      const drawn = await ahead?.drawn;
      if (drawn && ahead?.step === this.step) return drawn;
    } catch {
      // What went wrong, goes wrong again; but for a signal that is over.
    }
    return this.#draw(this.step, signal);
  }

  #drawAhead(step: number, signal: AbortSignal | undefined): void {
    const drawn = this.#draw(step, signal);
    drawn.catch(() => {}); // told when the step is taken
    this.#ahead = { step, drawn };
  }

  async #draw(step: number, signal: AbortSignal | undefined): Promise<Drawn<A, B>> {
    const { pair, items } = this.#source;
    const { batchSize, seed } = this.settings;
    const random = new Random(seed).fork('pairs').fork(step);
    // Whole batches per epoch, so that no item meets itself as its own negative.
    const perEpoch = Math.floor(items / batchSize);
    const first = Math.floor(step / perEpoch) * items + (step % perEpoch) * batchSize;
    const pairs: PositivePair<A, B>[] = [];
    const turns = new Turns();
    for (const item of this.#epochs.take(first, batchSize)) {
      signal?.throwIfAborted();
      pairs.push(await pair(item, random));
      await turns.pause();
    }
    return { pairs, random };
  }

  /** Writes the training state to one file, atomically. */
  save(path: string, kind: string): Promise<void> {
    return saveTraining(path, { kind, options: this.settings }, this.#source.parameters, this.#optimizer);
  }

  /** Goes on where the file left off. */
  restore(file: TrainingFile, path: string): void {
    restoreTraining(file, path, this.#source.parameters, this.#optimizer);
  }

  /** Frees the optimiser's state. */
  dispose(): void {
    this.#optimizer.dispose();
  }
}

function completeSettings(settings: ContrastiveSettings, items: number): Required<ContrastiveSettings> {
  const { optimizer, temperature = 0.1, seed = 0 } = settings;
  const batchSize = settings.batchSize ?? Math.min(128, items);
  const rowsPerMicrobatch = settings.rowsPerMicrobatch ?? batchSize;
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
  return { optimizer, batchSize, rowsPerMicrobatch, temperature, seed };
}
