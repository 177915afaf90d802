// What the copy yardstick's threads share: the words of memory through which they are told what to do, and how their
// arrays lie.
export const RUNNING = 0;
export const COMMAND = 1;
export const FLOATS = 2;
export const ITERATIONS = 3;
/** From here on one word per helper, raised when there is something for it to do. */
export const CALLS = 4;

export const COPY = 0;
export const RELEASE = 1;
export const EXIT = 2;

// Some tens of microseconds: waking a thread that sleeps would cost as much as a small copy.
const SPINS = 10_000;

/** Waits until a word is no longer `old`; returns what it is then. */
export function awaitChange(control, word, old) {
  for (let spin = 0; spin < SPINS; spin++) {
    const now = Atomics.load(control, word);
    if (now !== old) return now;
  }
  Atomics.wait(control, word, old);
  return Atomics.load(control, word);
}

const PAGE = 4096;

/**
 * Two arrays to copy between, half a page apart in their pages: some processors copy many times slower when the target
 * starts a few bytes further into its page than the source.
 */
export function copyPair(floats) {
  const bytes = Math.ceil((4 * floats) / PAGE) * PAGE + PAGE / 2;
  const memory = new ArrayBuffer(bytes + 4 * floats);
  return { from: new Float32Array(memory, 0, floats).fill(1), to: new Float32Array(memory, bytes, floats).fill(2) };
}
