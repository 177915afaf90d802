import type { ComputeType, Tensor } from '../tensor/tensor.ts';
import type { Parameter } from './parameter.ts';
import type { PlacedBatch } from './placed-batch.ts';
import type { TokenBatch } from './token-batch.ts';

/** A model that is fed one token per row at a time and remembers what it was fed. */
export interface Decoder<C extends ComputeType = ComputeType> {
  /** [rows, vocab]: the logits of the token after the prompt. */
  readonly logits: Tensor<C>;
  /** Feeds one token per row, int32 [rows]. Returns the next logits [rows, vocab]; they last until the next step. */
  step(tokens: Tensor<'int32'>): Tensor<C>;
  dispose(): void;
}

/** What a decoder is made for. */
export interface DecoderOptions {
  /** How many tokens a row may hold, its prompt included. */
  capacity: number;
  /** Rows of the decoder per row of the batch, next to each other: they share one reading of the prompt. Default 1. */
  samplesPerRow?: number;
}

/**
 * An autoregressive model as `Sampler` and `Trainer` use it; C is the type of its logits. The built-in transformer is one implementation; a model of
 * your own needs differentiable operations (for training) or any tensors at all (for sampling only).
 */
export interface LanguageModel<C extends ComputeType = ComputeType> {
  readonly vocabularySize: number;
  /** The trained weights, always in the same order. */
  parameters(): Iterable<Parameter>;
  /** Logits of the token after each position, [rows, positions, vocab]. */
  forward(batch: TokenBatch): Tensor<C>;
  /**
   * Optional: `forward` of a batch in device memory. A model that has it is trained by recorded passes where that pays:
   * all that may change from pass to pass are the batch's tensors and the parameters.
   */
  forwardPlaced?(batch: PlacedBatch): Tensor<C>;
  /** Whether passes with a `dropoutSeed` differ from those without; such passes are not recorded. Default true. */
  readonly usesDropout?: boolean;
  /** Reads the batch's prompts and returns a decoder of rows · samplesPerRow rows. */
  decoder(batch: TokenBatch, options: DecoderOptions): Decoder<C>;
}
