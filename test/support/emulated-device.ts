import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** For the hook that builds, in ms: some 10 s of compiling on a machine that may be busy. */
export const BUILD_TIMEOUT = 180_000;

/**
 * Runs scripts/build-emulation.mjs and returns the path it prints. CFGDISTILL_TEST_SANITIZE (as address,undefined)
 * builds with sanitizers, whose libraries the test process must have preloaded.
 */
export function buildEmulation(...options: string[]): string {
  const sanitizers = process.env.CFGDISTILL_TEST_SANITIZE;
  const all = sanitizers ? ['--sanitize', sanitizers, ...options] : options;
  // The compiler itself runs without what is preloaded here.
  const { LD_PRELOAD: _, ...env } = process.env;
  return execFileSync(process.execPath, ['scripts/build-emulation.mjs', ...all], {
    cwd: root,
    encoding: 'utf8',
    env,
  }).trim();
}

/** Makes device 'cuda' of this process the emulated one. Must come before its first use. */
export function useEmulatedDevice(): void {
  process.env.CFGDISTILL_CUDA_LIBRARY = buildEmulation();
  // A real one would take the emulated device's streams for real.
  process.env.CFGDISTILL_CUBLASLT_LIBRARY ??= 'none';
}

/** The orders in which the emulated device can run the threads of a block. */
export const ORDERS = ['forward', 'reverse', 'shuffled'] as const;

/** From the next operation on; nothing may be waiting to run. */
export function setOrder(order: (typeof ORDERS)[number]): void {
  process.env.CFGDISTILL_EMULATION_ORDER = order;
}
