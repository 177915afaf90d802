// npm run bench -- [--only kernels,training,sampling,event-loop,merge] [--match TEXT] [--size GB] [--quick] [--json FILE]
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as eventLoop from './event-loop.mjs';
import { writeFileAtomic } from './internals.mjs';
import * as kernels from './kernels/index.mjs';
import { describeMachine } from './machine.mjs';
import * as merge from './merge.mjs';
import * as sampling from './sampling.mjs';
import * as training from './training.mjs';

const BENCHES = { kernels, training, sampling, 'event-loop': eventLoop, merge };
const USAGE = `Usage: npm run bench -- [options]

  --only NAME   one of ${Object.keys(BENCHES).join(', ')}, or several with commas between (default: all)
  --match TEXT  kernels: only the cases with this in "kernel dtype shape place"; may be repeated, all must be there
  --size GB     merge: of both inputs together (default: 2)
  --quick       fewer and shorter rounds and smaller cases: to see that it works, not for figures
  --json FILE   where the results go as JSON (default: bench/results/<time>.json)
  --help

CFGDISTILL_THREADS sets the most threads, CFGDISTILL_ISA a lower instruction set.`;

function options() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      match: { type: 'string', multiple: true, default: [] },
      size: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const named = values.only.flatMap((names) => names.split(','));
  for (const name of named) {
    if (!Object.hasOwn(BENCHES, name)) {
      throw new TypeError(`--only: expected ${Object.keys(BENCHES).join(', ')}, got '${name}'`);
    }
  }
  const bytes = values.size === undefined ? undefined : Number(values.size) * 1e9;
  if (bytes !== undefined && !(bytes > 0))
    throw new TypeError(`--size: expected a number above 0, got '${values.size}'`);
  return { ...values, bytes, names: Object.keys(BENCHES).filter((name) => named.length === 0 || named.includes(name)) };
}

async function main({ names, match, bytes, quick, json }) {
  const date = new Date().toISOString();
  const machine = describeMachine();
  console.log(
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB · ${machine.isa}, ${machine.threads} threads · ` +
      `Node ${machine.node}, ${machine.platform} · load ${machine.loadAverage.toFixed(1)}`,
  );
  if (machine.loadAverage > machine.cores / 4) {
    console.log('The machine is busy with other work: the ratios may serve, the other figures hardly.');
  }
  if (quick) console.log('Quick: too few and too short rounds for figures.');
  const results = {};
  for (const name of names) {
    const onProgress = (what) => {
      if (process.stderr.isTTY) process.stderr.write(`\x1b[2K\r${name}: ${what}`);
    };
    results[name] = await BENCHES[name].run({ quick, match, bytes, onProgress });
    if (process.stderr.isTTY) process.stderr.write('\x1b[2K\r');
    const { heading = 'medians of interleaved rounds', print } = BENCHES[name];
    console.log(`\n${name}, ${heading}\n${print(results[name])}`);
  }
  const path = json ?? join(dirname(fileURLToPath(import.meta.url)), 'results', `${date.replaceAll(':', '-')}.json`);
  if (json === undefined) await mkdir(dirname(path), { recursive: true });
  await writeFileAtomic(path, `${JSON.stringify({ schema: 1, date, quick, machine, results }, null, 2)}\n`);
  console.log(`\nAll figures: ${path}`);
}

let chosen;
try {
  chosen = options();
} catch (error) {
  console.error(`${error.message}\n\n${USAGE}`);
  process.exit(2);
}
if (chosen.help) console.log(USAGE);
else await main(chosen);
