import { ShapeError } from '../errors.ts';
import { type DeviceId, type DType, type NativeTensor, native, type TypedArrayOf } from '../native.ts';
import { type Device, deviceOf } from './device.ts';
import { track } from './scope.ts';

export type { DType } from '../native.ts';

/** The types that models compute on. Arithmetic is float32 in both; bfloat16 is how values are kept in between. */
export type ComputeType = 'float32' | 'bfloat16';

/**
 * A dense row-major array on a device. Operations on tensors return at once and run later, in order; only `read()` and
 * `device.synchronize()` wait. Memory is freed by `scope()`, `dispose()` or `using`; garbage collection is a safety net.
 */
export class Tensor<D extends DType = 'float32'> {
  readonly handle: NativeTensor;
  readonly shape: readonly number[];
  readonly dtype: D;

  /** Wraps a native handle; use `Tensor.from`, `Tensor.zeros` or an operation. */
  constructor(handle: NativeTensor, dtype: D, shape: readonly number[] = handle.shape()) {
    this.handle = handle;
    this.dtype = dtype;
    this.shape = shape;
    track(this);
  }

  /** A tensor with a copy of `data`. Throws ShapeError when the length does not fit the shape. */
  static from(data: Float32Array, shape: readonly number[], device?: Device): Tensor<'float32'>;
  static from(data: Int32Array, shape: readonly number[], device?: Device): Tensor<'int32'>;
  static from(data: Float32Array | Int32Array, shape: readonly number[], device?: Device): Tensor<'float32' | 'int32'> {
    const dtype = data instanceof Int32Array ? 'int32' : 'float32';
    return new Tensor(native.createTensor(device?.id ?? 'cpu', dtype, shape, data), dtype, [...shape]);
  }

  /** A tensor of zeros. */
  static zeros<D extends ComputeType | 'int32' = 'float32'>(
    shape: readonly number[],
    { dtype = 'float32' as D, device }: { dtype?: D; device?: Device } = {},
  ): Tensor<D> {
    const handle = native.createTensor(device?.id ?? 'cpu', dtype, shape);
    native.fill(handle, 0);
    return new Tensor(handle, dtype, [...shape]);
  }

  get device(): Device {
    return deviceOf(this.handle.device());
  }

  get deviceId(): DeviceId {
    return this.handle.device();
  }

  /** Number of elements. */
  get size(): number {
    return this.shape.reduce((a, b) => a * b, 1);
  }

  get disposed(): boolean {
    return this.handle.disposed();
  }

  /** A copy of the content. Rejects when an operation that led to it failed (NaN, token out of range, …). */
  read(): Promise<TypedArrayOf<D>> {
    return this.handle.read() as Promise<TypedArrayOf<D>>;
  }

  /** Replaces the content, in queue order; `data` is copied at the call. */
  write(data: TypedArrayOf<D>): void {
    this.handle.write(data);
  }

  /** The same memory under another shape of as many elements. One dimension may be −1. */
  reshape(shape: readonly number[]): Tensor<D> {
    const known = shape.reduce((a, b) => (b === -1 ? a : a * b), 1);
    const full = shape.map((d) => (d === -1 ? this.size / known : d));
    if (
      full.some((d) => d < 0) ||
      full.reduce((a, b) => a * b, 1) !== this.size ||
      full.some((d) => !Number.isInteger(d))
    ) {
      throw new ShapeError(`shape: expected ${this.size} elements, got [${shape.join(', ')}]`, 'shape');
    }
    return new Tensor(this.handle.view(full, 0), this.dtype, full);
  }

  /** Rows `begin` … `end` − 1 of the first dimension, in the same memory. */
  rows(begin: number, end: number): Tensor<D> {
    const [count = 0, ...rest] = this.shape;
    if (!(Number.isInteger(begin) && Number.isInteger(end) && begin >= 0 && begin <= end && end <= count)) {
      throw new ShapeError(`rows: expected 0 ≤ begin ≤ end ≤ ${count}, got ${begin} and ${end}`, 'rows');
    }
    const shape = [end - begin, ...rest];
    return new Tensor(this.handle.view(shape, begin * rest.reduce((a, b) => a * b, 1)), this.dtype, shape);
  }

  /** Frees the memory once queued operations are through. Using the tensor afterwards throws ValueError. */
  dispose(): void {
    this.handle.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
