// Compiles lib/ to dist/ (incrementally) and copies what is no TypeScript: style sheets and the report page's scripts.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const lib = join(root, 'lib');
const dist = join(root, 'dist');
const ASSET = /\.(css|client\.js)$/;

/** Every file below a folder, as paths relative to it. */
function files(folder) {
  return readdirSync(folder, { recursive: true }).filter((name) => statSync(join(folder, name)).isFile());
}

// A compiled file whose source is gone would still be importable; the compiler leaves it.
if (existsSync(dist)) {
  const stale = files(dist).some((name) => {
    if (name.startsWith('.')) return false;
    const stem = name.replace(/(\.d\.ts|\.js|\.js\.map)$/, '.ts');
    return !existsSync(join(lib, name)) && !existsSync(join(lib, stem));
  });
  if (stale) rmSync(dist, { recursive: true });
}

const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (status !== 0) process.exit(status ?? 1);

for (const name of files(lib)) {
  if (ASSET.test(name)) cpSync(join(lib, name), join(dist, name));
}
const command = join(dist, 'cli/main.js');
if (existsSync(command)) chmodSync(command, 0o755);
