// Merging checkpoints as files: bytes read and written per second, against `cp` with fsync, and five outputs against one.
import { execFile } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { mergeCheckpoints } from './cfgdistill.mjs';
import { layOut } from './internals.mjs';
import { ratio, spread } from './measure.mjs';
import { figure, ranged, table } from './table.mjs';

const WIDTH = 1024;
const FIVE = [0.1, 0.3, 0.5, 0.7, 0.9];

/** Tensors of a transformer in bfloat16, of about so many bytes in all. */
function shapesOf(bytes) {
  const block = { qkv: [3, 1], out: [1, 1], up: [4, 1], down: [1, 4], norm: null };
  const blocks = Math.max(1, Math.round(bytes / (2 * 12 * WIDTH ** 2)));
  return Array.from({ length: blocks }, (_, i) =>
    Object.entries(block).map(([name, times]) => ({
      name: `blocks.${i}.${name}`,
      dtype: 'BF16',
      shape: times ? [times[0] * WIDTH, times[1] * WIDTH] : [WIDTH],
    })),
  ).flat();
}

/** Writes a checkpoint of random finite values; returns its size. */
async function writeCheckpoint(path, tensors, seed) {
  const { head, entries } = layOut(tensors, {});
  const values = new Uint16Array(2 ** 19);
  let state = seed;
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    values[i] = 0x3c00 | ((state >>> 16) & 0x83ff);
  }
  const file = await open(path, 'w');
  await file.write(head);
  let left = entries.at(-1).end;
  const bytes = new Uint8Array(values.buffer);
  while (left > 0) left -= (await file.write(bytes, 0, Math.min(left, bytes.length))).bytesWritten;
  await file.sync();
  const { size } = await file.stat();
  await file.close();
  return size;
}

async function copy(from, to) {
  await promisify(execFile)('cp', [from, to]);
  const file = await open(to);
  await file.sync();
  await file.close();
}

async function removeAll(paths) {
  for (const path of paths) await rm(path, { force: true });
}

/** Writes and removes as much as a case will write. */
async function warm(path, bytes) {
  const file = await open(path, 'w');
  const block = new Uint8Array(2 ** 20);
  for (let done = 0; done < bytes; done += block.length) await file.write(block);
  await file.close();
  await rm(path);
}

/**
 * @param {{ quick: boolean, onProgress: (what: string) => void, bytes?: number }} options `bytes`: of both inputs
 */
export async function run({ quick, onProgress, bytes = quick ? 50e6 : 2e9 }) {
  const rounds = quick ? 2 : 5;
  const folder = await mkdtemp(join(tmpdir(), 'cfgdistill-bench-'));
  const at = (name) => join(folder, name);
  try {
    onProgress('making the inputs');
    const tensors = shapesOf(bytes / 2);
    const size = await writeCheckpoint(at('quality'), tensors, 1);
    await writeCheckpoint(at('diverse'), tensors, 2);
    const ends = { quality: at('quality'), diverse: at('diverse'), output: at('merged-{weight}') };
    let peak = 0;
    const merge = async (weights) => {
      const before = process.memoryUsage.rss();
      const watch = () => {
        peak = Math.max(peak, process.memoryUsage.rss() - before);
      };
      await mergeCheckpoints({ ...ends, weights, onProgress: watch });
    };
    const cases = {
      copy: { read: 1, written: 1, run: () => copy(at('quality'), at('copy')), made: [at('copy')] },
      one: { read: 2, written: 1, run: () => merge([0.5]), made: [at('merged-0.5')] },
      five: { read: 2, written: 5, run: () => merge(FIVE), made: FIVE.map((weight) => at(`merged-${weight}`)) },
    };
    const times = Object.fromEntries(Object.keys(cases).map((name) => [name, []]));
    for (let round = -1; round < rounds; round++) {
      const turn = Object.entries(cases);
      for (const [name, { written, run, made }] of round % 2 ? turn.toReversed() : turn) {
        onProgress(`${name}, round ${round + 1} of ${rounds}`);
        await removeAll(made);
        // Memory that the system has not given out for a while is slow to write to the first time, in virtual machines
        // above all. All cases find as much as they need just freed, and the inputs in the page cache.
        await warm(at('warm'), written * size);
        const begin = performance.now();
        await run();
        if (round >= 0) times[name].push((performance.now() - begin) / 1000);
        await removeAll(made);
      }
    }
    const rates = (name) => times[name].map((s) => ((cases[name].read + cases[name].written) * size) / s);
    return {
      rounds,
      checkpointBytes: size,
      peakBytes: peak,
      cases: Object.fromEntries(
        Object.keys(cases).map((name) => [
          name,
          {
            seconds: spread(times[name]),
            bytesPerSecond: spread(rates(name)),
            ofCopy: ratio(rates(name), rates('copy')),
          },
        ]),
      ),
      fiveOverOne: ratio(times.five, times.one),
      byteRatio: 7 / 3,
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

export function print({ checkpointBytes, peakBytes, cases, fiveOverOne, byteRatio }) {
  const names = { copy: 'cp and fsync', one: 'merge, one λ', five: 'merge, five λ' };
  const rows = Object.entries(cases).map(([name, { seconds, bytesPerSecond, ofCopy }]) => [
    names[name],
    figure(seconds.median),
    figure(bytesPerSecond.median / 1e9),
    ranged(ofCopy),
    name === 'copy' ? '' : `0.8 ${ofCopy.median >= 0.8 ? 'reached' : 'missed'}`,
  ]);
  const most = 1.1 * byteRatio;
  return [
    `two checkpoints of ${figure(checkpointBytes / 1e9)} GB`,
    table(['', 'seconds', 'GB/s read and written', 'of cp (range)', 'goal'], rows),
    `five λ over one: ${ranged(fiveOverOne)}, bytes ${figure(byteRatio)}, goal ≤ ${figure(most)} ` +
      (fiveOverOne.median <= most ? 'reached' : 'missed'),
    `peak memory above the start: ${figure(peakBytes / 1e6)} MB`,
  ].join('\n');
}
