// Builds, checks and measures the CUDA backend within a time limit: bench/gpu.sh starts this with the Node it found.

import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeEnvironment, firstThatRuns, gpus } from './environment.mjs';
import { endAll, limited } from './limited.mjs';
import { stagesOf } from './stages.mjs';
import { printed } from './summary.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const PARTS = ['build', 'check', 'speed'];
const USAGE = `Usage: bench/gpu.sh [options]

  --out DIR       where results and logs go (default: $OUT, or else bench/results/gpu)
  --minutes N     everything ends within so many minutes (default 9)
  --only PARTS    of ${PARTS.join(', ')}, with commas between, or names of single stages
  --python FILE   the Python that has PyTorch (default: python3, or else /usr/bin/python3)
  --peers DIR     takes PyTorch's figures from an earlier run's --out
  --node FILE     a packed Node (.tar.xz), for a machine without one; --modules FILE: packed node_modules
  --rehearse      no GPU: the emulated device, tiny shapes, PyTorch on the CPU
  --help`;

function options() {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: process.env.OUT || join(root, 'bench/results/gpu') },
      minutes: { type: 'string', default: '9' },
      only: { type: 'string' },
      python: { type: 'string' },
      peers: { type: 'string' },
      rehearse: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const minutes = Number(values.minutes);
  if (!(minutes > 0)) throw new TypeError(`--minutes: expected a positive number, got '${values.minutes}'`);
  if (values.peers && !existsSync(values.peers)) throw new TypeError(`--peers: ${values.peers} does not exist`);
  return { ...values, out: resolve(values.out), peers: values.peers && resolve(values.peers), minutes };
}

function chosen(stages, only) {
  if (!only) return stages;
  const names = only.split(',').map((name) => name.trim());
  for (const name of names) {
    if (!PARTS.includes(name) && !stages.some((stage) => stage.name === name)) {
      const known = [...PARTS, ...stages.map((stage) => stage.name)].join(', ');
      throw new TypeError(`--only: expected some of ${known}; got '${name}'`);
    }
  }
  return stages.filter(({ name, part }) => names.includes(part) || names.includes(name));
}

async function resultsIn(path) {
  if (!path || !existsSync(path)) return {};
  return JSON.parse(await readFile(path, 'utf8'));
}

/** Runs one stage and returns what came of it. Never throws. */
async function run(stage, { out, deadline, env, peersFrom }) {
  const { name, part, json } = stage;
  if (stage.missing) {
    const found = peersFrom ? await resultsIn(json) : {};
    return { name, part, status: 'left out', reason: stage.missing, ...found };
  }
  const seconds = Math.min(stage.seconds, (deadline - performance.now()) / 1000);
  if (seconds < 5) return { name, part, status: 'NO TIME WAS LEFT' };
  const log = join(out, 'logs', `${name.replaceAll(' ', '-')}.log`);
  console.log(`… ${name}`);
  if (json) await rm(json, { force: true }); // an earlier run's
  const ended = await limited(stage.command, { seconds, log, cwd: root, env: { ...env, ...stage.env } });
  const found = await resultsIn(json).catch(() => ({}));
  const status = ended.timedOut ? 'OUT OF TIME' : ended.code === 0 ? 'ok' : 'FAILED';
  console.log(`${status === 'ok' ? 'ok' : status} ${name}, ${ended.seconds.toFixed(0)} s`);
  if (status !== 'ok') for (const line of ended.lastLines) console.log(`    ${line.slice(0, 300)}`);
  return { name, part, status, seconds: ended.seconds, ...found, log };
}

/** Stages that need the machine for themselves run one by one; the others beside each other. */
async function runAll(stages, context, width) {
  const results = new Map();
  const together = async (group) => {
    const waiting = [...group];
    const worker = async () => {
      for (let stage = waiting.shift(); stage; stage = waiting.shift()) results.set(stage, await run(stage, context));
    };
    await Promise.all(Array.from({ length: width }, worker));
  };
  for (const part of PARTS) {
    const group = stages.filter((stage) => stage.part === part);
    await together(group.filter(({ alone }) => !alone));
    const lost = group.find((stage) => stage.needed && results.get(stage)?.status !== 'ok');
    if (lost) {
      console.log(`Without ${lost.name} nothing can go on.`);
      break;
    }
    for (const stage of group.filter(({ alone }) => alone)) results.set(stage, await run(stage, context));
  }
  return stages.flatMap((stage) => results.get(stage) ?? []);
}

async function main({ out, minutes, only, python, peers, rehearse }) {
  const begin = performance.now();
  const date = new Date().toISOString();
  await mkdir(join(out, 'logs'), { recursive: true });
  await mkdir(join(out, 'references'), { recursive: true });
  const [gpu] = gpus();
  if (!rehearse && !gpu) {
    throw new TypeError('nvidia-smi shows no GPU. Check the driver; or rehearse without one: bench/gpu.sh --rehearse');
  }
  const nvcc = firstThatRuns(process.env.CUDACXX, 'nvcc', '/usr/local/cuda/bin/nvcc');
  const environment = describeEnvironment({ pythons: python ? [python] : ['python3', '/usr/bin/python3'], nvcc });
  if (!environment.python) console.log('No Python with PyTorch was found: there will be no peers (see --python)');
  const stages = chosen(
    stagesOf({
      root,
      out,
      rehearse,
      python: environment.python,
      peersFrom: peers,
      architectures: gpu?.computeCapability.replace('.', ''),
      tools: { sanitizer: firstThatRuns('compute-sanitizer', '/usr/local/cuda/bin/compute-sanitizer') },
    }),
    only,
  );
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };
  if (rehearse) {
    env.CFGDISTILL_CUDA_LIBRARY = join(root, 'build/emulation/plain/libcfgdistill_cuda_emulated.so');
    env.CFGDISTILL_CUBLASLT_LIBRARY = 'none'; // one for GPUs would take the emulated streams for real
  }
  // What is left after the last stage is for the table.
  const deadline = begin + 60_000 * minutes - 5_000;
  const width = Math.max(1, Math.min(3, Math.floor(availableParallelism() / 2)));
  const results = await runAll(stages, { out, deadline, env, peersFrom: peers }, width);
  const measurements = results.flatMap((stage) => stage.measurements ?? []);
  const whole = { schema: 1, date, rehearsal: rehearse, environment, stages: results, measurements };
  const path = join(out, 'gpu.json');
  await writeFile(path, `${JSON.stringify(whole, null, 1)}\n`);
  console.log(`\n${printed(whole)}\n\nAll of it: ${path}`);
  return results.every(({ status }) => status === 'ok' || status === 'left out');
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    endAll();
    process.exit(130);
  });
}
let given;
try {
  given = options();
} catch (error) {
  console.error(`${error.message}\n\n${USAGE}`);
  process.exit(2);
}
if (given.help) console.log(USAGE);
else {
  const passed = await main(given).catch((error) => {
    if (!(error instanceof TypeError)) throw error;
    console.error(error.message);
    return false;
  });
  process.exitCode = passed ? 0 : 1;
}
