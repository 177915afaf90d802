// Builds libcfgdistill_cuda.so in build-cuda/Release, where the addon looks for it, with the CUDA toolkit's compiler.
//
//   node scripts/build-cuda.mjs [--architectures 90]
//
// --architectures builds for these GPUs alone, in CMake's words: quicker than for all that the package supports.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from './binding.mjs';

const { architectures } = parseArgs({ options: { architectures: { type: 'string' } } }).values;
if (architectures !== undefined && !/^[\w;-]+$/.test(architectures)) {
  console.error(`build:cuda: --architectures: expected a list like 80-real;90, got '${architectures}'`);
  process.exit(1);
}

// As CMake looks for it: CUDACXX, CUDA_PATH, the command path, the usual folder.
const found = [
  process.env.CUDACXX,
  process.env.CUDA_PATH && join(process.env.CUDA_PATH, 'bin/nvcc'),
  'nvcc',
  '/usr/local/cuda/bin/nvcc',
].find((nvcc) => nvcc && spawnSync(nvcc, ['--version'], { stdio: 'ignore' }).status === 0);
if (!found) {
  console.error(
    'build:cuda: nvcc, the compiler of the CUDA toolkit, was not found. Install the toolkit (12.0 or newer) and put its ' +
      'bin folder on PATH, or set CUDACXX to the full path of nvcc. Without it everything runs on the CPU.',
  );
  process.exit(1);
}
for (const tool of ['cmake', process.env.CXX || 'g++']) {
  if (spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0) continue;
  console.error(`build:cuda: ${tool} was not found; it is needed beside nvcc.`);
  process.exit(1);
}
// Not through npx, which need not be there where Node is.
const cmakeJs = join(dirname(createRequire(import.meta.url).resolve('cmake-js/package.json')), 'bin/cmake-js');
const { status } = spawnSync(
  process.execPath,
  [
    ...[cmakeJs, 'compile', '-O', 'build-cuda', '--target', 'cfgdistill_cuda', '--loglevel', 'warn'],
    ...(architectures ? [`--CDCMAKE_CUDA_ARCHITECTURES=${architectures}`] : []),
  ],
  {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { CMAKE_BUILD_PARALLEL_LEVEL: String(availableParallelism()), ...process.env, CUDACXX: found },
  },
);
if (status !== 0) process.exit(status ?? 1);
const library = join(root, 'build-cuda/Release/libcfgdistill_cuda.so');
if (!existsSync(library)) {
  console.error(`build:cuda: the build ended without ${library}`);
  process.exit(1);
}
console.log(library);
