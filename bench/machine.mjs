import { readFileSync } from 'node:fs';
import os from 'node:os';
import { native } from './internals.mjs';

/** What the figures depend on, and how busy the machine was when the run began. */
export function describeMachine() {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    isa: native.isa(),
    threads: native.threads(),
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    cfgdistill: version,
    loadAverage: os.loadavg()[0],
  };
}

/** The thread counts to compare: one, two, and all that the library's pool has. */
export function threadCounts() {
  const all = native.threads();
  return [...new Set([1, Math.min(2, all), all])];
}

/** Makes so many threads share every native loop; for a case's `before`. */
export function useThreads(count) {
  return () => {
    native.threads(count);
  };
}
