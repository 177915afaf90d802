// What the figures depend on, asked of the tools that are there.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';

function answer(program, ...args) {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8', timeout: 60_000 });
  return status === 0 ? stdout.trim() : null;
}

/** The first of some programs that answers to `--version` (nvcc may lie outside the command path). */
export function firstThatRuns(...programs) {
  return programs.find((program) => program && answer(program, '--version') !== null) ?? null;
}

/** The GPUs that nvidia-smi sees. */
export function gpus() {
  const fields = ['name', 'compute_cap', 'driver_version', 'memory.total'];
  const lines = answer('nvidia-smi', `--query-gpu=${fields.join(',')}`, '--format=csv,noheader');
  return (lines ?? '')
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [name, computeCapability, driver, memory] = line.split(', ');
      return { name, computeCapability, driver, memory };
    });
}

export function describeEnvironment({ pythons, nvcc }) {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  let torch = null;
  const python = pythons.find((program) => {
    torch = answer(program, '-c', 'import torch; print(torch.__version__)');
    return torch !== null;
  });
  return {
    gpus: gpus(),
    nvcc: (nvcc && /release ([\d.]+)/.exec(answer(nvcc, '--version') ?? '')?.[1]) ?? null,
    torch,
    python: python ?? null,
    node: process.version,
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    cfgdistill: version,
    commit: answer('git', 'rev-parse', '--short', 'HEAD'),
  };
}
