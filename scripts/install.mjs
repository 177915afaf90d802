// npm's install step: uses a prebuilt addon that fits, or else compiles one, on all processors.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';

const command = createRequire(import.meta.url).resolve('node-gyp-build/bin.js');
const { status, signal } = spawnSync(process.execPath, [command], {
  stdio: 'inherit',
  env: { JOBS: 'max', ...process.env },
});
if (signal) process.kill(process.pid, signal);
process.exit(status ?? 1);
