// node test/stress/shared-memory.mjs [seconds]: every kernel on arrays that another thread scribbles over meanwhile. What
// comes out means nothing; the process must live, and run under the address sanitizer without a report.
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { addonPath } from '../../dist/addon.js';

const ROWS = 8;
const VOCAB = 1031; // no multiple of a vector
const SIZE = ROWS * VOCAB;

if (isMainThread) await main(Number(process.argv[2] ?? 5));
else scribble(workerData);

/** Puts numbers of all sizes, infinities, NaN and tokens out of range where they hurt. */
function scribble({ memory, tokens }) {
  const floats = new Float32Array(memory);
  const ints = new Int32Array(tokens);
  const values = [0, 1, -1, 3e38, -3e38, 1e-40, Infinity, -Infinity, NaN];
  for (let i = 1; ; i = (i * 48271) % 2147483647) {
    floats[i % floats.length] = i % 50021 ? (i % 1000) / 100 - 5 : values[i % values.length];
    if (i % 64 === 0) ints[i % ints.length] = i % 50021 ? i % VOCAB : i;
  }
}

async function main(seconds) {
  const addon = createRequire(import.meta.url)(addonPath());
  const memory = new SharedArrayBuffer(4 * (3 * SIZE + 4 * ROWS));
  const tokens = new SharedArrayBuffer(4 * ROWS);
  const floats = (part) => new Float32Array(memory, 4 * part * SIZE, SIZE);
  const perRow = (part) => new Float32Array(memory, 4 * (3 * SIZE + part * ROWS), ROWS);
  const ints = new Int32Array(tokens);
  const halves = (part) => new Uint16Array(memory, 4 * part * SIZE, SIZE);
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { memory, tokens } });
  await once(worker, 'online');
  const results = () => [new Float32Array(ROWS), new Float32Array(ROWS)];
  const calls = [];
  for (const [dtype, part, out] of [
    ['float32', floats, () => new Float32Array(SIZE)],
    ['bfloat16', halves, () => new Uint16Array(SIZE)],
    ['float16', halves, () => new Uint16Array(SIZE)],
  ]) {
    const [a, b, c] = [part(0), part(1), part(2)];
    calls.push(
      () => addon.guidedLogitsNow(a, b, perRow(0), VOCAB, out(), dtype),
      () => addon.lerpNow(a, b, 0.3, out(), dtype),
      () => addon.weightedAverageNow([a, b, c], [1, 2, 3], out(), dtype),
    );
    const bits = new Uint32Array(memory, 0, ROWS * Math.ceil(VOCAB / 32));
    for (const [topK, topP, temperature = 0.9, allowed] of [
      [undefined, undefined],
      [50, undefined],
      [undefined, 0.9],
      [3, 0.5],
      [VOCAB, 1],
      [undefined, undefined, 0],
      [undefined, undefined, 0, bits],
      [undefined, undefined, 0.9, bits],
      [50, undefined, 0.9, bits],
      [undefined, 0.9, 0.9, bits],
    ]) {
      calls.push(() => {
        addon.sampleGuidedNow(
          a,
          b,
          perRow(0),
          VOCAB,
          temperature,
          topK,
          topP,
          1,
          ints,
          new Int32Array(ROWS),
          results()[0],
          dtype,
          allowed,
        );
      });
    }
    for (const divergence of ['reverse', 'forward', 'jsd']) {
      calls.push(() => {
        const policy = [ints, perRow(2)];
        addon.distillationLossNow(
          a,
          b,
          c,
          VOCAB,
          perRow(0),
          1,
          divergence,
          0.5,
          perRow(1),
          ...policy,
          ...results(),
          out(),
          dtype,
          dtype,
        );
      });
    }
    const [prompts, samples, dimensions] = [ROWS / 4, 4, VOCAB];
    calls.push(() => {
      const [reward, advantage] = results();
      const diversity = new Float32Array(prompts);
      addon.diversityRewardNow(a, prompts, samples, dimensions, undefined, reward, advantage, diversity, dtype);
    });
  }
  let [done, refused] = [0, 0];
  for (const end = performance.now() + 1000 * seconds; performance.now() < end; ) {
    for (const call of calls) {
      try {
        call();
        done++;
      } catch {
        refused++;
      }
    }
  }
  await worker.terminate();
  console.log(`${done} calls came through, ${refused} were refused for what they found`);
  if (done === 0 || refused === 0) process.exitCode = 1; // then the memory was not fought over
}
