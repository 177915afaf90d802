import { OutOfMemoryError } from '../errors.ts';

/** Who holds memory only to be faster. */
interface Holder {
  /** Frees it. Returns whether there was any. */
  releaseSpare(): boolean;
}

const holders = new Set<WeakRef<Holder>>();

/** Makes a holder known for as long as it lives. */
export function holdsSpareMemory(holder: Holder): void {
  for (const reference of holders) if (!reference.deref()) holders.delete(reference);
  holders.add(new WeakRef(holder));
}

/**
 * Runs `body`, and once more without the memory that is held only for speed when there is none left for it. A `body` that
 * throws OutOfMemoryError must have changed nothing.
 */
export function withSpareMemory<R>(body: () => R): R {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof OutOfMemoryError)) throw error;
    let freed = false;
    for (const reference of holders) freed = reference.deref()?.releaseSpare() || freed;
    if (!freed) throw error;
    return body();
  }
}
