// npm's install step: nothing to do where an addon is there that loads, a prebuilt one or one compiled before; or else
// compiles one, on all processors.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { root } from './binding.mjs';

// In a checkout there is no dist/ at first: then the addon is compiled.
const { addonCandidates, missingTools, target } = await library();
const wantsSource = process.env.npm_config_build_from_source;
const ready =
  wantsSource !== 'true' &&
  wantsSource !== 'cfgdistill' &&
  addonCandidates?.(root, target(), {}).some((path) => loads(path));
if (!ready) compile();

async function library() {
  if (!existsSync(join(root, 'dist/addon/candidates.js'))) return {};
  const modules = ['candidates', 'tools', 'system'].map((name) => import(`../dist/addon/${name}.js`));
  return Object.assign({}, ...(await Promise.all(modules)));
}

/** In a process of its own, which a broken file may end. */
function loads(path) {
  if (!existsSync(path)) return false;
  const { status } = spawnSync(process.execPath, ['-e', 'require(process.argv[1])', path], { stdio: 'ignore' });
  return status === 0;
}

function compile() {
  const missing = missingTools?.() ?? [];
  if (missing.length > 0) console.error(`cfgdistill: compiling the addon needs ${missing.join(', ')}, not found here`);
  const [command, ...args] = nodeGyp();
  const { status, signal, error } = spawnSync(command, [...args, 'rebuild'], {
    cwd: root,
    stdio: 'inherit',
    env: { JOBS: 'max', ...process.env },
    // npm's own node-gyp is a script of the shell on Windows.
    shell: command === 'node-gyp' && process.platform === 'win32',
  });
  if (signal) process.kill(process.pid, signal);
  if (error) console.error(`cfgdistill: ${command}: ${error.message}`);
  if (status === 0) return;
  console.error(
    'cfgdistill: the native addon was not compiled. It needs Python 3, make and a C++20 compiler (g++ 12 or clang 16 and ' +
      'newer). The first error above says what is missing.',
  );
  process.exit(status ?? 1);
}

/** npm and pnpm say where their node-gyp is; in a checkout there is one of our own; else it must be on the command path. */
function nodeGyp() {
  if (process.env.npm_config_node_gyp) return [process.execPath, process.env.npm_config_node_gyp];
  try {
    return [process.execPath, createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js')];
  } catch {
    return ['node-gyp'];
  }
}
