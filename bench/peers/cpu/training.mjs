// node bench/peers/cpu/training.mjs [--quick] [--json FILE]: steps of next-token training beside PyTorch on the CPU.
import { parseArgs } from 'node:util';
import { BaseTrainer } from '../../cfgdistill.mjs';
import { sequences } from '../../data.mjs';
import { writeFileAtomic } from '../../internals.mjs';
import { describeMachine, threadCounts, useThreads } from '../../machine.mjs';
import { interleave, median, rate, ratio, repeatedAsync, spread } from '../../measure.mjs';
import { forwardFlops, makeModel, noPrompt, SUBJECTS } from '../../models.mjs';
import { duration, figure, ranged, table } from '../../table.mjs';
import { Python } from './python.mjs';

const learningRate = 1e-4;
const STEPS = 2 ** 40; // more than will ever be run

function ourSteps(subject, rows) {
  const { promptTokens } = subject;
  const trainer = new BaseTrainer({
    model: makeModel(subject),
    rows: rows.map((row) => ({ prompt: row.slice(0, promptTokens), tokens: row.slice(promptTokens) })),
    noPrompt: noPrompt(subject),
    batchSize: rows.length,
    optimizer: { learningRate },
  });
  const steps = trainer.run({ steps: STEPS });
  return async () => {
    const { done } = await steps.next();
    if (done) throw new Error('the trainer ended before the benchmark did');
  };
}

/** The threads that are faster by their medians, of cases that end with a number of threads. */
function better(times, name) {
  const counts = threadCounts();
  return counts.reduce((best, count) =>
    median(times[`${name} ${count}`]) < median(times[`${name} ${best}`]) ? count : best,
  );
}

async function compare(subject, of, python, timing) {
  const { promptTokens, answerTokens, trainingRows, config } = subject;
  const positions = promptTokens + answerTokens;
  const rows = sequences(trainingRows, positions, config.vocabularySize, 1);
  const model = { feedForwardWidth: 4 * config.width, ...config };
  await python.ask({ model, tokens: rows.map((row) => [...row]), learningRate });
  const ours = ourSteps(subject, rows);
  const cases = {};
  for (const threads of threadCounts()) {
    cases[`ours ${threads}`] = repeatedAsync(ours, useThreads(threads));
    cases[`theirs ${threads}`] = { run: (iterations) => python.ask({ of, threads, run: iterations }) };
  }
  const times = await interleave(cases, timing);
  const [mine, theirs] = [better(times, 'ours'), better(times, 'theirs')];
  const [seconds, peerSeconds] = [times[`ours ${mine}`], times[`theirs ${theirs}`]];
  const tokens = trainingRows * positions;
  // The last token is predicted and not read; a backward pass is two forward ones.
  const flops = 3 * trainingRows * (positions - 1) * forwardFlops(subject, positions - 1);
  return {
    subject: subject.name,
    batch: `${trainingRows} × ${positions}`,
    threads: mine,
    peerThreads: theirs,
    seconds: spread(seconds),
    peerSeconds: spread(peerSeconds),
    tokensPerSecond: rate(tokens, seconds),
    peerTokensPerSecond: rate(tokens, peerSeconds),
    gigaflopsPerSecond: rate(flops / 1e9, seconds),
    timesAsFast: ratio(peerSeconds, seconds),
    all: Object.fromEntries(Object.entries(times).map(([name, list]) => [name, spread(list)])),
  };
}

/**
 * @param {{ quick: boolean, onProgress?: (what: string) => void }} options
 * @returns what was measured, or why PyTorch is left out
 */
export async function run({ quick, onProgress }) {
  const python = new Python(new URL('./training.py', import.meta.url));
  const timing = quick ? { rounds: 5, seconds: 0.05, budget: 20 } : { rounds: 9, seconds: 0.5, budget: 60 };
  const subjects = quick ? SUBJECTS.slice(0, 1) : SUBJECTS;
  try {
    const { version, blas } = await python.ask({ model: tiny(), tokens: [[1, 2]], learningRate });
    const results = [];
    for (const [i, subject] of subjects.entries()) {
      onProgress?.(subject.name);
      results.push(await compare(subject, i + 1, python, timing));
    }
    return { peer: `PyTorch ${version}, eager, BLAS: ${blas}`, results };
  } catch (error) {
    return { absent: error.message.split('\n')[0], results: [] };
  } finally {
    python.close();
  }
}

/** A model to ask whether PyTorch is there. */
function tiny() {
  return { vocabularySize: 3, depth: 1, width: 8, heads: 1, feedForwardWidth: 8, maxPositions: 2 };
}

export function print({ peer, absent, results }) {
  if (absent) return `PyTorch: left out (${absent})`;
  const head = ['model', 'batch', 'cfgdistill', 'tokens/s', 'GFLOP/s', 'PyTorch', 'tokens/s', 'times as fast (range)'];
  const rows = results.map((r) => [
    r.subject,
    r.batch,
    `${duration(r.seconds.median)} (${r.threads})`,
    figure(r.tokensPerSecond.median),
    figure(r.gigaflopsPerSecond.median),
    `${duration(r.peerSeconds.median)} (${r.peerThreads})`,
    figure(r.peerTokensPerSecond.median),
    ranged(r.timesAsFast),
  ]);
  return `${table(head, rows, 2)}
${peer}. A step: forward, backward, clipping and AdamW on one batch; in brackets the better number of threads of each side.
Medians of interleaved rounds.`;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false }, json: { type: 'string' } } });
  const machine = describeMachine();
  console.log(
    `${machine.cpu}, ${machine.cores} cores · ${machine.isa} · Node ${machine.node} · load ${machine.loadAverage.toFixed(1)}`,
  );
  const measured = await run(values);
  console.log(print(measured));
  if (values.json) {
    const date = new Date().toISOString();
    await writeFileAtomic(
      values.json,
      `${JSON.stringify({ schema: 1, date, ...values, machine, ...measured }, null, 2)}\n`,
    );
  }
}
