import { DTypeError, ShapeError, ValueError } from '../errors.ts';
import { type ComputeType, type DType, Tensor } from '../tensor/tensor.ts';

/** Types that weights are stored in. */
export type StoredType = Exclude<DType, 'int32'>;

/** A short description of a value for error messages. */
export function described(value: unknown): string {
  if (value instanceof Tensor) return `a Tensor of ${value.dtype} [${value.shape.join(', ')}]`;
  if (ArrayBuffer.isView(value)) return value.constructor.name;
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'string') return `'${value}'`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}

/** Throws ValueError for anything but a plain object whose keys are all known. */
export function expectOptions(argument: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || ArrayBuffer.isView(options) || options instanceof Tensor) {
    throw new ValueError(`${argument}: expected an object, got ${described(options)}`, argument);
  }
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) {
      throw new ValueError(`${argument}: expected only ${known.join(', ')}, got the unknown key '${key}'`, argument);
    }
  }
}

/** Throws ValueError unless `value` is an integer of at least `low`. */
export function expectInteger(argument: string, value: unknown, low: number): asserts value is number {
  if (!Number.isInteger(value) || (value as number) < low) {
    throw new ValueError(`${argument}: expected an integer of at least ${low}, got ${described(value)}`, argument);
  }
}

export interface Dimension {
  readonly name: string;
  readonly size: number;
}

export function expectLength(argument: string, length: number, dimensions: readonly Dimension[]): void {
  const size = dimensions.reduce((product, dimension) => product * dimension.size, 1);
  if (length === size) return;
  const names = dimensions.map((dimension) => dimension.name).join(', ');
  const sizes = dimensions.map((dimension) => dimension.size).join(', ');
  const elements = dimensions.length > 1 ? `, ${size} elements` : '';
  throw new ShapeError(`${argument}: expected [${names}] = [${sizes}]${elements}, got ${length} elements`, argument);
}

/** Throws ValueError for an array whose buffer was transferred, or shrank and left it behind: it looks like an empty one. */
export function expectMemory(argument: string, value: ArrayBufferView & { readonly length: number }): void {
  if (value.length > 0) return;
  try {
    // Only a view that fits its buffer lets its elements be looked at, whatever kind of array it is.
    Uint8Array.prototype.at.call(value as unknown as Uint8Array, 0);
  } catch (cause) {
    const got = isDetached(value.buffer) ? 'was transferred' : 'has shrunk';
    const expected = `${value.constructor.name} with memory`;
    throw new ValueError(`${argument}: expected a ${expected}, got one whose buffer ${got}`, argument, { cause });
  }
}

function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}

/** Throws DTypeError unless `value` is a Float32Array, ShapeError unless its length is that of the dimensions. */
export function expectFloats(
  argument: string,
  value: unknown,
  ...dimensions: Dimension[]
): asserts value is Float32Array {
  if (!(value instanceof Float32Array)) {
    throw new DTypeError(`${argument}: expected a Float32Array, got ${described(value)}`, argument);
  }
  expectMemory(argument, value);
  if (dimensions.length) expectLength(argument, value.length, dimensions);
}

/** Throws DTypeError unless `value` is an Int32Array, ShapeError unless its length is that of the dimensions. */
export function expectInts(argument: string, value: unknown, ...dimensions: Dimension[]): asserts value is Int32Array {
  if (!(value instanceof Int32Array)) {
    throw new DTypeError(`${argument}: expected an Int32Array, got ${described(value)}`, argument);
  }
  expectMemory(argument, value);
  if (dimensions.length) expectLength(argument, value.length, dimensions);
}

/** Throws DTypeError unless `value` is a Tensor of this element type. */
export function expectTensor<D extends DType>(argument: string, value: unknown, dtype: D): asserts value is Tensor<D> {
  if (!(value instanceof Tensor) || value.dtype !== dtype) {
    throw new DTypeError(`${argument}: expected a Tensor of ${dtype}, got ${described(value)}`, argument);
  }
}

/** Throws DTypeError unless the value is a Tensor of a type that kernels compute on. */
export function expectElements(argument: string, value: unknown): asserts value is Tensor<ComputeType> {
  if (!(value instanceof Tensor) || (value.dtype !== 'float32' && value.dtype !== 'bfloat16')) {
    throw new DTypeError(`${argument}: expected a Tensor of float32 or bfloat16, got ${described(value)}`, argument);
  }
}

/** Throws DTypeError unless the value is a Tensor of floats, in any type that a checkpoint is stored in. */
export function expectStored(argument: string, value: unknown): asserts value is Tensor<StoredType> {
  if (!(value instanceof Tensor) || value.dtype === 'int32') {
    throw new DTypeError(
      `${argument}: expected a Tensor of float32, float16 or bfloat16, got ${described(value)}`,
      argument,
    );
  }
}

/** A size that a Tensor's shape tells already may be given again; throws ShapeError when it says something else. */
export function expectAgreement(argument: string, given: number | undefined, actual: number | undefined): void {
  if (given === undefined || given === actual) return;
  throw new ShapeError(`${argument}: expected ${actual} as in the Tensor's shape, got ${described(given)}`, argument);
}

/** The rows of logits [rows, vocab] in a flat array, for other arguments to be measured by. */
export function logitsOf(
  argument: string,
  value: { readonly length: number },
  vocab: unknown,
): { rows: Dimension; vocab: Dimension } {
  expectInteger('vocab', vocab, 1);
  if (value.length % vocab !== 0) {
    throw new ShapeError(
      `${argument}: expected a multiple of vocab = ${vocab} elements, got ${value.length}`,
      argument,
    );
  }
  return { rows: { name: 'rows', size: value.length / vocab }, vocab: { name: 'vocab', size: vocab } };
}

/**
 * The scale as the addon takes it. Without a second branch there is nothing to scale: then it may only be left out or 1.
 */
export function scaleFor<S>(scale: S | undefined, guided: boolean): S | 1 {
  if (guided && scale === undefined) {
    throw new ValueError(
      'scale: expected a number, or one per row, to combine cond and uncond with; got none',
      'scale',
    );
  }
  if (!guided && scale !== undefined && scale !== 1) {
    throw new ValueError(`scale: expected none (or 1) as uncond is null, got ${described(scale)}`, 'scale');
  }
  return scale ?? 1;
}
