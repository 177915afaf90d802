import type { LanguageModel } from '../models/language-model.ts';
import type { TokenBatch } from '../models/token-batch.ts';
import type { Device } from '../tensor/device.ts';
import { type DType, Tensor } from '../tensor/tensor.ts';
import { ModelInput } from './model-input.ts';
import type { PlacedInputs } from './recorded-passes.ts';

/** What a cross-entropy pass is computed from. */
export interface CompletionInputs {
  batch: TokenBatch;
  /** [rows · positions]: the token to predict, or −1. */
  targets: Int32Array;
  /** [rows · positions]: the factor of each prediction's loss. */
  weights: Float32Array;
}

/** Completions on the device. */
export class PlacedCompletions implements PlacedInputs<CompletionInputs> {
  readonly input: ModelInput;
  readonly targets: Tensor<'int32'>;
  readonly weights: Tensor;

  constructor({ batch, targets, weights }: CompletionInputs, model: LanguageModel, device: Device) {
    this.input = new ModelInput(model, batch, device);
    this.targets = Tensor.from(targets, [targets.length], device);
    this.weights = Tensor.from(weights, [weights.length], device);
  }

  write({ batch, targets, weights }: CompletionInputs): void {
    this.input.write(batch);
    this.targets.write(targets);
    this.weights.write(weights);
  }

  get tensors(): readonly Tensor<DType>[] {
    return [...this.input.tensors, this.targets, this.weights];
  }
}
