import { distillationLoss } from '../kernels/index.ts';
import type { LanguageModel } from '../models/language-model.ts';
import type { Divergence } from '../native.ts';
import { Tape } from '../tensor/autograd.ts';
import { cast } from '../tensor/operations.ts';
import { scope } from '../tensor/scope.ts';
import { type ComputeType, Tensor } from '../tensor/tensor.ts';
import { type Completion, packCompletions } from './completion-batch.ts';
import type { Optimizer } from './optimizer.ts';

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
 *
 * @param width positions that prompts are padded to: at least the longest prompt of either branch
 */
export async function distillationPass(
  rollouts: readonly Rollout[],
  { student, teacher, temperature, divergence, jsdWeight }: Comparison,
  { weight, width, optimizer }: { weight: number; width: number; optimizer: Optimizer | null },
): Promise<TokenValues> {
  const { batch, targets } = packCompletions(rollouts, width);
  const { rows, positions } = batch;
  const guided = rollouts.some(({ negative }) => negative !== null);
  const branches = guided
    ? packCompletions([...rollouts, ...rollouts.map((r) => ({ ...r, prompt: r.negative ?? r.prompt }))], width).batch
    : batch;
  const perPosition = (of: (rollout: Rollout, token: number) => number): Float32Array => {
    const values = new Float32Array(rows * positions);
    rollouts.forEach((rollout, r) => {
      for (let n = 0; n < rollout.tokens.length; n++) values[r * positions + width - 1 + n] = of(rollout, n);
    });
    return values;
  };

  const results = scope(() => {
    const flat = (t: Tensor<ComputeType>, begin: number) => t.rows(begin, begin + rows).reshape([rows * positions, -1]);
    const tape = new Tape(optimizer?.watched ?? []);
    const logits = optimizer ? tape.record(() => student.forward(batch)) : student.forward(batch);
    const { device } = logits;
    const vector = (data: Float32Array) => Tensor.from(data, [rows * positions], device);
    const taught = cast(teacher.forward(branches), logits.dtype);
    const { perToken, entropy, grad } = distillationLoss(
      flat(logits, 0),
      flat(taught, 0),
      guided ? flat(taught, rows) : null,
      {
        ...(guided && { scale: vector(perPosition(({ scale, negative }) => (negative ? scale : 1))) }),
        temperature,
        divergence,
        jsdWeight,
        weights: vector(perPosition(() => weight)),
        policy: {
          tokens: Tensor.from(
            targets.map((t) => Math.max(t, 0)),
            [rows * positions],
            device,
          ),
          coefficients: vector(perPosition(({ coefficients }, n) => coefficients[n] as number)),
        },
      },
    );
    if (optimizer) optimizer.accumulate(tape.backward([[logits, grad.reshape(logits.shape)]]));
    return [perToken, entropy] as const;
  });
  const values = Promise.all(results.map((t) => t.read()));
  // The reads are enqueued: what they read lives until they are through.
  for (const tensor of results) tensor.dispose();
  const [divergences, entropies] = await values;
  const split = (values: Float32Array) =>
    rollouts.map(({ tokens }, r) => {
      const begin = r * positions + width - 1;
      return values.slice(begin, begin + tokens.length);
    });
  return { divergence: split(divergences as Float32Array), entropy: split(entropies as Float32Array) };
}
