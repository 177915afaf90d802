// npm run bench:peers -- [--only NAME] [--peers NAME] [--budget SECONDS] [--quick] [--json FILE]
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeFileAtomic } from '../../internals.mjs';
import { describeMachine, threadCounts, useThreads } from '../../machine.mjs';
import { interleave, ratio, repeated, repeatedAsync, spread } from '../../measure.mjs';
import { duration, ranged, table } from '../../table.mjs';
import { COMPARISONS } from './comparisons.mjs';
import * as loops from './loops.mjs';
import * as pytorch from './pytorch.mjs';
import * as simsimd from './simsimd.mjs';
import * as transformers from './transformers.mjs';
import * as usearch from './usearch.mjs';

const PEERS = [loops, simsimd, usearch, transformers, pytorch];
const USAGE = `Usage: npm run bench:peers -- [options]

  --only NAME    computations whose name begins so (default: all)
  --peers NAME   of ${PEERS.map(({ name }) => name).join(', ')}, or several with commas between (default: all)
  --budget N     seconds that one comparison should not exceed (default 15): slow ones get fewer rounds
  --quick        small inputs and short rounds: to see that it works, not for figures
  --json FILE    where the results go as JSON (default: bench/results/peers-<time>.json)
  --help

Peers from npm are installed by \`npm install --prefix bench\`, PyTorch by the system; PYTHON names another python3.
A peer that is not there is left out.`;

function options() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: '' },
      peers: { type: 'string' },
      budget: { type: 'string', default: '15' },
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const wanted = values.peers?.split(',');
  for (const name of wanted ?? []) {
    if (!PEERS.some((peer) => peer.name === name)) throw new TypeError(`--peers: no peer is named '${name}'`);
  }
  const budget = Number(values.budget);
  if (!(budget > 0)) throw new TypeError(`--budget: expected seconds above 0, got '${values.budget}'`);
  const computations = Object.keys(COMPARISONS).filter((name) => name.startsWith(values.only));
  if (computations.length === 0) throw new TypeError(`--only: no computation's name begins with '${values.only}'`);
  return { ...values, budget, computations, peers: PEERS.filter(({ name }) => wanted?.includes(name) ?? true) };
}

/** The peers that are there, by name, and why the others are not. */
async function loaded(peers) {
  const present = new Map();
  const absent = {};
  for (const { name, load } of peers) {
    try {
      present.set(name, await load());
    } catch (error) {
      absent[name] = error.message.split('\n')[0];
    }
  }
  return { present, absent };
}

/** Largest difference of two results relative to the largest value. */
function difference(a, b) {
  if (a.length !== b.length) return Infinity;
  let [apart, largest] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    apart = Math.max(apart, Math.abs(a[i] - b[i]));
    largest = Math.max(largest, Math.abs(a[i]));
  }
  return apart / largest;
}

/** A peer that computes something else is no peer. Draws are random: each token must be one that may be drawn. */
async function checkSame(what, name, peer) {
  const comparison = COMPARISONS[what];
  for (const shape of comparison.small) {
    const inputs = comparison.make(shape);
    const expected = Float32Array.from(comparison.ours(inputs)());
    const got = peer.check ? await peer.check(what, inputs, shape) : await (await peer.cases[what](inputs, 1, shape))();
    const wrong = what.startsWith('sampleGuided')
      ? got.length !== inputs.rows || got.some((token) => !(token >= 0 && token < inputs.vocab))
      : !(difference(expected, got) <= 1e-4);
    if (wrong) throw new Error(`${name} computes something else than ${what} of [${shape}]`);
  }
}

async function compare(what, shape, present, timing) {
  const { make, ours, bytes } = COMPARISONS[what];
  const inputs = make(shape);
  const results = [];
  for (const threads of threadCounts()) {
    const cases = { cfgdistill: repeated(ours(inputs), useThreads(threads)) };
    for (const [name, peer] of present) {
      if (!peer.cases[what] || (threads > 1 && !peer.manyThreads)) continue;
      const once = await peer.cases[what](inputs, threads, shape);
      cases[name] = peer.batches ? { run: once } : repeatedAsync(once);
    }
    const times = await interleave(cases, timing);
    for (const name of Object.keys(cases).slice(1)) {
      results.push({
        what,
        shape,
        threads,
        bytes: bytes(shape),
        peer: name,
        seconds: spread(times.cfgdistill),
        peerSeconds: spread(times[name]),
        timesAsFast: ratio(times[name], times.cfgdistill),
      });
    }
    for (const peer of present.values()) await peer.release?.();
  }
  return results;
}

function print(results) {
  const head = ['computation', 'shape', 'peer', 'threads', 'cfgdistill', 'peer', 'times as fast (range)'];
  const rows = results.map((r) => [
    r.what,
    `[${r.shape.join(', ')}]`,
    r.peer,
    r.threads,
    duration(r.seconds.median),
    duration(r.peerSeconds.median),
    ranged(r.timesAsFast),
  ]);
  return table(head, rows, 3);
}

async function main({ computations, peers, budget, quick, json }) {
  const date = new Date().toISOString();
  const machine = describeMachine();
  console.log(
    `${machine.cpu}, ${machine.cores} cores · ${machine.isa} · Node ${machine.node} · load ${machine.loadAverage.toFixed(1)}`,
  );
  const { present, absent } = await loaded(peers);
  for (const [name, { about }] of present) console.log(`${name}: ${about}`);
  for (const [name, why] of Object.entries(absent)) console.log(`${name}: left out (${why})`);
  const timing = quick ? { rounds: 5, seconds: 0.005 } : { rounds: 11, seconds: 0.05, budget };
  const results = [];
  try {
    for (const what of computations) {
      for (const [name, peer] of present) if (peer.cases[what]) await checkSame(what, name, peer);
      for (const shape of quick ? COMPARISONS[what].small : COMPARISONS[what].shapes) {
        if (process.stderr.isTTY) process.stderr.write(`\x1b[2K\r${what} [${shape}]`);
        results.push(...(await compare(what, shape, present, timing)));
      }
    }
  } finally {
    for (const peer of present.values()) peer.close?.();
  }
  if (process.stderr.isTTY) process.stderr.write('\x1b[2K\r');
  console.log(`\nMedians of interleaved rounds; both sides have the same threads.\n${print(results)}`);
  const folder = fileURLToPath(new URL('../../results', import.meta.url));
  const path = json ?? join(folder, `peers-${date.replaceAll(':', '-')}.json`);
  await mkdir(dirname(path), { recursive: true });
  const about = Object.fromEntries([...present].map(([name, peer]) => [name, peer.about]));
  await writeFileAtomic(
    path,
    `${JSON.stringify({ schema: 1, date, quick, machine, peers: about, absent, results }, null, 2)}\n`,
  );
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
