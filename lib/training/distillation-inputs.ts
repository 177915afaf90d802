import type { LanguageModel } from '../models/language-model.ts';
import type { TokenBatch } from '../models/token-batch.ts';
import type { Device } from '../tensor/device.ts';
import { type DType, Tensor } from '../tensor/tensor.ts';
import { ModelInput } from './model-input.ts';
import type { PlacedInputs } from './recorded-passes.ts';

/** What one distillation pass is computed from; arrays hold one element per row and position. */
export interface DistillationBatch {
  batch: TokenBatch;
  /** The teacher's: the same sequences, and when guided the same again after the negative prompts. */
  branches: TokenBatch;
  guided: boolean;
  scales: Float32Array;
  weights: Float32Array;
  tokens: Int32Array;
  coefficients: Float32Array;
}

/** A distillation batch on the device. */
export class PlacedDistillation implements PlacedInputs<DistillationBatch> {
  readonly student: ModelInput;
  readonly teacher: ModelInput;
  readonly rows: number;
  readonly positions: number;
  /** [rows · positions], like the following; null without guidance. */
  readonly scales: Tensor | null;
  readonly weights: Tensor;
  readonly tokens: Tensor<'int32'>;
  readonly coefficients: Tensor;

  constructor(inputs: DistillationBatch, student: LanguageModel, teacher: LanguageModel, device: Device) {
    const { batch, branches, guided, scales, weights, tokens, coefficients } = inputs;
    const shape = [tokens.length];
    this.student = new ModelInput(student, batch, device);
    this.teacher = new ModelInput(teacher, branches, device);
    this.rows = batch.rows;
    this.positions = batch.positions;
    this.scales = guided ? Tensor.from(scales, shape, device) : null;
    this.weights = Tensor.from(weights, shape, device);
    this.tokens = Tensor.from(tokens, shape, device);
    this.coefficients = Tensor.from(coefficients, shape, device);
  }

  write({ batch, branches, scales, weights, tokens, coefficients }: DistillationBatch): void {
    this.student.write(batch);
    this.teacher.write(branches);
    this.scales?.write(scales);
    this.weights.write(weights);
    this.tokens.write(tokens);
    this.coefficients.write(coefficients);
  }

  get tensors(): readonly Tensor<DType>[] {
    const { student, teacher, scales, weights, tokens, coefficients } = this;
    return [...student.tensors, ...teacher.tensors, ...(scales ? [scales] : []), weights, tokens, coefficients];
  }
}
