import { operations, Tensor } from 'cfgdistill';

/** 1, 2, 3, … */
export const counting = (shape: readonly number[]): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  return Tensor.from(
    Float32Array.from({ length: size }, (_, i) => i + 1),
    shape,
  );
};
/** A tensor whose computation fails on the device: token 5 of a table of 2. */
export const poisoned = (): Tensor => operations.embedding(counting([2, 3]), Tensor.from(Int32Array.of(0, 5), [2]));
export const POISON = /^ids: expected a token from 0 to 1 at 1, got 5$/;

/** Fails rather than hangs. */
export function inTime<T>(promise: Promise<T>): Promise<T> {
  return Promise.race([
    promise,
    new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error('still pending after 5 s')), 5000).unref();
    }),
  ]);
}

export const numbers = async (tensor: Tensor): Promise<number[]> => [...(await inTime(tensor.read()))];
