// Builds the addon with sanitizers, in a folder of its own beside the normal build, and prints its path: the value of
// CFGDISTILL_ADDON that makes the library load this build instead. Only what changed is compiled.
//
//   node scripts/build-sanitized.mjs NAME SANITIZERS        as: asan address,undefined
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const ADDON = 'build/Release/cfgdistill.node';

/**
 * Builds into build-full/<name>. Returns the folder, or null where the build fails.
 *
 * @param settings a .gypi file of further settings, and the variables it expects
 * @param env as CXX
 */
export function buildSanitized(name, sanitizers, settings = null, variables = {}, env = {}) {
  const folder = join(root, 'build-full', name);
  mkdirSync(folder, { recursive: true });
  for (const source of ['native', 'test', 'scripts', 'binding.gyp']) {
    if (!existsSync(join(folder, source))) symlinkSync(join('../..', source), join(folder, source));
  }
  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'));
  // Copied: its paths are those of the folder it lies in.
  if (settings !== null) copyFileSync(settings, join(folder, 'settings.gypi'));
  const options = Object.entries({ san: sanitizers, ...variables }).map(([key, value]) => `-D${key}=${value}`);
  if (settings !== null) options.push('-Isettings.gypi');
  const nodeGyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
  const prefix = dirname(dirname(process.execPath));
  const headers = existsSync(join(prefix, 'include/node/node.h')) ? { npm_config_nodedir: prefix } : {};
  const gyp = (step, ...more) =>
    spawnSync(process.execPath, [nodeGyp, step, '--loglevel', 'error', ...more], {
      cwd: folder,
      stdio: ['ignore', 2, 2],
      env: { ...headers, ...process.env, ...env },
    }).status === 0;
  const built = gyp('configure', '--', ...options) && gyp('build', '--jobs', process.env.JOBS ?? 'max');
  return built && existsSync(join(folder, ADDON)) ? folder : null;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [name, sanitizers] = process.argv.slice(2);
  if (!name || !/^[a-z,-]+$/.test(sanitizers ?? '')) {
    console.error('usage: node scripts/build-sanitized.mjs NAME SANITIZERS');
    process.exit(2);
  }
  const folder = buildSanitized(name, sanitizers);
  if (folder === null) process.exit(1);
  console.log(join(folder, ADDON));
}
