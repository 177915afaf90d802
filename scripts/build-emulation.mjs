// Builds the CUDA backend for the emulated device: its sources compiled by the C++ compiler against
// native/cuda/emulation. Only what changed is compiled. Prints the path of the library.
//
//   node scripts/build-emulation.mjs [--sanitize address,undefined] [--program SOURCE | --library SOURCE]
//
// --program makes an executable of one more source and the emulation, --library a shared library of one source alone,
// and prints its path instead.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { binding, root } from './binding.mjs';

const string = { type: 'string' };
const { values } = parseArgs({ options: { sanitize: string, program: string, library: string } });
const sanitizers = values.sanitize ?? '';
if (!/^[a-z,]*$/.test(sanitizers))
  throw new Error(`--sanitize: expected names like address,undefined, got '${sanitizers}'`);

const compiler = process.env.CXX || 'g++';
const folder = join(root, 'build/emulation', sanitizers.replaceAll(',', '-') || 'plain');
const flags = [
  ...['-std=c++20', '-O2', '-fPIC', '-fvisibility=hidden', '-ffp-contract=off'],
  ...['-Wall', '-Wextra', '-Werror', '-Wno-unknown-pragmas'],
  ...['-DCFGD_CUDA_EMULATION', `-I${join(root, 'native/cuda/emulation')}`, `-I${join(root, 'native')}`],
  ...(sanitizers ? [`-fsanitize=${sanitizers}`, '-fno-sanitize-recover=all', '-fno-omit-frame-pointer', '-g'] : []),
];
const run = promisify(execFile);
const modified = (path) => (existsSync(path) ? statSync(path).mtimeMs : Number.POSITIVE_INFINITY);

/** The files an object was made from, as the compiler wrote them down. */
function dependencies(object) {
  const text = readFileSync(object.replace(/\.o$/, '.d'), 'utf8').replaceAll('\\\n', ' ');
  return text
    .slice(text.indexOf(': ') + 2)
    .trim()
    .split(/\s+/);
}

function fresh(object) {
  if (!existsSync(object) || !existsSync(object.replace(/\.o$/, '.d'))) return false;
  const made = statSync(object).mtimeMs;
  const script = join(root, 'scripts/build-emulation.mjs');
  return [script, ...dependencies(object)].every((path) => modified(path) <= made);
}

// One build at a time: the others wait and then find everything done. A build touches its lock while it lives, so that
// one left behind by a build that was killed is known by its age. Even two builds at once do no harm: files come into
// being under names of their own.
const HEARTBEAT = 5_000;
async function locked(body) {
  const lock = join(folder, 'lock');
  for (;;) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      if (modified(lock) < Date.now() - 12 * HEARTBEAT) rmSync(lock, { recursive: true, force: true });
      await setTimeout(100);
    }
  }
  process.on('exit', () => rmSync(lock, { recursive: true, force: true }));
  setInterval(() => {
    if (existsSync(lock)) utimesSync(lock, new Date(), new Date());
  }, HEARTBEAT).unref();
  return body();
}

async function make(target, options) {
  const temporary = `${target}.${process.pid}`;
  try {
    await run(compiler, [...options, '-o', temporary], { cwd: root });
  } catch (error) {
    console.error(error.stderr ?? `${compiler}: ${error.message}`);
    process.exit(1);
  }
  renameSync(temporary, target);
}

async function compile(source) {
  const object = join(folder, `${source.replaceAll('/', '-')}.o`);
  if (fresh(object)) return object;
  const notes = ['-MMD', '-MF', `${object.slice(0, -2)}.d.${process.pid}`, '-MT', 'object'];
  await make(object, [...flags, ...notes, '-x', 'c++', '-c', join(root, source)]);
  renameSync(notes[2], `${object.slice(0, -2)}.d`);
  return object;
}

mkdirSync(folder, { recursive: true });
const stem = (source) => basename(source).replace(/\.\w+$/, '');
const output = values.program
  ? join(folder, stem(values.program))
  : join(folder, `lib${values.library ? stem(values.library) : 'cfgdistill_cuda_emulated'}.so`);

await locked(async () => {
  const { cuda_sources: backend, emulation_sources: emulation } = binding().variables;
  const sources = values.library
    ? [values.library]
    : values.program
      ? [values.program, ...emulation]
      : [...backend, ...emulation];
  const waiting = [...sources];
  const objects = [];
  await Promise.all(
    Array.from({ length: Math.min(availableParallelism(), sources.length) }, async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) objects.push(await compile(next));
    }),
  );
  if (!existsSync(output) || objects.some((object) => modified(object) > statSync(output).mtimeMs)) {
    const sanitize = sanitizers ? [`-fsanitize=${sanitizers}`] : [];
    await make(output, [...objects.sort(), ...(values.program ? [] : ['-shared']), ...sanitize]);
  }
});
console.log(output);
