// The words of shared memory through which the copy yardstick's threads are told what to do.
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
