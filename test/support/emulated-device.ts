import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** For the hook that builds, in ms: a minute or two of compiling on a machine that may be busy. `npm test` builds before. */
export const BUILD_TIMEOUT = 900_000;

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

/** CFGDISTILL_TEST_CUDA=real runs the tests on the GPU, by the library that `npm run build:cuda` built. */
export const ON_GPU = process.env.CFGDISTILL_TEST_CUDA === 'real';

/** For what only the emulated device has: its faults, its counts, its size. A GPU gives none of these to a test. */
if (ON_GPU) console.warn('skipped: tests of what only the emulated device can do');
export const emulatedOnly = it.skipIf(ON_GPU);

/** Makes device 'cuda' of this process the emulated one, unless a GPU is asked for. Must come before its first use. */
export function useEmulatedDevice(): void {
  if (ON_GPU) return;
  process.env.CFGDISTILL_CUDA_LIBRARY = buildEmulation();
  // A real one would take the emulated device's streams for real.
  process.env.CFGDISTILL_CUBLASLT_LIBRARY ??= 'none';
}

type Order = 'forward' | 'reverse' | 'shuffled';

/** The orders in which the device can run the threads of a block: all of them emulated, the GPU's own otherwise. */
export const ORDERS: readonly Order[] = ON_GPU ? ['forward'] : ['forward', 'reverse', 'shuffled'];

/** From the next operation on; nothing may be waiting to run. */
export function setOrder(order: Order): void {
  process.env.CFGDISTILL_EMULATION_ORDER = order;
}
