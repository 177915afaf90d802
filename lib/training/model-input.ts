import type { LanguageModel } from '../models/language-model.ts';
import { PlacedBatch } from '../models/placed-batch.ts';
import type { TokenBatch } from '../models/token-batch.ts';
import { type Device, deviceOf } from '../tensor/device.ts';
import type { ComputeType, Tensor } from '../tensor/tensor.ts';

/** A batch that a model is about to read: in tensors where the model takes them, or as it is. */
export class ModelInput {
  readonly #model: LanguageModel;
  readonly #batch: TokenBatch;
  readonly #placed: PlacedBatch | null;

  constructor(model: LanguageModel, batch: TokenBatch, device: Device) {
    this.#model = model;
    this.#batch = batch;
    this.#placed = model.forwardPlaced ? new PlacedBatch(batch, device) : null;
  }

  /** Logits [rows, positions, vocab]. */
  forward(): Tensor<ComputeType> {
    return this.#placed && this.#model.forwardPlaced
      ? this.#model.forwardPlaced(this.#placed)
      : this.#model.forward(this.#batch);
  }

  /** For a model that reads tensors. */
  write(batch: TokenBatch): void {
    this.#placed?.write(batch);
  }

  get tensors(): readonly Tensor<'int32'>[] {
    return this.#placed?.tensors ?? [];
  }
}

/** The device of a model's weights; the CPU for a model without any. */
export function deviceOfModel(model: LanguageModel): Device {
  for (const { tensor } of model.parameters()) return tensor.device;
  return deviceOf('cpu');
}

/** Whether passes of these models are recorded: where launching operations costs more than queueing them. */
export function recordsPasses(...models: readonly LanguageModel[]): boolean {
  return models.every((model) => model.forwardPlaced !== undefined && deviceOfModel(model).type === 'cuda');
}
