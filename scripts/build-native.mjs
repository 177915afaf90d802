// Builds the addon when a source is newer than the binary; node-gyp itself then compiles only what changed.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const binary = join(root, 'build/Release/cfgdistill.node');

/** Newest modification time below a file or folder, in ms. */
function newest(path) {
  const info = statSync(path);
  if (!info.isDirectory()) return info.mtimeMs;
  return Math.max(info.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

const sources = Math.max(newest(join(root, 'native')), newest(join(root, 'binding.gyp')));
if (!existsSync(binary) || statSync(binary).mtimeMs < sources) {
  const steps =
    existsSync(join(root, 'build/Makefile')) &&
    statSync(join(root, 'build/Makefile')).mtimeMs > newest(join(root, 'binding.gyp'))
      ? ['build']
      : ['configure', 'build'];
  // Not through npx, which need not be there where Node is; npx would have told node-gyp where Node's headers are.
  const nodeGyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
  const prefix = dirname(dirname(process.execPath));
  const headers = existsSync(join(prefix, 'include/node/node.h')) ? { npm_config_nodedir: prefix } : {};
  const result = spawnSync(process.execPath, [nodeGyp, ...steps, '--jobs', 'max', '--loglevel', 'warn'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...headers, ...process.env },
  });
  if (result.status !== 0) process.exit(result.status ?? 1);
  if (!existsSync(binary)) {
    console.error(`the build ended without ${binary}`);
    process.exit(1);
  }
  // A later check compares with this time: make leaves an up-to-date binary untouched.
  const { utimesSync } = await import('node:fs');
  const now = new Date();
  utimesSync(binary, now, now);
}
