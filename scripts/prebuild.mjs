// Compiles the addon into prebuilds/<platform>-<arch>/, where the loader looks for it. It runs on systems whose C and
// C++ libraries are as new as this one's: compile on an old one. Works in build/prebuild: what is in build/ stays.
//
//   node scripts/prebuild.mjs [options of prebuildify, as --arch arm64]
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { root } from './binding.mjs';

const require = createRequire(import.meta.url);
const folder = join(root, 'build', 'prebuild');
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const source of ['native', 'binding.gyp', 'package.json'])
  cpSync(join(root, source), join(folder, source), { recursive: true });

const prefix = dirname(dirname(process.execPath));
const headers = existsSync(join(prefix, 'include/node/node.h')) ? { npm_config_nodedir: prefix } : {};
// Only Linux has several C libraries.
const tags = process.platform === 'linux' ? ['--tag-libc'] : [];
const { status, error } = spawnSync(
  process.execPath,
  [
    require.resolve('prebuildify/bin.js'),
    ...['--napi', '--strip', ...tags, '--name', 'cfgdistill', '--target', process.versions.node],
    ...['--cwd', folder, '--out', root],
    ...process.argv.slice(2),
  ],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      JOBS: 'max',
      // npm run puts it on the command path; node alone does not.
      PREBUILD_NODE_GYP: join(dirname(require.resolve('node-gyp/package.json')), 'bin', 'node-gyp.js'),
      ...headers,
      ...process.env,
    },
  },
);
if (error) throw error;
if (status === 0) rmSync(folder, { recursive: true, force: true });
process.exit(status ?? 1);
