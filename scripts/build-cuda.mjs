// Builds libcfgdistill_cuda.so in build-cuda/Release, where the addon looks for it, with the CUDA toolkit's compiler.
//
//   node scripts/build-cuda.mjs [--architectures 90]
//
// --architectures builds for these GPUs alone, in CMake's words: quicker than for all that the package supports.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
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
const folder = join(root, 'build-cuda');
const has = (tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0;
const run = (...args) => {
  const env = { ...process.env, CUDACXX: found };
  const { status } = spawnSync('cmake', args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env });
  if (status !== 0) process.exit(status ?? 1);
};
// A folder keeps the generator that it was begun with.
const generator = existsSync(join(folder, 'CMakeCache.txt')) || !has('ninja') ? [] : ['-G', 'Ninja'];
run(
  ...['-S', root, '-B', folder, ...generator, '-DCMAKE_BUILD_TYPE=Release', '-DCFGDISTILL_CUDA_ONLY=ON'],
  ...(architectures ? [`-DCMAKE_CUDA_ARCHITECTURES=${architectures}`] : []),
);
const jobs = process.env.CMAKE_BUILD_PARALLEL_LEVEL || String(availableParallelism());
run('--build', folder, '--target', 'cfgdistill_cuda', '--parallel', jobs);
const library = join(folder, 'Release/libcfgdistill_cuda.so');
if (!existsSync(library)) {
  console.error(`build:cuda: the build ended without ${library}`);
  process.exit(1);
}
console.log(library);
