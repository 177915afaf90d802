import { ShapeError, ValueError } from './errors.ts';
import type { LanguageModel } from './models/language-model.ts';
import { packTokens, type TokenBatch } from './models/token-batch.ts';
import { native } from './native.ts';
import {
  checkSampling,
  type Guidance,
  negativesOf,
  type SamplingOptions,
  scalesOf,
  startStatesOf,
} from './sampling-options.ts';
import { allOrNothing } from './tensor/scope.ts';
import { withSpareMemory } from './tensor/spare-memory.ts';
import { Tensor } from './tensor/tensor.ts';
import { placeAutomaton, TokenAutomaton } from './token-automaton.ts';

export interface SamplerOptions extends SamplingOptions {
  /** Absent: one branch, one pass per token. */
  guidance?: Guidance;
  /** Integer of [0, 2^53). Default 0. */
  seed?: number;
  /** The token that ends a generation. Default: none. */
  stopToken?: number;
  /** Says what may be drawn after what, the stop token included. Default: anything. */
  constraint?: TokenAutomaton;
  /** Generations decoded at once; bounds the memory. Default 512. */
  batchSize?: number;
}

export interface GenerateOptions {
  /** Default 1. */
  samplesPerPrompt?: number;
  /** Most tokens of a generation, the stop token included. */
  maxTokens: number;
  /** With a constraint: the state that each prompt's generations begin in. Default: the automaton's `start`. */
  startStates?: Int32Array | undefined;
  signal?: AbortSignal | undefined;
}

export interface Generation {
  /** Index of the prompt. */
  prompt: number;
  /** Index among the prompt's samples. */
  sample: number;
  /** The tokens drawn, the stop token included when it was drawn. */
  tokens: Int32Array;
  /** Natural logarithm of each token's probability under the distribution it was drawn from. */
  logProbs: Float32Array;
  /** Whether the stop token ended it, and not `maxTokens`. */
  stopped: boolean;
}

/** What the batches of one call have in common, and the index of a batch's first prompt. */
interface Run {
  begin: number;
  width: number;
  samplesPerPrompt: number;
  maxTokens: number;
  /** Of every prompt. */
  startStates: Int32Array | null;
  signal: AbortSignal | undefined;
}

/** Tokens between two looks at whether every row has stopped. */
const STOP_CHECK = 8;

/**
 * Draws generations from a language model, with or without classifier-free guidance, whose two branches run as one
 * batch. The same seed gives the same tokens for the same prompt and sample index, whatever the batch size.
 */
export class Sampler {
  readonly model: LanguageModel;
  readonly options: Readonly<SamplerOptions>;

  /** @throws ValueError naming the first option that is out of its domain, ShapeError for a constraint on another vocabulary */
  constructor(model: LanguageModel, options: SamplerOptions = {}) {
    checkSampling(options);
    const { seed = 0, stopToken, constraint, batchSize = 512 } = options;
    if (!(Number.isSafeInteger(seed) && seed >= 0)) {
      throw new ValueError(`seed: expected an integer from 0 to 2^53 - 1, got ${seed}`, 'seed');
    }
    if (
      stopToken !== undefined &&
      !(Number.isInteger(stopToken) && stopToken >= 0 && stopToken < model.vocabularySize)
    ) {
      throw new ValueError(`stopToken: expected a token below ${model.vocabularySize}, got ${stopToken}`, 'stopToken');
    }
    if (!(Number.isInteger(batchSize) && batchSize >= 1)) {
      throw new ValueError(`batchSize: expected an integer of at least 1, got ${batchSize}`, 'batchSize');
    }
    if (constraint !== undefined) {
      if (!(constraint instanceof TokenAutomaton)) {
        throw new ValueError(`constraint: expected a TokenAutomaton, got ${typeof constraint}`, 'constraint');
      }
      const [expected, got] = [model.vocabularySize, constraint.vocabularySize];
      if (got !== expected) {
        throw new ShapeError(`constraint: expected a vocabulary of ${expected}, got ${got}`, 'constraint');
      }
    }
    this.model = model;
    this.options = { ...options };
  }

  /** Forward passes of one row per generated token: 2 under guidance, else 1. */
  get passesPerToken(): number {
    return this.options.guidance ? 2 : 1;
  }

  /**
   * Generations in the order of the prompts, each prompt's samples together, as soon as their batch is done.
   *
   * @throws (on iteration) ValueError for an empty prompt, a token out of range, and where a model gives every token
   *   that the constraint allows a logit of −∞; the signal's reason when it aborts
   */
  async *generate(
    prompts: readonly Int32Array[],
    { samplesPerPrompt = 1, maxTokens, startStates, signal }: GenerateOptions,
  ): AsyncGenerator<Generation, void, void> {
    if (!(Number.isInteger(samplesPerPrompt) && samplesPerPrompt >= 1)) {
      throw new ValueError(
        `samplesPerPrompt: expected an integer of at least 1, got ${samplesPerPrompt}`,
        'samplesPerPrompt',
      );
    }
    if (!(Number.isInteger(maxTokens) && maxTokens >= 1)) {
      throw new ValueError(`maxTokens: expected an integer of at least 1, got ${maxTokens}`, 'maxTokens');
    }
    if (prompts.length * samplesPerPrompt > 2 ** 31 - 1) {
      throw new ShapeError('prompts: expected fewer than 2^31 generations in one call', 'prompts');
    }
    const { guidance, constraint, batchSize = 512 } = this.options;
    const scales = scalesOf(guidance, prompts.length);
    const states = startStatesOf(constraint, startStates, prompts.length);
    const negatives = guidance ? negativesOf(guidance, prompts.length) : null;
    // All prompts are looked at before the first is run, so that a bad one costs nothing.
    const width = [...prompts, ...(negatives ?? [])].reduce((longest, { length }) => Math.max(longest, length), 0);
    if (prompts.length === 0) throw new ValueError('prompts: expected at least one prompt, got none', 'prompts');
    packTokens(prompts, this.#packing(width));
    if (negatives) packTokens(negatives, { ...this.#packing(width), argument: 'guidance.negative' });

    const promptsPerBatch = Math.max(1, Math.floor(batchSize / samplesPerPrompt));
    for (let begin = 0; begin < prompts.length; begin += promptsPerBatch) {
      const end = Math.min(prompts.length, begin + promptsPerBatch);
      const rows = await this.#decode(
        [...prompts.slice(begin, end), ...(negatives?.slice(begin, end) ?? [])],
        scales.subarray(begin, end),
        { begin, width, samplesPerPrompt, maxTokens, startStates: states, signal },
      );
      yield* rows;
    }
  }

  #packing(width: number): { vocabularySize: number; width: number } {
    return { vocabularySize: this.model.vocabularySize, width };
  }

  /** The decoder of a batch and what its loop keeps on the device: all of it, or an error and nothing. */
  #begin(batch: TokenBatch, scales: Float32Array, run: Run, capacity: number) {
    const { begin, samplesPerPrompt, maxTokens, startStates } = run;
    const { constraint } = this.options;
    const decoder = this.model.decoder(batch, { capacity, samplesPerRow: samplesPerPrompt });
    const rows = scales.length * samplesPerPrompt;
    const { device } = decoder.logits;
    const perRow = new Float32Array(rows).map((_, r) => scales[Math.floor(r / samplesPerPrompt)] as number);
    const streams = new Int32Array(rows).map((_, r) => begin * samplesPerPrompt + r);
    const states = startStates && streams.map((s) => startStates[Math.floor(s / samplesPerPrompt)] as number);
    try {
      const state = allOrNothing(() => ({
        scales: Tensor.from(perRow, [rows], device),
        streams: Tensor.from(streams, [rows], device),
        position: Tensor.zeros([1], { dtype: 'int32', device }),
        finished: Tensor.zeros([rows], { dtype: 'int32', device }),
        unfinished: Tensor.zeros([1], { dtype: 'int32', device }),
        next: Tensor.zeros([batch.rows * samplesPerPrompt], { dtype: 'int32', device }),
        history: Tensor.zeros([rows, maxTokens], { dtype: 'int32', device }),
        logProbs: Tensor.zeros([rows, maxTokens], { device }),
        ...(constraint && states && placeAutomaton(constraint, states, device)),
      }));
      return { decoder, state };
    } catch (error) {
      decoder.dispose();
      throw error;
    }
  }

  async #decode(prompts: readonly Int32Array[], scales: Float32Array, run: Run): Promise<Generation[]> {
    const { temperature = 1, topK, topP, seed = 0, stopToken } = this.options;
    const { samplesPerPrompt, maxTokens, signal } = run;
    signal?.throwIfAborted();
    const batch = packTokens(prompts, this.#packing(run.width));
    // The last token is drawn and not fed.
    const capacity = run.width + maxTokens - 1;
    const { decoder, state } = withSpareMemory(() => this.#begin(batch, scales, run, capacity));
    const rows = scales.length * samplesPerPrompt;
    try {
      let logits = decoder.logits;
      let drawn = 0;
      while (true) {
        native.decodeSample(
          logits.handle,
          state.scales.handle,
          state.streams.handle,
          temperature,
          topK,
          topP,
          seed,
          stopToken,
          state.position.handle,
          state.finished.handle,
          state.unfinished.handle,
          state.next.handle,
          state.history.handle,
          state.logProbs.handle,
          state.automatonState?.handle,
          state.allowed?.handle,
          state.transitions?.handle,
        );
        drawn++;
        if (drawn === maxTokens) break;
        if (drawn % STOP_CHECK === 0) {
          const [unfinished] = await state.unfinished.read();
          signal?.throwIfAborted();
          if (unfinished === 0) break;
        }
        logits = decoder.step(state.next);
      }
      const [tokens, logProbs] = await Promise.all([state.history.read(), state.logProbs.read()]);
      signal?.throwIfAborted();
      return Array.from({ length: rows }, (_, r): Generation => {
        const row = tokens.subarray(r * maxTokens, r * maxTokens + drawn);
        const end = row.indexOf(-1);
        const length = end < 0 ? drawn : end;
        return {
          prompt: run.begin + Math.floor(r / samplesPerPrompt),
          sample: r % samplesPerPrompt,
          tokens: row.slice(0, length),
          logProbs: logProbs.slice(r * maxTokens, r * maxTokens + length),
          stopped: stopToken !== undefined && row[length - 1] === stopToken,
        };
      });
    } finally {
      for (const tensor of Object.values(state)) tensor?.dispose();
      decoder.dispose();
    }
  }
}
