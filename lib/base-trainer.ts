import { ValueError } from './errors.ts';
import type { LanguageModel } from './models/language-model.ts';
import { checkTokens } from './models/token-batch.ts';
import { native } from './native.ts';
import { Random } from './random.ts';
import { Tape } from './tensor/autograd.ts';
import { Tensor } from './tensor/tensor.ts';
import { type Completion, packCompletions, widthOf } from './training/completion-batch.ts';
import { type CompletionInputs, PlacedCompletions } from './training/completion-inputs.ts';
import { Epochs } from './training/epochs.ts';
import { Exclusive } from './training/exclusive.ts';
import { deviceOfModel, recordsPasses } from './training/model-input.ts';
import { Optimizer, type OptimizerOptions } from './training/optimizer.ts';
import { RecordedPasses } from './training/recorded-passes.ts';
import { learningRateAt } from './training/schedule.ts';
import { loadTraining, restoreTraining, saveTraining } from './training/training-file.ts';

export interface BaseTrainerOptions {
  /** Trained in place. */
  model: LanguageModel;
  optimizer: OptimizerOptions;
  /** Prompts and their answers; an answer ends with the stop token, if there is one. */
  rows: readonly Completion[];
  /** What a dropped prompt is replaced by: the unconditional branch of guidance learns from it. */
  noPrompt: Int32Array;
  /** Share of the prompts that are dropped. Default 0.15. */
  promptDropout?: number;
  /** Rows per step. Default 128. */
  batchSize?: number;
  /** Rows per forward and backward pass; bounds the memory and changes nothing else. Default: all. */
  rowsPerMicrobatch?: number;
  /**
   * Whether a batch takes rows of similar length, so that little of it is padding: batches are then less random. Default
   * false.
   */
  groupByLength?: boolean;
  /** Integer of [0, 2^53). Default 0. */
  seed?: number;
}

export interface BaseMetrics {
  /** Updates made so far. */
  step: number;
  /** Mean negative log-likelihood of an answer token, nats. */
  loss: number;
  /** Global gradient norm before clipping. */
  gradientNorm: number;
  learningRate: number;
  /** Answer tokens of this step. */
  tokens: number;
  tokensPerSecond: number;
}

const KIND = 'BaseTrainer';

/** Trains a language model to predict the answers of prompts, sometimes with the prompt dropped. */
export class BaseTrainer {
  readonly options: Required<BaseTrainerOptions>;
  readonly #optimizer: Optimizer;
  readonly #passes: RecordedPasses<CompletionInputs, PlacedCompletions>;
  readonly #exclusive = new Exclusive();
  readonly #epochs: Epochs;
  readonly #width: number;

  /** @throws ValueError naming the first option that is wrong */
  constructor(options: BaseTrainerOptions) {
    const { promptDropout = 0.15, batchSize = 128, groupByLength = false, seed = 0, rows, model, noPrompt } = options;
    const { rowsPerMicrobatch = batchSize } = options;
    if (!(promptDropout >= 0 && promptDropout <= 1)) {
      throw new ValueError(`promptDropout: expected a number in [0, 1], got ${promptDropout}`, 'promptDropout');
    }
    for (const [name, value] of Object.entries({ batchSize, rowsPerMicrobatch })) {
      if (!(Number.isInteger(value) && value >= 1)) {
        throw new ValueError(`${name}: expected an integer of at least 1, got ${value}`, name);
      }
    }
    if (rows.length === 0) throw new ValueError('rows: expected at least one, got none', 'rows');
    checkTokens(noPrompt, model.vocabularySize, 'noPrompt');
    rows.forEach(({ prompt, tokens }, i) => {
      checkTokens(prompt, model.vocabularySize, `rows[${i}].prompt`);
      checkTokens(tokens, model.vocabularySize, `rows[${i}].tokens`);
    });
    this.options = { ...options, promptDropout, batchSize, rowsPerMicrobatch, groupByLength, seed };
    this.#optimizer = new Optimizer(model.parameters(), options.optimizer);
    this.#passes = new RecordedPasses({
      place: (inputs) => new PlacedCompletions(inputs, model, deviceOfModel(model)),
      run: (placed) => this.#run(placed),
    });
    const sizes = rows.map(({ tokens }) => tokens.length);
    this.#epochs = new Epochs(rows.length, seed, groupByLength ? { sizes, batchSize } : undefined);
    this.#width = widthOf(
      rows.map(({ prompt }) => prompt),
      [noPrompt],
    );
  }

  /** Updates made so far. */
  get step(): number {
    return this.#optimizer.steps;
  }

  /**
   * Trains for some steps and reports each. Stopping between steps leaves the trainer at its last whole step.
   *
   * @throws (on iteration) the signal's reason when it aborts, ValueError for a gradient that is not finite
   */
  async *run({
    steps,
    signal,
  }: {
    steps: number;
    signal?: AbortSignal | undefined;
  }): AsyncGenerator<BaseMetrics, void, void> {
    if (!(Number.isInteger(steps) && steps >= 0)) {
      throw new ValueError(`steps: expected an integer of at least 0, got ${steps}`, 'steps');
    }
    for (const last = this.step + steps; this.step < last; ) {
      signal?.throwIfAborted();
      yield await this.#exclusive.run(() => this.#step(signal));
    }
  }

  async #step(signal: AbortSignal | undefined): Promise<BaseMetrics> {
    const begin = performance.now();
    const { rows, batchSize, rowsPerMicrobatch, promptDropout, noPrompt, seed } = this.options;
    const random = new Random(seed).fork('prompt dropout').fork(this.step);
    const chosen = this.#epochs.take(this.step * batchSize, batchSize).map((i): Completion => {
      const row = rows[i] as Completion;
      return random.uniform() < promptDropout ? { ...row, prompt: noPrompt } : row;
    });
    const tokens = chosen.reduce((sum, row) => sum + row.tokens.length, 0);
    let loss = 0;
    try {
      for (let at = 0; at < batchSize; at += rowsPerMicrobatch) {
        signal?.throwIfAborted();
        loss += await this.#backward(chosen.slice(at, at + rowsPerMicrobatch), 1 / tokens, random.word());
      }
    } catch (error) {
      this.#optimizer.zeroGradients();
      throw error;
    }
    const gradientNorm = await this.#optimizer.apply();
    return {
      step: this.step,
      loss,
      gradientNorm,
      learningRate: learningRateAt(this.step, this.options.optimizer),
      tokens,
      tokensPerSecond: tokens / ((performance.now() - begin) / 1000),
    };
  }

  async #backward(rows: readonly Completion[], weight: number, dropoutSeed: number): Promise<number> {
    const { model } = this.options;
    const { batch, targets } = packCompletions(rows, this.#width);
    const recordable = recordsPasses(model) && model.usesDropout === false;
    const key = recordable ? `${batch.rows} ${batch.positions}` : null;
    const inputs = {
      batch: { ...batch, dropoutSeed },
      targets,
      weights: new Float32Array(targets.length).fill(weight),
    };
    const [loss] = this.#passes.run(key, inputs) as [Tensor];
    const value = loss.read();
    loss.dispose();
    return (await value)[0] as number;
  }

  /** The loss of a batch; its gradient goes to the optimiser. */
  #run({ input, targets, weights }: PlacedCompletions): Tensor[] {
    const tape = new Tape(this.#optimizer.watched);
    const logits = tape.record(() => input.forward());
    const flat = logits.reshape([targets.size, -1]);
    const [loss, perRow, gradient] = native.crossEntropy(flat.handle, targets.handle, weights.handle, 1);
    new Tensor(perRow, 'float32');
    const seeds = [[logits, new Tensor(gradient, logits.dtype).reshape(logits.shape)]] as const;
    this.#optimizer.accumulate(tape.backward(seeds));
    return [new Tensor(loss, 'float32')];
  }

  /** Writes the training state to one file, atomically. */
  save(path: string): Promise<void> {
    const { optimizer, promptDropout, batchSize, rowsPerMicrobatch, groupByLength, seed } = this.options;
    const options = { optimizer, promptDropout, batchSize, rowsPerMicrobatch, groupByLength, seed };
    return saveTraining(path, { kind: KIND, options }, this.options.model.parameters(), this.#optimizer);
  }

  /** A trainer that goes on where `save` left off, bit for bit, with the model and the rows given again. */
  static async resume(
    path: string,
    given: Pick<BaseTrainerOptions, 'model' | 'rows' | 'noPrompt'> & Partial<BaseTrainerOptions>,
  ): Promise<BaseTrainer> {
    const file = await loadTraining(path, KIND);
    const trainer = new BaseTrainer({ ...(file.options as BaseTrainerOptions), ...given });
    restoreTraining(file, path, given.model.parameters(), trainer.#optimizer);
    return trainer;
  }

  /** Frees the optimiser's state. The model stays. */
  dispose(): void {
    this.#passes.dispose();
    this.#optimizer.dispose();
  }
}
