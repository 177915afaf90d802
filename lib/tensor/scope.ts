import { ValueError } from '../errors.ts';

interface Disposable {
  dispose(): void;
}

let current: Set<Disposable> | null = null;
let attempt: Set<Disposable> | null = null;

/** Called for every new tensor. */
export function track(tensor: Disposable): void {
  current?.add(tensor);
  attempt?.add(tensor);
}

/** Runs `body`; when it throws, disposes the tensors made in it, also those given to `keep`. */
export function allOrNothing<R>(body: () => R): R {
  const outer = attempt;
  const mine = new Set<Disposable>();
  attempt = mine;
  try {
    const result = body();
    for (const tensor of mine) outer?.add(tensor);
    return result;
  } catch (error) {
    for (const tensor of mine) tensor.dispose();
    throw error;
  } finally {
    attempt = outer;
  }
}

/** Takes a tensor out of the scope it was made in, so that it lives on. Returns it. */
export function keep<T extends Disposable>(tensor: T): T {
  current?.delete(tensor);
  return tensor;
}

/** The tensors in a returned value: itself, or the elements of an array or plain object, one level deep. */
function* tensorsIn(value: unknown): Iterable<Disposable> {
  if (value === null || typeof value !== 'object') return;
  if ('dispose' in value && typeof value.dispose === 'function') {
    yield value as Disposable;
    return;
  }
  for (const item of Object.values(value)) {
    if (item !== null && typeof item === 'object' && 'dispose' in item && typeof item.dispose === 'function')
      yield item;
  }
}

/**
 * Runs `body` and disposes the tensors made in it, except those it returns (a tensor, or an array or object of tensors)
 * and those given to `keep`. Scopes nest: what an inner scope returns belongs to the outer one.
 *
 * @throws ValueError when `body` returns a Promise: what it makes after its first `await` could not be tracked.
 */
export function scope<R>(body: () => R): R {
  const outer = current;
  const mine = new Set<Disposable>();
  current = mine;
  try {
    const result = body();
    if (result instanceof Promise) {
      result.catch(() => {});
      throw new ValueError('scope: expected a synchronous function, got one that returns a Promise', 'scope');
    }
    for (const tensor of tensorsIn(result)) {
      if (mine.delete(tensor)) outer?.add(tensor);
    }
    return result;
  } finally {
    current = outer;
    for (const tensor of mine) tensor.dispose();
  }
}
