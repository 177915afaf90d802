// What the package may hold and must hold.
import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { binding, root } from '../binding.mjs';

const ALLOWED = [
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|binding\.gyp|CMakeLists\.txt)$/,
  /^docs\/gpu\.md$/,
  /^dist\/([\w-]+\/)*[\w.-]+\.(js|d\.ts|mjs|d\.mts|js\.map|css)$/,
  /^dist\/package\.json$/,
  /^native\/(?!cuda\/emulation\/)([\w-]+\/)*[\w-]+\.(h|cpp|cu|cuh)$/,
  /^prebuilds\/\w+-\w+\/cfgdistill(\.glibc|\.musl)?\.node$/,
  /^scripts\/(binding|build-cuda|install)\.mjs$/,
];

/** What is wrong with the contents of a package: one line for each thing. */
export function complaintsAbout({ paths }) {
  const all = new Set(paths);
  const complaints = paths
    .filter((path) => !ALLOWED.some((pattern) => pattern.test(path)))
    .map((path) => `${path} is not for consumers`);
  for (const path of required()) if (!all.has(path)) complaints.push(`${path} is missing`);
  for (const path of paths) complaints.push(...complaintsAboutFile(path, all));
  return complaints;
}

/** What the manifest points to, and what compiling needs. */
function required() {
  const { exports, bin, main, types } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const pointed = [main, types, ...Object.values(bin)];
  const collect = (value) => (typeof value === 'string' ? pointed.push(value) : Object.values(value).forEach(collect));
  collect(exports);
  const { core_sources, kernel_sources, cuda_sources } = binding().variables;
  const sources = [...core_sources, ...kernel_sources, ...cuda_sources];
  return ['LICENSE', 'README.md', 'binding.gyp', ...sources, ...pointed.map((path) => path.replace(/^\.\//, ''))];
}

function complaintsAboutFile(path, all) {
  const bytes = readFileSync(join(root, path));
  const text = bytes.toString('latin1');
  const complaints = [];
  if (text.includes(root.replace(/[\\/]$/, ''))) complaints.push(`${path} names a folder of this machine`);
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  const map = /\/\/# sourceMappingURL=(\S+)\s*$/.exec(text)?.[1];
  if (map && !all.has(folder + map)) complaints.push(`${path} points to ${map}, which is missing`);
  if (path.endsWith('.map')) {
    const { sources, sourcesContent } = JSON.parse(bytes.toString('utf8'));
    if (sourcesContent?.length !== sources.length || sourcesContent.some((content) => !content))
      complaints.push(`${path} lacks the sources it speaks of`);
  }
  if (/\.d\.m?ts$/.test(path)) {
    for (const [, other] of text.matchAll(/\bfrom ['"](\.[^'"]+)['"]/g)) {
      const target = posix.join(folder, other).replace(/\.js$/, '.d.ts');
      if (!all.has(target)) complaints.push(`${path} imports ${other}, which is missing`);
    }
  }
  return complaints;
}
