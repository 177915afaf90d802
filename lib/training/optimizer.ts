import { ValueError } from '../errors.ts';
import { fillParameters, storedParameters } from '../models/model-file.ts';
import type { Parameter } from '../models/parameter.ts';
import type { StoredTensor } from '../models/safetensors.ts';
import { native } from '../native.ts';
import type { Device } from '../tensor/device.ts';
import { allOrNothing, keep } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';
import { type PlacedInputs, RecordedPasses } from './recorded-passes.ts';
import { checkSchedule, learningRateAt, type ScheduleOptions } from './schedule.ts';

/** AdamW (Loshchilov and Hutter, 2019), with global-norm clipping and a learning-rate schedule. */
export interface OptimizerOptions extends ScheduleOptions {
  /** Default 0.9. */
  beta1?: number;
  /** Default 0.95. */
  beta2?: number;
  /** Default 1e-8. */
  epsilon?: number;
  /** Decoupled weight decay of the parameters that want it. Default 0. */
  weightDecay?: number;
  /** Gradients are scaled down to this global norm. Default 1; Infinity turns clipping off. */
  maxGradientNorm?: number;
}

/** The optimiser of a set of parameters: their moments, their accumulated gradients, and the step count. */
export class Optimizer {
  readonly options: OptimizerOptions;
  readonly #parameters: readonly Parameter[];
  readonly #first: readonly Tensor[];
  readonly #second: readonly Tensor[];
  readonly #gradients: readonly Tensor[];
  readonly #updates: RecordedPasses<Float32Array, PlacedSchedule>;
  #step = 0;

  constructor(parameters: Iterable<Parameter>, options: OptimizerOptions) {
    checkSchedule(options);
    const { beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weightDecay = 0, maxGradientNorm = 1 } = options;
    const refuse = (name: string, expected: string, got: unknown): never => {
      throw new ValueError(`optimizer.${name}: expected ${expected}, got ${got}`, `optimizer.${name}`);
    };
    if (!(beta1 >= 0 && beta1 < 1)) refuse('beta1', 'a number in [0, 1)', beta1);
    if (!(beta2 >= 0 && beta2 < 1)) refuse('beta2', 'a number in [0, 1)', beta2);
    if (!(epsilon > 0)) refuse('epsilon', 'a positive number', epsilon);
    if (!(weightDecay >= 0 && Number.isFinite(weightDecay))) refuse('weightDecay', 'at least 0', weightDecay);
    if (!(maxGradientNorm > 0)) refuse('maxGradientNorm', 'a positive number or Infinity', maxGradientNorm);
    this.options = options;
    this.#parameters = [...parameters];
    if (this.#parameters.length === 0)
      throw new ValueError('parameters: expected at least one, got none', 'parameters');
    const zeros = (): Tensor[] =>
      this.#parameters.map(({ tensor }) => keep(Tensor.zeros(tensor.shape, { device: tensor.device })));
    const state = allOrNothing(() => ({ first: zeros(), second: zeros(), gradients: zeros() }));
    this.#first = state.first;
    this.#second = state.second;
    this.#gradients = state.gradients;
    const { device } = (this.#parameters[0] as Parameter).tensor;
    this.#updates = new RecordedPasses({
      place: (schedule) => new PlacedSchedule(schedule, device),
      run: ({ schedule }) => this.#update(schedule),
    });
  }

  /** Updates made so far. */
  get steps(): number {
    return this.#step;
  }

  /** The tensors to differentiate by. */
  get watched(): Tensor[] {
    return this.#parameters.map(({ tensor }) => tensor);
  }

  /** Adds a backward pass's gradients, by parameter tensor, and disposes them. */
  accumulate(gradients: ReadonlyMap<Tensor, Tensor>): void {
    this.#parameters.forEach(({ tensor }, i) => {
      const gradient = gradients.get(tensor);
      if (!gradient) return;
      native.accumulate((this.#gradients[i] as Tensor).handle, gradient.handle, 1);
      gradient.dispose();
    });
  }

  /**
   * One update with the accumulated gradients, which are reset. Resolves to the global gradient norm before clipping.
   * Rejects with ValueError when a gradient is not finite; weights, moments and step are then as before.
   */
  async apply(): Promise<number> {
    const step = this.#step + 1;
    const schedule = Float32Array.of(learningRateAt(step, this.options), step);
    const recorded = this.#parameters[0]?.tensor.device.type === 'cuda';
    try {
      const [norm] = this.#updates.run(recorded ? 'update' : null, schedule) as [Tensor];
      // What is read from here on are the weights of this step: a `save` in the meantime must say so.
      this.#step = step;
      const value = norm.read();
      norm.dispose();
      return (await value)[0] as number;
    } catch (error) {
      this.#step = step - 1;
      // A GPU does nothing more after an error until it is told, as it is now.
      this.zeroGradients();
      throw error;
    }
  }

  #update(schedule: Tensor): [norm: Tensor] {
    const { beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weightDecay = 0, maxGradientNorm = 1 } = this.options;
    const handles = (tensors: readonly Tensor[]) => tensors.map((t) => t.handle);
    const norm = new Tensor(native.globalNorm(handles(this.#gradients)), 'float32');
    native.adamw(
      handles(this.watched),
      handles(this.#gradients),
      handles(this.#first),
      handles(this.#second),
      this.#parameters.map(({ decay = true }) => (decay ? weightDecay : 0)),
      0,
      beta1,
      beta2,
      epsilon,
      1,
      norm.handle,
      maxGradientNorm,
      schedule.handle,
    );
    this.zeroGradients();
    return [norm];
  }

  /** Forgets accumulated gradients: a step that was aborted half-way leaves no trace. */
  zeroGradients(): void {
    for (const gradient of this.#gradients) native.fill(gradient.handle, 0);
  }

  /** Moments as safetensors entries; the step count is saved by the caller. */
  async state(): Promise<[string, StoredTensor][]> {
    const parts = [this.#moments('first', this.#first), this.#moments('second', this.#second)];
    return (await Promise.all(parts.map((part) => storedParameters(part)))).flat();
  }

  /** Restores what `state` gave. */
  restore(tensors: ReadonlyMap<string, StoredTensor>, step: number, source: string): void {
    fillParameters(this.#moments('first', this.#first), tensors, source);
    fillParameters(this.#moments('second', this.#second), tensors, source);
    this.#step = step;
  }

  #moments(which: string, tensors: readonly Tensor[]): Parameter[] {
    return this.#parameters.map(({ name }, i) => ({
      name: `optimizer.${which}.${name}`,
      tensor: tensors[i] as Tensor,
    }));
  }

  dispose(): void {
    this.#updates.dispose();
    for (const tensor of [...this.#first, ...this.#second, ...this.#gradients]) tensor.dispose();
  }
}

/** The learning rate and the number of a step, on the device. */
class PlacedSchedule implements PlacedInputs<Float32Array> {
  readonly schedule: Tensor;

  constructor(values: Float32Array, device: Device) {
    this.schedule = Tensor.from(values, [2], device);
  }

  write(values: Float32Array): void {
    this.schedule.write(values);
  }

  get tensors(): readonly Tensor[] {
    return [this.schedule];
  }
}
