/**
 * A signal that the first Ctrl-C (or SIGTERM) aborts; the second ends the process at once. `release` puts the process
 * back as it was.
 *
 * @param stopping what the first one says: what becomes of the work so far
 */
export function abortOnInterrupt(stopping: string): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const interrupt = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(name === 'SIGINT' ? 130 : 143);
    process.stderr.write(`\n${stopping} Press Ctrl-C again to quit at once.\n`);
    controller.abort(new Interrupted());
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  return {
    signal: controller.signal,
    release: () => {
      process.off('SIGINT', interrupt);
      process.off('SIGTERM', interrupt);
    },
  };
}

/** The user stopped the run. */
export class Interrupted extends Error {
  constructor() {
    super('interrupted');
    this.name = 'Interrupted';
  }
}
