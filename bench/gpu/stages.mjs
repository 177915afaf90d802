// What bench/gpu.sh runs, in this order. Everything here is a command with a time limit of its own.
import { join } from 'node:path';

/**
 * @typedef {object} Stage
 * @property {string} name
 * @property {'build' | 'check' | 'speed'} part
 * @property {number} seconds the most it may take
 * @property {readonly string[]} command
 * @property {boolean} [alone] whether nothing else may run beside it: timings
 * @property {string | null} [missing] why it cannot run here
 * @property {boolean} [needed] whether nothing can go on when it fails
 * @property {string} [json] what it writes its results to
 * @property {Record<string, string>} [env]
 */

const EMULATED = [
  ...['attention-small-memory', 'cublaslt', 'emulation', 'graph-decoding', 'machine', 'several-devices'],
];

const PEERS = [
  ['distillation_loss', 'loss', 100],
  ['elementwise', 'elementwise', 60],
  ['sampling_kernels', 'draws', 75],
  ['training', 'training', 80],
  ['decoding', 'decoding', 75],
  ['distillation_step', 'distillation', 75],
];

/** @returns {readonly Stage[]} */
export function stagesOf(setting) {
  const { root, out, rehearse, python, tools, architectures, peersFrom } = setting;
  const node = process.execPath;
  const size = rehearse ? ['--small'] : [];
  const script = (path, ...args) => [node, join(root, path), ...args];
  const json = (name) => join(out, `${name}.json`);
  const program = (name, part, seconds, path, more = {}) => ({
    ...{ name, part, seconds, json: json(name) },
    command: script(path, '--json', json(name), '--folder', join(out, 'references'), ...size),
    ...more,
  });
  const sanitizer = (tool, seconds) => ({
    name: `compute-sanitizer ${tool}`,
    part: 'check',
    seconds,
    missing: rehearse ? 'needs a GPU' : tools.sanitizer ? null : 'compute-sanitizer was not found',
    json: json(tool),
    command: [
      ...[tools.sanitizer, '--tool', tool, '--error-exitcode', '99', '--target-processes', 'application-only'],
      ...script('bench/gpu/check/sanitize.mjs', '--json', json(tool)),
    ],
  });
  const noTorch = python ? null : 'no Python with PyTorch was found';
  const peers = PEERS.map(([name, own, seconds]) => [
    {
      name: `PyTorch ${name}`,
      part: 'speed',
      seconds,
      alone: true,
      missing: peersFrom ? `taken from ${peersFrom}` : noTorch,
      json: peersFrom ? join(peersFrom, `${name}.json`) : json(name),
      command: [
        ...[python, join(root, 'bench/peers', `${name}.py`), '--json', json(name)],
        ...['--reference', join(out, 'references', `${name}.safetensors`), ...size],
        ...(rehearse ? ['--device', 'cpu'] : []),
      ],
    },
    program(`speed ${own}`, 'speed', 60, `bench/gpu/speed/${own}.mjs`, { alone: true }),
  ]);
  return [
    { name: 'TypeScript', part: 'build', seconds: 90, needed: true, command: script('scripts/build-ts.mjs') },
    { name: 'addon', part: 'build', seconds: 300, needed: true, command: script('scripts/build-native.mjs') },
    {
      name: 'CUDA backend',
      part: 'build',
      seconds: 400,
      needed: true,
      command: rehearse
        ? script('scripts/build-emulation.mjs')
        : script('scripts/build-cuda.mjs', '--architectures', architectures),
    },
    { name: 'doctor', part: 'check', seconds: 60, command: script('dist/cli/main.js', 'doctor') },
    program('operations', 'check', 180, 'bench/gpu/check/operations.mjs'),
    {
      ...program('own matrix products', 'check', 60, 'bench/gpu/check/operations.mjs'),
      command: script(
        'bench/gpu/check/operations.mjs',
        '--match',
        'matmul',
        '--json',
        json('own matrix products'),
        ...size,
      ),
      env: { CFGDISTILL_CUBLASLT_LIBRARY: 'none' },
    },
    program('models', 'check', 120, 'bench/gpu/check/models.mjs'),
    program('training', 'check', 150, 'bench/gpu/check/training.mjs'),
    {
      name: 'tests',
      part: 'check',
      seconds: rehearse ? 400 : 150,
      env: rehearse ? {} : { CFGDISTILL_TEST_CUDA: 'real' },
      command: script(
        ...['node_modules/vitest/vitest.mjs', 'run', 'test/cuda', '--reporter=default'],
        // Of the emulation, and of machines that only it can be.
        ...(rehearse ? [] : EMULATED.flatMap((name) => ['--exclude', `test/cuda/${name}.test.ts`])),
      ),
    },
    {
      name: 'demo',
      part: 'check',
      seconds: 150,
      // The emulated device would take hours.
      missing: rehearse ? 'needs a GPU' : null,
      command: script('dist/cli/main.js', 'demo', '--quick', '--device', 'cuda', '--output', join(out, 'demo')),
    },
    sanitizer('memcheck', 150),
    sanitizer('racecheck', 150),
    ...peers.flat(),
    program('speed optimizer', 'speed', 30, 'bench/gpu/speed/optimizer.mjs', { alone: true }),
    // Last of all: it reads what the peers left.
    program('peers compute the same', 'speed', 60, 'bench/gpu/check/peers.mjs', { alone: true }),
  ];
}
