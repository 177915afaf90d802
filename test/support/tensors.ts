import type { NativeTensor } from '../../lib/native.ts';
import { native } from '../../lib/native.ts';

/** A float32 tensor on the CPU. */
export function floats(shape: readonly number[], data: ArrayLike<number>): NativeTensor {
  return native.createTensor('cpu', 'float32', shape, Float32Array.from(data));
}

/** An int32 tensor on the CPU. */
export function ints(shape: readonly number[], data: ArrayLike<number>): NativeTensor {
  return native.createTensor('cpu', 'int32', shape, Int32Array.from(data));
}

export async function readFloats(tensor: NativeTensor): Promise<Float32Array> {
  return (await tensor.read()) as Float32Array;
}

export async function readInts(tensor: NativeTensor): Promise<Int32Array> {
  return (await tensor.read()) as Int32Array;
}

/**
 * The gradient of a float64 function by central differences. With steps of 1e-5 on values of about 1 the truncation is
 * about 1e-10 and the cancellation about 1e-11: exact beside float32.
 */
export function centralDifferences(f: (x: Float64Array) => number, at: ArrayLike<number>, step = 1e-5): Float64Array {
  const x = Float64Array.from(at);
  return Float64Array.from(at, (value, i) => {
    x[i] = value + step;
    const above = f(x);
    x[i] = value - step;
    const below = f(x);
    x[i] = value;
    return (above - below) / (2 * step);
  });
}

/** Σ a[i] · b[i] in float64: a scalar whose gradient in `a` is `b`. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** The results of `run` with one thread and with all of them, to be compared bit for bit. */
export async function withThreads<R>(run: () => Promise<R>): Promise<{ one: R; all: R }> {
  const threads = native.threads();
  try {
    native.threads(1);
    const one = await run();
    native.threads(threads);
    return { one, all: await run() };
  } finally {
    native.threads(threads);
  }
}
