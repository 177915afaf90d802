import { ShapeError, ValueError } from '../errors.ts';
import { native } from '../native.ts';
import { Tensor } from '../tensor/tensor.ts';
import { described, expectOptions, expectStored, expectTensor, type StoredType } from './arguments.ts';
import { elementsOf, elementType, type FloatArray, type Like, newLike } from './host-elements.ts';
import type { MergeArguments, MergeOptions } from './lerp.ts';

/**
 * The average Σ_i weights[i] · arrays[i] / Σ_i weights[i], element by element. Weights may be negative; only their
 * proportions matter, and their sum must not be 0. An array of weight 0 is not read; weights that leave one array give it
 * bit for bit. Float32 is computed in float64 and rounded once; bfloat16 and float16 are computed in float32, which adds
 * up to (arrays + 2) · 2^−24 Σ_i |terms| to the half unit in the last place of the result. On CUDA more than 128 arrays
 * are taken 128 at a time, with a rounding after each.
 *
 * With typed arrays: one or more of one length, all Float32Arrays, all Uint16Arrays of the `dtype` 'bf16' or 'f16', or
 * all Float16Arrays; runs now and returns `out`, or a new array of their kind. With Tensors: of one shape and type,
 * float32, float16 or bfloat16; returns a Tensor of it at once and runs in queue order.
 *
 * @throws ShapeError, DTypeError for inputs that do not fit each other, or as many weights as there are arrays not given.
 * @throws ValueError for weights that are not finite or add up to 0, and an `out` that overlaps an input in part.
 */
export function weightedAverage<A extends FloatArray>(
  arrays: readonly [A, ...Like<A>[]] | readonly A[],
  weights: readonly number[],
  ...options: MergeArguments<A>
): Like<A>;
export function weightedAverage<D extends StoredType>(
  arrays: readonly Tensor<D>[],
  weights: readonly number[],
): Tensor<D>;
export function weightedAverage(
  arrays: readonly FloatArray[] | readonly Tensor<StoredType>[],
  weights: readonly number[],
  options: object = {},
): FloatArray | Tensor<StoredType> {
  if (!Array.isArray(arrays)) {
    throw new ValueError(`arrays: expected an array of typed arrays or Tensors, got ${described(arrays)}`, 'arrays');
  }
  if (!Array.isArray(weights)) {
    throw new ValueError(`weights: expected an array of numbers, got ${described(weights)}`, 'weights');
  }
  if (arrays.length === 0) throw new ShapeError('arrays: expected at least one, got none', 'arrays');
  if (weights.length !== arrays.length) {
    throw new ShapeError(`weights: expected [arrays] = [${arrays.length}], got ${weights.length} elements`, 'weights');
  }
  const [first] = arrays;
  if (first instanceof Tensor) {
    expectOptions('options', options, []);
    expectStored('arrays[0]', first);
    const { dtype } = first;
    const handles = arrays.map((tensor, i) => {
      expectTensor(`arrays[${i}]`, tensor, dtype);
      return tensor.handle;
    });
    return new Tensor(native.weightedAverage(handles, weights), dtype);
  }
  expectOptions('options', options, ['dtype', 'out']);
  const { dtype, out: given } = options as MergeOptions<FloatArray>;
  const type = elementType('arrays[0]', first, dtype);
  const size = elementsOf('arrays[0]', first, type).length;
  const elements = { name: 'elements', size };
  const inputs = arrays.map((array, i) => elementsOf(`arrays[${i}]`, array, type, elements));
  const out = given ?? newLike(first as FloatArray, size);
  native.weightedAverageNow(inputs, weights, elementsOf('out', out, type, elements), type);
  return out;
}
