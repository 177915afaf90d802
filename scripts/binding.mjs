// The source lists and compiler flags of binding.gyp, for the other builds. Run as a program it prints them as CMake
// `set` commands: GYP_<list>, GYP_CFLAGS, GYP_CFLAGS_CC, GYP_RELEASE and, per instruction set, GYP_CFLAGS_<isa>.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** binding.gyp as an object: JSON with whole-line comments. */
export function binding() {
  const text = readFileSync(join(root, 'binding.gyp'), 'utf8');
  return JSON.parse(text.replace(/^\s*#.*$/gm, ''));
}

function cmake() {
  const { variables, target_defaults: defaults, targets, conditions } = binding();
  const lists = {};
  for (const [name, value] of Object.entries(variables)) if (Array.isArray(value)) lists[name.toUpperCase()] = value;
  lists.CFLAGS = defaults.cflags;
  lists.CFLAGS_CC = defaults.cflags_cc;
  lists.RELEASE = defaults.configurations.Release.cflags;
  for (const target of [...targets, ...conditions.flatMap(([, { targets: more }]) => more)]) {
    const isa = /^kernels_(.+)$/.exec(target.target_name)?.[1];
    if (isa) lists[`CFLAGS_${isa.toUpperCase()}`] = target.cflags ?? [];
  }
  return Object.entries(lists).map(([name, values]) => `set(GYP_${name} "${values.join(';')}")\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(cmake().join(''));
