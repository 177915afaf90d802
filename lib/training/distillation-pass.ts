import { distillationLoss } from '../kernels/index.ts';
import type { LanguageModel } from '../models/language-model.ts';
import type { Divergence } from '../native.ts';
import { Tape } from '../tensor/autograd.ts';
import { cast } from '../tensor/operations.ts';
import { scope } from '../tensor/scope.ts';
import type { ComputeType, Tensor } from '../tensor/tensor.ts';
import { type Completion, packCompletions } from './completion-batch.ts';
import { type DistillationBatch, PlacedDistillation } from './distillation-inputs.ts';
import { deviceOfModel, recordsPasses } from './model-input.ts';
import type { Optimizer } from './optimizer.ts';
import { RecordedPasses } from './recorded-passes.ts';

/** One sequence of a step, with everything its loss needs. */
export interface Rollout extends Completion {
  /** The prompt of the negative branch; null: the teacher has one branch. */
  negative: Int32Array | null;
  /** The teacher's guidance scale. */
  scale: number;
  /** Policy-gradient coefficient of each token: the loss has −coefficient · log p(token). */
  coefficients: Float32Array;
}

/** How student and teacher are compared. */
export interface Comparison {
  student: LanguageModel;
  teacher: LanguageModel;
  temperature: number;
  divergence: Divergence;
  jsdWeight: number;
}

/** Per rollout, per token. */
export interface TokenValues {
  /** Divergence from the teacher, nats. */
  divergence: Float32Array[];
  /** Entropy of the student's distribution, nats. */
  entropy: Float32Array[];
}

/**
 * Compares student and frozen teacher at every token of some rollouts. With an optimiser the gradient of
 * Σ weight · divergence − Σ coefficient · log p is added to it; without, only the values are computed.
 */
export class DistillationPass {
  readonly #comparison: Comparison;
  readonly #optimizer: Optimizer | null;
  readonly #passes: RecordedPasses<DistillationBatch, PlacedDistillation>;

  constructor(comparison: Comparison, optimizer: Optimizer | null) {
    const { student, teacher } = comparison;
    this.#comparison = comparison;
    this.#optimizer = optimizer;
    this.#passes = new RecordedPasses({
      place: (batch) => new PlacedDistillation(batch, student, teacher, deviceOfModel(student)),
      run: (placed) => this.#run(placed),
    });
  }

  /** @param width positions that prompts are padded to: at least the longest prompt of either branch */
  async run(rollouts: readonly Rollout[], { weight, width }: { weight: number; width: number }): Promise<TokenValues> {
    const { student, teacher } = this.#comparison;
    const batch = packRollouts(rollouts, weight, width);
    const { rows, positions } = batch.batch;
    const key = recordsPasses(student, teacher) ? `${rows} ${positions} ${batch.guided}` : null;
    const results = scope(() => this.#passes.run(key, batch)) as readonly Tensor[];
    const values = Promise.all(results.map((t) => t.read()));
    // The reads are enqueued: what they read lives until they are through.
    for (const tensor of results) tensor.dispose();
    const [divergence, entropy] = (await values).map((all) =>
      rollouts.map(({ tokens }, r) => {
        const begin = r * positions + width - 1;
        return all.slice(begin, begin + tokens.length);
      }),
    );
    return { divergence: divergence as Float32Array[], entropy: entropy as Float32Array[] };
  }

  #run({ student, teacher, rows, positions, scales, weights, tokens, coefficients }: PlacedDistillation): Tensor[] {
    const { temperature, divergence, jsdWeight } = this.#comparison;
    const flat = (t: Tensor<ComputeType>, begin: number) => t.rows(begin, begin + rows).reshape([rows * positions, -1]);
    const tape = new Tape(this.#optimizer?.watched ?? []);
    const logits = this.#optimizer ? tape.record(() => student.forward()) : student.forward();
    const taught = cast(teacher.forward(), logits.dtype);
    const { perToken, entropy, grad } = distillationLoss(
      flat(logits, 0),
      flat(taught, 0),
      scales ? flat(taught, rows) : null,
      {
        ...(scales && { scale: scales }),
        temperature,
        divergence,
        jsdWeight,
        weights,
        policy: { tokens, coefficients },
      },
    );
    this.#optimizer?.accumulate(tape.backward([[logits, grad.reshape(logits.shape)]]));
    return [perToken, entropy];
  }

  dispose(): void {
    this.#passes.dispose();
  }
}

/** Rollouts as model input, with what the loss needs at every position. */
function packRollouts(rollouts: readonly Rollout[], weight: number, width: number): DistillationBatch {
  const { batch, targets } = packCompletions(rollouts, width);
  const guided = rollouts.some(({ negative }) => negative !== null);
  const negatives = rollouts.map((r) => ({ ...r, prompt: r.negative ?? r.prompt }));
  const perPosition = (of: (rollout: Rollout, token: number) => number): Float32Array => {
    const values = new Float32Array(targets.length);
    rollouts.forEach((rollout, r) => {
      for (let n = 0; n < rollout.tokens.length; n++) values[r * batch.positions + width - 1 + n] = of(rollout, n);
    });
    return values;
  };
  return {
    batch,
    branches: guided ? packCompletions([...rollouts, ...negatives], width).batch : batch,
    guided,
    scales: perPosition(({ scale, negative }) => (negative ? scale : 1)),
    weights: perPosition(() => weight),
    tokens: targets.map((t) => Math.max(t, 0)),
    coefficients: perPosition(({ coefficients }, n) => coefficients[n] as number),
  };
}
