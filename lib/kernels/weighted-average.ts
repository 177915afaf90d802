import { ShapeError, ValueError } from '../errors.ts';
import { native } from '../native.ts';
import { Tensor } from '../tensor/tensor.ts';
import { described, expectFloats, expectOptions, expectStored, expectTensor, type StoredType } from './arguments.ts';
import type { MergeOptions } from './lerp.ts';

/**
 * The average Σ_i weights[i] · arrays[i] / Σ_i weights[i], element by element, computed in float64 and rounded once.
 * Weights may be negative; only their proportions matter, and their sum must not be 0. An array of weight 0 is not
 * read; weights that leave one array give it bit for bit. On CUDA more than 128 arrays are taken 128 at a time, with a
 * rounding after each.
 *
 * With typed arrays: one or more Float32Arrays of one length; runs now and returns `out`, or a new array. With Tensors:
 * of one shape and type, float32, float16 or bfloat16; returns a Tensor of it at once and runs in queue order.
 *
 * @throws ShapeError, DTypeError for inputs that do not fit each other, or as many weights as there are arrays not given.
 * @throws ValueError for weights that are not finite or add up to 0, and an `out` that overlaps an input in part.
 */
export function weightedAverage(
  arrays: readonly Float32Array[],
  weights: readonly number[],
  options?: MergeOptions,
): Float32Array;
export function weightedAverage<D extends StoredType>(
  arrays: readonly Tensor<D>[],
  weights: readonly number[],
): Tensor<D>;
export function weightedAverage(
  arrays: readonly Float32Array[] | readonly Tensor<StoredType>[],
  weights: readonly number[],
  options: MergeOptions = {},
): Float32Array | Tensor<StoredType> {
  if (!Array.isArray(arrays)) {
    throw new ValueError(`arrays: expected an array of Float32Arrays or Tensors, got ${described(arrays)}`, 'arrays');
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
  expectOptions('options', options, ['out']);
  expectFloats('arrays[0]', first);
  const elements = { name: 'elements', size: first.length };
  const inputs = arrays.map((array, i) => {
    expectFloats(`arrays[${i}]`, array, elements);
    return array;
  });
  const { out = new Float32Array(first.length) } = options;
  expectFloats('out', out, elements);
  native.weightedAverageNow(inputs, weights, out);
  return out;
}
