import { hostArray } from '../host-arrays.ts';
import { type Divergence, native } from '../native.ts';
import { type ComputeType, Tensor } from '../tensor/tensor.ts';
import {
  expectAgreement,
  expectElements,
  expectFloats,
  expectInts,
  expectOptions,
  expectTensor,
  logitsOf,
  scaleFor,
} from './arguments.ts';
import { type ElementOption, elementsOf, elementType, type FloatArray, type Like, newLike } from './host-elements.ts';

export type { Divergence } from '../native.ts';

/** What the loss is made of; `F` holds one float32 per row, `I` one int32 per row. */
export interface DistillationOptions<F, I> {
  /** Size of the vocabulary, which a Tensor's shape tells already. */
  vocab?: number;
  /** Guidance scale of the teacher, one number or one per row. Needed unless `uncond` is null. */
  scale?: number | F;
  /** Both distributions are softmax(logits / temperature); more than 0, default 1. */
  temperature?: number;
  /** 'reverse' KL(p ‖ q) (default), 'forward' KL(q ‖ p), or 'jsd', with p the student's and q the teacher's. */
  divergence?: Divergence;
  /** w of 'jsd': (1 − w) KL(p ‖ m) + w KL(q ‖ m), m = (1 − w) p + w q; 0 < w < 1, default ½. */
  jsdWeight?: number;
  /** Factor of each row's divergence in the loss, default 1. */
  weights?: F;
  /** Policy-gradient term: −coefficients[r] · log p_r(tokens[r]). Tokens must be in range in every row. */
  policy?: { tokens: I; coefficients: F };
}

/** `G` is the kind of array that the gradient is. */
export type DistillationLossOptions<
  A extends FloatArray = Float32Array,
  G extends FloatArray = Like<A>,
> = ElementOption<A> &
  DistillationOptions<Float32Array, Int32Array> & {
    /** Size of the vocabulary; rows = length / vocab. */
    vocab: number;
    /**
     * Where the gradient goes: as long as `student`, and either memory of its own or exactly one of the inputs. Of their
     * kind, or a Float32Array, which takes the gradient unrounded. Default: a new array of their kind.
     */
    out?: G;
  };

export interface DistillationResult<L, F, G = F> {
  /** Σ_r weights[r] · perToken[r] − Σ_r coefficients[r] · log p_r(tokens[r]), rounded to float32; [1] as a Tensor. */
  loss: L;
  /** [rows]: each row's divergence in nats, at least 0. */
  perToken: F;
  /** [rows]: entropy of the student's p in nats. */
  entropy: F;
  /** [rows, vocab]: ∂loss/∂student, its factor 1/temperature included; of the student's type. */
  grad: G;
}

/**
 * The divergence from a student's next-token distribution to a guided teacher's, per row, with its gradient in the
 * student's logits and a policy-gradient term, in one pass over the logits (distillation of guidance: arXiv 2410.06084).
 * The teacher's logits are `guidedLogits(cond, uncond, scale)`, or `cond` when `uncond` is null.
 *
 * A token that is −∞ in any of the inputs leaves the support of both distributions, which are renormalised; its gradient
 * is 0. A row of weight 0 and coefficient 0 is not read: its perToken, entropy and gradient are 0.
 *
 * With typed arrays: [rows, vocab], row-major, all Float32Arrays, all Uint16Arrays of the `dtype` 'bf16' or 'f16', or all
 * Float16Arrays; runs now, and `grad` is `out` or a new array. Arithmetic is float32, whatever the inputs are. With Tensors: all
 * logits float32 or all bfloat16, [rows, vocab]; returns Tensors at once and runs in queue order. Both give the same
 * numbers.
 *
 * @throws ShapeError, DTypeError for arguments that do not fit each other.
 * @throws ValueError for an option out of range, NaN or +∞ in a logit, an empty support, a token out of range, or one
 *   outside the support whose coefficient is not 0. With Tensors, what is wrong with the data rejects at `read()`.
 */
export function distillationLoss<A extends FloatArray, G extends Like<A> | Float32Array = Like<A>>(
  student: A,
  cond: Like<A>,
  uncond: Like<A> | null,
  options: DistillationLossOptions<A, G>,
): DistillationResult<number, Float32Array, G>;
export function distillationLoss<C extends ComputeType>(
  student: Tensor<C>,
  cond: Tensor<NoInfer<C>>,
  uncond: Tensor<NoInfer<C>> | null,
  options: DistillationOptions<Tensor, Tensor<'int32'>>,
): DistillationResult<Tensor, Tensor, Tensor<C>>;
export function distillationLoss(
  student: FloatArray | Tensor<ComputeType>,
  cond: FloatArray | Tensor<ComputeType>,
  uncond: FloatArray | Tensor<ComputeType> | null,
  options: DistillationLossOptions<FloatArray, FloatArray> | DistillationOptions<Tensor, Tensor<'int32'>>,
): DistillationResult<number, Float32Array, FloatArray> | DistillationResult<Tensor, Tensor, Tensor<ComputeType>> {
  const names = ['vocab', 'scale', 'temperature', 'divergence', 'jsdWeight', 'weights', 'policy'];
  expectOptions('options', options, student instanceof Tensor ? names : ['dtype', 'out', ...names]);
  const { temperature = 1, divergence = 'reverse', jsdWeight = 0.5, weights, policy } = options;
  if (policy !== undefined) expectOptions('policy', policy, ['tokens', 'coefficients']);
  const scale = scaleFor<number | Float32Array | Tensor>(options.scale, uncond !== null);

  if (student instanceof Tensor) {
    expectElements('student', student);
    expectAgreement('vocab', options.vocab, student.shape[1]);
    expectTensor('cond', cond, student.dtype);
    if (uncond !== null) expectTensor('uncond', uncond, student.dtype);
    if (typeof scale !== 'number') expectTensor('scale', scale, 'float32');
    if (weights !== undefined) expectTensor('weights', weights, 'float32');
    if (policy !== undefined) {
      expectTensor('policy.tokens', policy.tokens, 'int32');
      expectTensor('policy.coefficients', policy.coefficients, 'float32');
    }
    const { tokens, coefficients } = (policy ?? {}) as { tokens?: Tensor<'int32'>; coefficients?: Tensor };
    const [loss, perToken, entropy, grad] = native.distillationLoss(
      student.handle,
      cond.handle,
      uncond?.handle ?? null,
      typeof scale === 'number' ? scale : scale.handle,
      temperature,
      divergence,
      jsdWeight,
      weights?.handle,
      tokens?.handle,
      coefficients?.handle,
    );
    return {
      loss: new Tensor(loss, 'float32'),
      perToken: new Tensor(perToken, 'float32'),
      entropy: new Tensor(entropy, 'float32'),
      grad: new Tensor(grad, student.dtype),
    };
  }

  const { vocab: width, dtype, out } = options as DistillationLossOptions<FloatArray, FloatArray>;
  const type = elementType('student', student, dtype);
  const own = elementsOf('student', student, type);
  const { rows, vocab } = logitsOf('student', own, width);
  const grad = out ?? newLike(student, own.length);
  const gradType = grad instanceof Float32Array ? 'float32' : type;
  const teacher = elementsOf('cond', cond, type, rows, vocab);
  const other = uncond === null ? null : elementsOf('uncond', uncond, type, rows, vocab);
  const gradient = elementsOf('out', grad, gradType, rows, vocab);
  if (typeof scale !== 'number') expectFloats('scale', scale, rows);
  if (weights !== undefined) expectFloats('weights', weights, rows);
  if (policy !== undefined) {
    expectInts('policy.tokens', policy.tokens, rows);
    expectFloats('policy.coefficients', policy.coefficients, rows);
  }
  const { tokens, coefficients } = (policy ?? {}) as { tokens?: Int32Array; coefficients?: Float32Array };
  const perToken = hostArray('float32', rows.size, 'one value per row');
  const entropy = hostArray('float32', rows.size, 'one value per row');
  const loss = native.distillationLossNow(
    own,
    teacher,
    other,
    width,
    scale,
    temperature,
    divergence,
    jsdWeight,
    weights,
    tokens,
    coefficients,
    perToken,
    entropy,
    gradient,
    type,
    gradType,
  );
  return { loss, perToken, entropy, grad };
}
