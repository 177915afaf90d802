import { expect } from 'vitest';
import type { DType, NativeTensor } from '../../lib/native.ts';
import { native } from '../../lib/native.ts';
import { type Device, device } from '../../lib/tensor/device.ts';
import { ORDERS, setOrder, useEmulatedDevice } from './emulated-device.ts';
import { bfloat16Bits, bfloat16Values } from './half.ts';

/** Elements as numbers, whatever they are stored as. */
export function numbersOf(tensor: NativeTensor, data: Float32Array | Int32Array | Uint16Array): number[] {
  if (tensor.dtype() !== 'bfloat16') return Array.from(data);
  return Array.from(bfloat16Values(data as Uint16Array));
}

/**
 * A tensor whose memory begins `skew` elements into its storage, so that it need not be aligned. Float values may be
 * given for bfloat16.
 */
export function placed(
  on: Device,
  data: Float32Array | Int32Array,
  shape: readonly number[],
  { dtype = data instanceof Int32Array ? 'int32' : 'float32', skew = 0 }: { dtype?: DType; skew?: number } = {},
): NativeTensor {
  const elements = dtype === 'bfloat16' ? bfloat16Bits(data as Float32Array) : data;
  // All of the storage is written: memory that is used again may still hold the failure of its last operation.
  const whole = new (elements.constructor as new (n: number) => typeof elements)(skew + elements.length);
  whole.set(elements, skew);
  return native.createTensor(on.id, dtype, [whole.length], whole).view(shape, skew);
}

/** Makes 'cuda' the emulated device. Call in beforeAll, with BUILD_TIMEOUT. */
export async function bothDevices(): Promise<{ cpu: Device; cuda: Device }> {
  useEmulatedDevice();
  return { cpu: await device('cpu'), cuda: await device('cuda') };
}

/**
 * Runs the same operations on the CPU and, with the threads in every order, on the emulated device. The latter must not
 * depend on the order at all, and must agree with the CPU: |actual − expected| ≤ tolerance · (|expected| + root mean
 * square of the tensor), equal where expected is not finite. Integers must be equal.
 */
export async function expectAgreement(
  run: (on: Device) => readonly NativeTensor[],
  devices: { cpu: Device; cuda: Device },
  tolerance: number,
): Promise<void> {
  const read = async (on: Device) =>
    Promise.all(run(on).map(async (tensor) => ({ tensor, data: await tensor.read() })));
  const expected = await read(devices.cpu);
  let first: Awaited<ReturnType<typeof read>> | undefined;
  try {
    for (const order of ORDERS) {
      setOrder(order);
      const actual = await read(devices.cuda);
      first ??= actual;
      for (const [i, { data }] of actual.entries())
        if (!sameBytes(data, first[i]?.data))
          expect(data, `result ${i}, thread order ${order}`).toEqual(first[i]?.data);
    }
  } finally {
    setOrder('forward');
  }
  expect(first?.length).toBe(expected.length);
  for (const [i, { tensor, data }] of expected.entries()) {
    const result = first?.[i];
    if (!result) throw new Error(`no result ${i}`);
    expect(result.tensor.shape()).toEqual(tensor.shape());
    expect(result.tensor.dtype()).toBe(tensor.dtype());
    expectClose(numbersOf(result.tensor, result.data), numbersOf(tensor, data), tensor.dtype(), tolerance, i);
  }
}

/** What `toEqual` takes long to say of large arrays. */
export function sameBytes(a: ArrayBufferView, b: ArrayBufferView | undefined): boolean {
  const bytes = (view: ArrayBufferView) => Buffer.from(view.buffer, view.byteOffset, view.byteLength);
  return b !== undefined && bytes(a).equals(bytes(b));
}

function expectClose(actual: number[], expected: number[], dtype: DType, tolerance: number, index: number): void {
  if (dtype === 'int32') {
    expect(actual, `result ${index}`).toEqual(expected);
    return;
  }
  const finite = expected.filter(Number.isFinite);
  const size = Math.sqrt(finite.reduce((sum, x) => sum + x * x, 0) / Math.max(1, finite.length));
  for (const [k, value] of expected.entries()) {
    const got = actual[k] as number;
    const close = Number.isFinite(value)
      ? Math.abs(got - value) <= tolerance * (Math.abs(value) + size)
      : Object.is(got, value);
    if (!close) expect.fail(`result ${index}, element ${k}: expected ${value}, got ${got} (rms ${size})`);
  }
}
