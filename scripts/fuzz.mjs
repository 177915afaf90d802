// Fuzzes the safetensors reader and the bindings of the kernels with libFuzzer, under the address and
// undefined-behaviour sanitizers. Needs clang with its runtime libraries (Debian: clang-16 libclang-rt-16-dev).
//
//   node scripts/fuzz.mjs [--seconds 600] [--target NAME]      the time is shared by the targets
//   node scripts/fuzz.mjs --target NAME --input FILE           runs one input again
//
// Ends with a failure when an input crashes, hangs, or ends in an error that is not the library's. Such inputs are kept
// in build-full/fuzz/<target>/, and so is the corpus. Exits with 3 where there is no clang for it.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { instrument } from '../test/fuzz/instrument.mjs';
import { SAFETENSORS_WORDS, writeSeeds } from '../test/fuzz/seeds.mjs';
import { buildSanitized } from './build-sanitized.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Shares of the time. */
const TARGETS = { safetensors: 1, 'typed-arrays': 2, tensors: 2 };
const NO_CLANG = 3;

const string = { type: 'string' };
const { values } = parseArgs({ options: { seconds: string, target: string, input: string } });
const seconds = Number(values.seconds ?? 600);
if (!(seconds > 0)) throw new Error(`--seconds: expected more than 0, got '${values.seconds}'`);
if (values.target !== undefined && !(values.target in TARGETS)) {
  throw new Error(`--target: expected one of ${Object.keys(TARGETS).join(', ')}, got '${values.target}'`);
}
if (values.input !== undefined && values.target === undefined) throw new Error('--input: expected a --target, too');

/** The first clang that has the runtime libraries, and where these are. */
function findClang() {
  const versions = ['', ...Array.from({ length: 9 }, (_, i) => `-${22 - i}`)];
  for (const version of versions) {
    const compiler = `clang++${version}`;
    const library = (name) => {
      const { stdout } = spawnSync(compiler, [`-print-file-name=libclang_rt.${name}`], { encoding: 'utf8' });
      const path = stdout?.trim() ?? '';
      return path.startsWith('/') && existsSync(path) ? path : null;
    };
    const fuzzer = library('fuzzer_no_main-x86_64.a');
    const asan = library('asan-x86_64.so');
    if (fuzzer && asan) return { compiler, c: `clang${version}`, fuzzer, asan };
  }
  return null;
}

const clang = findClang();
if (clang === null) {
  console.error('skipped: no clang with libFuzzer and the address sanitizer (Debian: clang-16 libclang-rt-16-dev)');
  process.exit(NO_CLANG);
}
const folder = buildSanitized(
  'fuzz',
  'fuzzer-no-link,address,undefined',
  join(root, 'test/fuzz/driver.gypi'),
  { fuzz_library: clang.fuzzer },
  { CC: clang.c, CXX: clang.compiler },
);
if (folder === null) process.exit(1);
rmSync(join(folder, 'lib'), { recursive: true, force: true });
const counters = instrument(join(root, 'lib'), join(folder, 'lib'), (path) => /^models\/safetensors/.test(path));
globalThis.__counters = new Uint8Array(counters);
const { serializeSafetensors } = await import(join(folder, 'lib/models/safetensors.js'));

/** Runs libFuzzer on a target. Returns its exit status and what it counted. */
async function run(target, options) {
  const symbolizer = ['/usr/bin/llvm-symbolizer', '/usr/bin/addr2line'].find((path) => existsSync(path)) ?? '';
  const common = `external_symbolizer_path=${symbolizer}`;
  const child = spawn(
    process.execPath,
    [join(root, 'test/fuzz/host.mjs'), target, folder, '-print_final_stats=1', '-print_funcs=0', ...options],
    {
      cwd: join(folder, target),
      stdio: ['ignore', 'inherit', 'pipe'],
      env: {
        ...process.env,
        // The fuzzer's counters put all of the addon's thread-local memory where glibc keeps little to spare.
        GLIBC_TUNABLES: 'glibc.rtld.optional_static_tls=16384',
        LD_PRELOAD: clang.asan,
        CFGDISTILL_FUZZ_COUNTERS: String(counters),
        CFGDISTILL_THREADS: '1',
        // Asked for too much memory, an allocation fails as it does in a program; leaks are for the test suite to find.
        ASAN_OPTIONS: `detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=16:malloc_context_size=12:${common}`,
        UBSAN_OPTIONS: `print_stacktrace=1:halt_on_error=1:${common}`,
      },
    },
  );
  const statistics = {};
  for await (const line of createInterface({ input: child.stderr })) {
    const [, key, value] = /^stat::(\w+):\s+(\d+)/.exec(line) ?? [];
    if (key) statistics[key] = Number(value);
    const [, covered, features] = / cov: (\d+) ft: (\d+) /.exec(line) ?? [];
    if (covered) Object.assign(statistics, { covered: Number(covered), features: Number(features) });
    // What it tells of each new input of the corpus is left out.
    else if (!key && !/^(INFO:|\s+(Most|memory|You|If|run) )/.test(line)) console.error(line);
  }
  const status = child.exitCode ?? (await new Promise((done) => child.on('exit', done)));
  return { status, statistics };
}

if (values.input !== undefined) {
  mkdirSync(join(folder, values.target), { recursive: true });
  const { status } = await run(values.target, [resolve(values.input)]);
  console.log(status === 0 ? `${basename(values.input)}: nothing found` : `${basename(values.input)}: failed`);
  process.exit(status === 0 ? 0 : 1);
}

let failed = false;
let total = 0;
const chosen = Object.entries(TARGETS).filter(([name]) => values.target === undefined || name === values.target);
const shares = chosen.reduce((sum, [, share]) => sum + share, 0);
for (const [target, share] of chosen) {
  const work = join(folder, target);
  mkdirSync(join(work, 'corpus'), { recursive: true });
  rmSync(join(work, 'seeds'), { recursive: true, force: true });
  writeSeeds(target, join(work, 'seeds'), serializeSafetensors);
  writeFileSync(join(work, 'words'), SAFETENSORS_WORDS.map((word) => `${JSON.stringify(word)}\n`).join(''));
  const time = Math.max(1, Math.round((seconds * share) / shares));
  const options = [`-max_total_time=${time}`, '-rss_limit_mb=3000', '-malloc_limit_mb=1000'];
  options.push(...(target === 'safetensors' ? ['-dict=words', '-max_len=8192'] : ['-max_len=300', '-len_control=0']));
  console.log(`fuzzing ${target} for ${time} s`);
  const { status, statistics } = await run(target, [...options, 'corpus', 'seeds']);
  const executions = statistics.number_of_executed_units ?? 0;
  total += executions;
  failed ||= status !== 0 || executions === 0;
  console.log(
    `${status === 0 ? 'ok' : 'FAILED'} ${target}: ${executions} executions, ${statistics.average_exec_per_sec ?? 0} per second, ` +
      `${statistics.covered ?? 0} edges, ${statistics.features ?? 0} features, peak ${statistics.peak_rss_mb ?? 0} MB`,
  );
  if (status !== 0) console.log(`the input is in ${work}`);
}
console.log(`${total} executions in all`);
process.exit(failed ? 1 : 0);
