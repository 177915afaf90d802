import type { NativeAddon } from '../native.ts';
import { Tensor } from '../tensor/tensor.ts';
import { expectOptions, expectStored, expectTensor, type StoredType } from './arguments.ts';
import { elementsOf, elementType, type FloatArray, newLike } from './host-elements.ts';
import type { MergeOptions } from './lerp.ts';

/** One interpolation of two inputs, over Tensors and over host memory. */
interface Interpolation {
  tensors: NativeAddon['lerp'];
  now: NativeAddon['lerpNow'];
}

/** Checks what `lerp` and `slerp` take, and runs one of them. */
export function interpolated(
  { tensors, now }: Interpolation,
  a: FloatArray | Tensor<StoredType>,
  b: FloatArray | Tensor<StoredType>,
  weight: number,
  options: object,
): FloatArray | Tensor<StoredType> {
  if (a instanceof Tensor) {
    expectStored('a', a);
    expectTensor('b', b, a.dtype);
    expectOptions('options', options, []);
    return new Tensor(tensors(a.handle, b.handle, weight), a.dtype);
  }
  expectOptions('options', options, ['dtype', 'out']);
  const { dtype, out: given } = options as MergeOptions<FloatArray>;
  const type = elementType('a', a, dtype);
  const own = elementsOf('a', a, type);
  const elements = { name: 'elements', size: own.length };
  const other = elementsOf('b', b, type, elements);
  const out = given ?? newLike(a, own.length);
  now(own, other, weight, elementsOf('out', out, type, elements), type);
  return out;
}
