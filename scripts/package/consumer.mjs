// Empty projects that use the packed package.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../binding.mjs';

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const tuple = `${process.platform}-${process.arch}`;

/** Runs a command to its end and returns what it printed; what it printed is in the error if it fails. */
export function run(folder, command, args, env = {}) {
  // An environment of its own: not the settings of the npm that runs this.
  const own = Object.entries(process.env).filter(
    ([name]) => !/^npm_(config_(?!nodedir)|package_|lifecycle_)/.test(name),
  );
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: folder,
    encoding: 'utf8',
    env: { ...Object.fromEntries(own), ...headers(), ...env },
    maxBuffer: 1 << 28,
    shell: process.platform === 'win32' && !command.endsWith('.exe'),
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

/** Node's headers beside it, so that node-gyp need not fetch them. */
function headers() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include/node/node.h')) ? { npm_config_nodedir: prefix } : {};
}

/** Packs the package: its tarball, the paths in it, and whether an addon for this platform is among them. */
export function pack(folder) {
  const [{ filename, files }] = JSON.parse(
    run(root, 'npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]),
  );
  const paths = files.map(({ path }) => path);
  const prebuilt = paths.some((path) => path.startsWith(`prebuilds/${tuple}/`));
  return { tarball: join(folder, filename), paths, prebuilt };
}

/** A project with the tarball unpacked in it, beside links to the dependencies it declares and to nothing else. */
export function extract(tarball, project) {
  const target = join(project, 'node_modules/cfgdistill');
  mkdirSync(target, { recursive: true });
  run(project, 'tar', ['-xzf', tarball, '-C', target, '--strip-components=1']);
  for (const name of Object.keys(manifest.dependencies)) {
    const link = join(project, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), link, 'junction');
  }
  writeFileSync(join(project, 'package.json'), '{ "private": true }\n');
  return project;
}

/** Puts the addon that was compiled here where a prebuilt one would be, if there is none. */
export function addPrebuild(project) {
  const folder = join(project, 'node_modules/cfgdistill/prebuilds', tuple);
  if (existsSync(folder)) return;
  mkdirSync(folder, { recursive: true });
  const libc = process.platform === 'linux' ? (existsSync('/etc/alpine-release') ? '.musl' : '.glibc') : '';
  cpSync(join(root, 'build/Release/cfgdistill.node'), join(folder, `cfgdistill${libc}.node`));
}

/** A project into which npm has installed the tarball. */
export function installed(tarball, project, ...options) {
  mkdirSync(project, { recursive: true });
  writeFileSync(join(project, 'package.json'), '{ "private": true }\n');
  run(project, 'npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...options, tarball]);
  return project;
}

/** The tarball without its prebuilt addons. */
export function withoutPrebuilds(tarball, folder) {
  const source = join(extract(tarball, folder), 'node_modules/cfgdistill');
  rmSync(join(source, 'prebuilds'), { recursive: true, force: true });
  run(source, 'npm', ['pack', '--ignore-scripts', '--pack-destination', folder]);
  return join(
    folder,
    readdirSync(folder).find((name) => name.endsWith('.tgz')),
  );
}

/** The executable of another version of Node, from the package of that name. */
export function fetchNode(version, folder) {
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  run(folder, 'npm', ['install', '--no-save', '--no-audit', '--no-fund', '--prefer-offline', `${name}@${version}`]);
  return join(folder, 'node_modules', name, process.platform === 'win32' ? 'bin/node.exe' : 'bin/node');
}

/** Runs the programs of test/package and an example in a project. */
export function runConsumers(project, node) {
  for (const file of ['test/package/consumer.cjs', 'test/package/consumer.mjs', 'examples/resume-after-abort.mjs']) {
    const copy = join(project, file.split('/').at(-1));
    cpSync(join(root, file), copy);
    const printed = run(project, node, [copy]);
    if (printed.trim() === '') throw new Error(`${pathToFileURL(copy)} printed nothing`);
  }
}
