// Compiles lib/ to dist/ and copies what is no TypeScript (styles and scripts of the report). Does nothing when neither
// lib/ nor the settings have changed since the last build.
//
// dist/ is CommonJS, and the package's ES modules (.mjs) hand on what it exports. So there is one instance of the library
// in a process, however it was asked for, on every Node: require() of an ES module is not in all that are supported.
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
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const lib = join(root, 'lib');
const dist = join(root, 'dist');
const manifest = join(dist, '.build.json');
const settings = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts/build-ts.mjs'];
/** The modules that the package exports, relative to lib/ and without the ending. */
const ENTRIES = ['index', 'tasks/chords/index', 'tasks/tunes/index', 'audio/index'];

const ASSETS = ['.css', '.client.js'];
const COMPILED = ['.js', '.js.map', '.d.ts'];
const WRAPPER = ['.mjs', '.d.mts'];
const URL_NAME = 'importMetaUrl';
/** Stands for the import() of a package while modules are made CommonJS; as long as 'import', for the source map. */
const IMPORT_NAME = '$mport';

/** Paths of all files under a folder, relative to it, sorted. */
function filesUnder(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1))
    .sort();
}

const isModule = (name) => name.endsWith('.ts') && !name.endsWith('.d.ts');
const isAsset = (name) => ASSETS.some((ending) => name.endsWith(ending));

/** What the build of these sources must produce, relative to dist/. */
function outputsOf(sources) {
  const compiled = sources.flatMap((name) => {
    if (isAsset(name)) return [name];
    return isModule(name) ? COMPILED.map((ending) => name.replace(/\.ts$/, ending)) : [];
  });
  return [...compiled, ...ENTRIES.flatMap((name) => WRAPPER.map((ending) => name + ending)), 'package.json'];
}

/** Compiles one module; where it lies is then a question to CommonJS. */
function compile(name) {
  const { outputText, sourceMapText } = ts.transpileModule(readFileSync(join(lib, name), 'utf8'), {
    compilerOptions: {
      module: ts.ModuleKind.CommonJS,
      target: ts.ScriptTarget.ES2023,
      esModuleInterop: true,
      isolatedModules: true,
      rewriteRelativeImportExtensions: true,
      sourceMap: true,
      inlineSources: true,
    },
    fileName: relative(dirname(join(dist, name)), join(lib, name)),
    transformers: { before: [locating] },
  });
  const url = outputText.includes(URL_NAME)
    ? ` const ${URL_NAME} = require("node:url").pathToFileURL(__filename).href;`
    : '';
  const output = join(dist, name.replace(/\.ts$/, '.js'));
  mkdirSync(dirname(output), { recursive: true });
  // On the first line, so that those of the source map stay.
  const code = outputText.replaceAll(`${IMPORT_NAME}(`, 'import(');
  writeFileSync(output, code.replace('"use strict";', `"use strict";${url}`));
  writeFileSync(`${output}.map`, sourceMapText);
}

/**
 * Replaces import.meta.url by a variable. Of import(), only those of our own files become require(): packages may be ES
 * modules.
 */
function locating(context) {
  const visit = (node) => {
    if (isPackageImport(node)) {
      const load = context.factory.createIdentifier(IMPORT_NAME);
      return context.factory.updateCallExpression(node, load, undefined, node.arguments);
    }
    if (ts.isPropertyAccessExpression(node) && ts.isMetaProperty(node.expression) && node.name.text === 'url')
      return context.factory.createIdentifier(URL_NAME);
    return ts.visitEachChild(node, visit, context);
  };
  return (file) => ts.visitNode(file, visit);
}

function isPackageImport(node) {
  if (!ts.isCallExpression(node) || node.expression.kind !== ts.SyntaxKind.ImportKeyword) return false;
  const [name] = node.arguments;
  return !(name && ts.isStringLiteral(name) && name.text.startsWith('.'));
}

/** Declarations keep the endings of the sources, which are not in the package. */
function renameImports(path) {
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace(/(\bfrom |\bimport\()(['"])(\.[^'"]*)\.ts\2/g, '$1$2$3.js$2'));
}

/** What a compiled module exports, in alphabetical order. */
function exportsOf(path) {
  const text = readFileSync(path, 'utf8');
  const own = [/\bexports\.([\w$]+) = /g, /\bObject\.defineProperty\(exports, "([\w$]+)"/g];
  const names = own.flatMap((pattern) => [...text.matchAll(pattern)].map(([, name]) => name));
  for (const [, other] of text.matchAll(/^__exportStar\(require\("([^"]+)"\), exports\);$/gm))
    names.push(...exportsOf(join(dirname(path), other)));
  return [...new Set(names)].filter((name) => name !== '__esModule').sort();
}

/** The ES module of an entry, and its types, which are those of the CommonJS module. */
function writeWrapper(entry) {
  const name = basename(entry);
  const list = exportsOf(join(dist, `${entry}.js`)).map((name) => `  ${name},\n`);
  const code = `import library from './${name}.js';\n\nexport const {\n${list.join('')}} = library;\n`;
  writeFileSync(join(dist, `${entry}.mjs`), code);
  writeFileSync(join(dist, `${entry}.d.mts`), `export * from './${name}.js';\n`);
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
// Types are checked, and declared, as those of ES modules, which the sources are.
const { status } = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);
for (const name of sources.filter(isModule)) {
  compile(name);
  renameImports(join(dist, name.replace(/\.ts$/, '.d.ts')));
}
writeFileSync(join(dist, 'package.json'), '{ "type": "commonjs" }\n');
ENTRIES.forEach(writeWrapper);

for (const name of sources.filter(isAsset)) {
  mkdirSync(dirname(join(dist, name)), { recursive: true });
  copyFileSync(join(lib, name), join(dist, name));
}
const wanted = new Set(outputs);
for (const name of filesUnder(dist)) {
  const ours = isAsset(name) || [...COMPILED, ...WRAPPER].some((ending) => name.endsWith(ending));
  if (ours && !wanted.has(name)) rmSync(join(dist, name));
}
const command = join(dist, 'cli/main.js');
if (existsSync(command)) chmodSync(command, 0o755);
writeFileSync(manifest, JSON.stringify({ fingerprint: now }));
