// Compiles lib/ to dist/ and copies what is no TypeScript (styles and scripts of the report). Does nothing when neither
// lib/ nor the settings have changed since the last build.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const lib = join(root, 'lib');
const dist = join(root, 'dist');
const manifest = join(dist, '.build.json');
const settings = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts/build-ts.mjs'];

const ASSETS = ['.css', '.client.js'];
const COMPILED = ['.js', '.js.map', '.d.ts'];

/** Paths of all files under a folder, relative to it, sorted. */
function filesUnder(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1))
    .sort();
}

const isAsset = (name) => ASSETS.some((ending) => name.endsWith(ending));

/** What the build of these sources must produce, relative to dist/. */
function outputsOf(sources) {
  return sources.flatMap((name) => {
    if (isAsset(name)) return [name];
    if (!name.endsWith('.ts') || name.endsWith('.d.ts')) return [];
    return COMPILED.map((ending) => name.replace(/\.ts$/, ending));
  });
}

function fingerprint(sources) {
  const hash = createHash('sha256');
  for (const path of [...settings.map((name) => join(root, name)), ...sources.map((name) => join(lib, name))]) {
    if (existsSync(path)) hash.update(path).update('\0').update(readFileSync(path)).update('\0');
  }
  return hash.digest('hex');
}

const sources = filesUnder(lib);
const outputs = outputsOf(sources);
const now = fingerprint(sources);
const complete = outputs.every((name) => existsSync(join(dist, name)));
if (complete && existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).fingerprint === now) process.exit(0);

rmSync(manifest, { force: true });
// tsc trusts its own notes on what it wrote; if some of that is gone it must forget them.
if (!complete) rmSync(join(dist, '.tsbuildinfo'), { force: true });
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const { status } = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);

for (const name of sources.filter(isAsset)) {
  mkdirSync(dirname(join(dist, name)), { recursive: true });
  copyFileSync(join(lib, name), join(dist, name));
}
const wanted = new Set(outputs);
for (const name of filesUnder(dist)) {
  const ours = isAsset(name) || COMPILED.some((ending) => name.endsWith(ending));
  if (ours && !wanted.has(name)) rmSync(join(dist, name));
}
const command = join(dist, 'cli/main.js');
if (existsSync(command)) chmodSync(command, 0o755);
writeFileSync(manifest, JSON.stringify({ fingerprint: now }));
