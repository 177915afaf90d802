import { ShapeError } from '../errors.ts';
import { hostArray } from '../host-arrays.ts';
import { native } from '../native.ts';
import { type ComputeType, Tensor } from '../tensor/tensor.ts';
import {
  expectAgreement,
  expectElements,
  expectFloats,
  expectInteger,
  expectOptions,
  expectTensor,
} from './arguments.ts';
import { type ElementOption, elementsOf, elementType, type FloatArray } from './host-elements.ts';

export type DiversityRewardOptions<A extends FloatArray = Float32Array> = ElementOption<A> & {
  prompts: number;
  /** Generations per prompt, at least 2. */
  samples: number;
  /** Length of one embedding. */
  dimensions: number;
  /** One per prompt, used instead of the built-in baselines. They must not depend on the generations rewarded. */
  baselines?: Float32Array;
};

export interface DiversityRewardResult<F> {
  /** [prompts, samples]: mean distance of a generation to the others of its prompt. */
  reward: F;
  /** [prompts, samples]: reward minus a baseline that does not depend on the generation. */
  advantage: F;
  /** [prompts]: mean distance over the pairs of a prompt. */
  diversity: F;
}

/**
 * Rewards generations for differing from the others of the same prompt, by the embeddings' distance 1 − cos, which is
 * in [0, 2] (arXiv 2410.06084). A zero vector has cosine 0 with everything.
 *
 * (2 / samples) Σ_i advantage_i ∇log p(y_i) is an unbiased estimate of the gradient of the expected diversity. The
 * baseline of generation i is the mean distance over the pairs without i; for two samples, the mean diversity of the
 * other prompts (0 if there is none); or what `baselines` gives.
 *
 * With typed arrays: `embeddings` is [prompts, samples, dimensions], row-major, a Float32Array, a Uint16Array of the
 * `dtype` 'bf16' or 'f16', or a Float16Array; runs now. With Tensors: float32
 * or bfloat16 [prompts, samples, dimensions], `baselines` [prompts]; returns Tensors at once and runs in queue order.
 *
 * @throws ShapeError for fewer than two samples, for more than 1,024 on CUDA, and for lengths that do not fit, DTypeError for other element types.
 * @throws ValueError for NaN or an infinity in the embeddings or baselines; with Tensors at `read()`.
 */
export function diversityReward<A extends FloatArray>(
  embeddings: A,
  options: DiversityRewardOptions<A>,
): DiversityRewardResult<Float32Array>;
export function diversityReward(
  embeddings: Tensor<ComputeType>,
  options?: { prompts?: number; samples?: number; dimensions?: number; baselines?: Tensor },
): DiversityRewardResult<Tensor>;
export function diversityReward(
  embeddings: FloatArray | Tensor<ComputeType>,
  options:
    | DiversityRewardOptions<FloatArray>
    | { prompts?: number; samples?: number; dimensions?: number; baselines?: Tensor } = {},
): DiversityRewardResult<Float32Array> | DiversityRewardResult<Tensor> {
  const names = ['prompts', 'samples', 'dimensions', 'baselines'];
  expectOptions('options', options, embeddings instanceof Tensor ? names : ['dtype', ...names]);
  const { prompts, samples, dimensions, baselines } = options as Partial<Omit<DiversityRewardOptions, 'baselines'>> & {
    baselines?: Float32Array | Tensor;
  };
  if (embeddings instanceof Tensor) {
    expectElements('embeddings', embeddings);
    expectAgreement('prompts', prompts, embeddings.shape[0]);
    expectAgreement('samples', samples, embeddings.shape[1]);
    expectAgreement('dimensions', dimensions, embeddings.shape[2]);
    if (baselines !== undefined) expectTensor('baselines', baselines, 'float32');
    const [reward, advantage, diversity] = native.diversityReward(embeddings.handle, baselines?.handle);
    return {
      reward: new Tensor(reward, 'float32'),
      advantage: new Tensor(advantage, 'float32'),
      diversity: new Tensor(diversity, 'float32'),
    };
  }
  expectInteger('prompts', prompts, 1);
  expectInteger('samples', samples, 0);
  expectInteger('dimensions', dimensions, 1);
  if (samples < 2) {
    throw new ShapeError(`samples: expected at least 2 per prompt, to compare them, got ${samples}`, 'samples');
  }
  const rows = { name: 'prompts', size: prompts };
  const type = elementType('embeddings', embeddings, (options as DiversityRewardOptions<FloatArray>).dtype);
  const elements = elementsOf(
    'embeddings',
    embeddings,
    type,
    rows,
    { name: 'samples', size: samples },
    { name: 'dimensions', size: dimensions },
  );
  if (baselines !== undefined) expectFloats('baselines', baselines, rows);
  const reward = hostArray('float32', prompts * samples, 'the rewards');
  const advantage = hostArray('float32', prompts * samples, 'the rewards');
  const diversity = hostArray('float32', prompts, 'the diversities');
  native.diversityRewardNow(elements, prompts, samples, dimensions, baselines, reward, advantage, diversity, type);
  return { reward, advantage, diversity };
}
