import { CheckpointError, DTypeError, ShapeError } from '../../errors.ts';
import { hostArray } from '../../host-arrays.ts';
import { byteSize, type StoredTensor } from './dtype.ts';

/** The element types that hold floating-point weights. */
export type FloatDType = 'F32' | 'F16' | 'BF16';

const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);

/** A bfloat16's bits as float32, exactly. */
export function bf16ToFloat32(bits: number): number {
  scratchBits[0] = bits << 16;
  return scratchFloat[0]!;
}

/** An IEEE binary16's bits as float32, exactly. */
export function f16ToFloat32(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent < 31) return sign * (1024 + fraction) * 2 ** (exponent - 25);
  scratchBits[0] = ((bits & 0x8000) << 16) | 0x7f800000 | (fraction << 13);
  return scratchFloat[0]!;
}

/** A float32 as bfloat16 bits, rounded to nearest, ties to even; overflow gives infinity, NaN stays NaN. */
export function float32ToBf16(value: number): number {
  scratchFloat[0] = value;
  const bits = scratchBits[0]!;
  if ((bits & 0x7fffffff) > 0x7f800000) {
    // Quiet, so that dropping the payload's low half cannot make an infinity of it.
    return (bits >>> 16) | 0x40;
  }
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** A float32 as binary16 bits, rounded to nearest, ties to even; overflow gives infinity, NaN stays NaN. */
export function float32ToF16(value: number): number {
  scratchFloat[0] = value;
  const bits = scratchBits[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff);
  // 65520, halfway between the largest finite value and the next power of two, is the first to become infinite.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) {
    const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
    return sign | ((rounded - 0x38000000) >>> 13);
  }
  // Below 2⁻¹⁴ the result is a multiple of 2⁻²⁴: adding 0.5 to the magnitude makes float32 round to just that.
  scratchFloat[0] = Math.abs(scratchFloat[0]!) + 0.5;
  return sign | (scratchBits[0]! - 0x3f000000);
}

/**
 * A stored tensor's elements as float32: F32 as a view on the same memory where its alignment allows (a copy
 * otherwise), F16 and BF16 widened exactly into a new array.
 *
 * @param name what an error calls the tensor
 * @throws DTypeError for element types that float32 cannot hold exactly, CheckpointError when data and shape differ
 */
export function toFloat32(tensor: StoredTensor, name = 'tensor'): Float32Array {
  const { dtype, shape, data } = tensor;
  if (dtype !== 'F32' && dtype !== 'F16' && dtype !== 'BF16') {
    throw new DTypeError(`${name}: expected F32, F16 or BF16, got ${dtype}`, name);
  }
  const expected = byteSize(dtype, shape);
  if (data.byteLength !== expected) {
    throw new CheckpointError(
      `${name}: expected ${expected} bytes for ${dtype} [${shape.join(', ')}], got ${data.byteLength}`,
      name,
    );
  }
  const width = dtype === 'F32' ? 4 : 2;
  const bytes = data.byteOffset % width === 0 ? data : new Uint8Array(data);
  if (dtype === 'F32') return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const narrow = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  const wide = hostArray('float32', narrow.length, name);
  // A loop over numbers: `from` with a function takes ten times as long.
  if (dtype === 'F16') {
    for (let i = 0; i < narrow.length; i++) wide[i] = f16ToFloat32(narrow[i]!);
  } else {
    const bits = new Uint32Array(wide.buffer);
    for (let i = 0; i < narrow.length; i++) bits[i] = narrow[i]! << 16;
  }
  return wide;
}

/**
 * Stores float32 values as F32 (a view on `values`, not a copy), F16 or BF16 (rounded to nearest, ties to even).
 *
 * @throws ShapeError when the number of values does not fit the shape
 */
export function fromFloat32(values: Float32Array, shape: readonly number[], dtype: FloatDType = 'F32'): StoredTensor {
  if (byteSize('F32', shape) !== values.length * 4) {
    throw new ShapeError(
      `values: expected as many as shape [${shape.join(', ')}] has elements, got ${values.length}`,
      'values',
    );
  }
  if (dtype === 'F32') {
    const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return { dtype, shape: [...shape], data };
  }
  const narrow = hostArray('uint16', values.length, 'the values');
  const convert = dtype === 'F16' ? float32ToF16 : float32ToBf16;
  for (let i = 0; i < values.length; i++) narrow[i] = convert(values[i]!);
  return { dtype, shape: [...shape], data: new Uint8Array(narrow.buffer) };
}
