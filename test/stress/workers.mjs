// node test/stress/workers.mjs [loads]: worker threads that load the addon and are terminated in the midst of work, 1,000
// unless told otherwise, several at once. Fails when the process dies or when memory, threads or files grow with the loads.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { addonPath } from '../../dist/addon.js';

const AT_ONCE = 5;
const KINDS = ['reads', 'training', 'kernels', 'recording', 'errors'];
/** What may come and go in the second half: pages of worker heaps, say. A leak of 32 KiB a load is more. */
const MOST_GROWTH = 16 * 2 ** 20;

const loadAddon = () => createRequire(import.meta.url)(addonPath());

// What the C library keeps for later would pass for a leak, or hide one: here it gives back at once what is freed.
const GIVING_BACK = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '8192',
  MALLOC_MMAP_MAX_: '1000000',
  MALLOC_TRIM_THRESHOLD_: '65536',
};

if (!isMainThread) beAtWork(await loadAddon(), workerData);
else if (process.env.MALLOC_ARENA_MAX === '1') await main(Number(process.argv[2] ?? 1000));
else {
  const env = { ...process.env, ...GIVING_BACK };
  const { status, signal } = spawnSync(process.execPath, process.argv.slice(1), { env, stdio: 'inherit' });
  if (signal) console.error(`ended by ${signal}`);
  process.exitCode = status ?? 1;
}

function beAtWork(addon, kind) {
  const make = (shape) => {
    return addon.createTensor('cpu', 'float32', shape, new Float32Array(shape.reduce((a, b) => a * b, 1)));
  };
  const a = make([64, 64]);
  const read = async () => {
    for (;;) {
      const y = addon.matmul(a, a, false, false, null, null);
      await y.read();
      y.dispose();
    }
  };
  const step = (i, [w, m, v]) => {
    for (let k = 0; k < 20; k++) {
      const g = addon.matmul(a, w, true, false, null, null);
      addon.adamw([w], [g], [m], [v], [0.1], 1e-3, 0.9, 0.95, 1e-8, i, addon.globalNorm([g]), 1);
      g.dispose();
    }
    addon.synchronize('cpu').then(() => step(i + 1, [w, m, v]));
  };
  const logits = new Float32Array(32 * 2048);
  const sample = () => {
    const [tokens, logProbs] = [new Int32Array(32), new Float32Array(32)];
    addon.sampleGuidedNow(logits, logits, 2, 2048, 1, 50, 0.9, 1, 0, tokens, logProbs, 'float32');
    setImmediate(sample);
  };
  const refuse = () => {
    for (let i = 0; i < 50; i++) {
      try {
        addon.add(a, i);
      } catch {
        // as it should
      }
    }
    // A fault that only the queue sees, and that nobody asks for.
    addon.embeddingForward(a, addon.createTensor('cpu', 'int32', [1], Int32Array.of(99)));
    setImmediate(refuse);
  };
  const work = {
    reads: () => {
      for (let i = 0; i < 8; i++) read();
    },
    training: () => step(1, [make([64, 64]), make([64, 64]), make([64, 64])]),
    kernels: sample,
    recording: () => {
      addon.beginProgram();
      setInterval(() => addon.add(a, a), 1);
    },
    errors: refuse,
  };
  work[kind]();
  parentPort.postMessage('at work');
}

async function main(loads) {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  const status = (field) =>
    Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  const measure = async () => {
    for (let i = 0; i < 3; i++) {
      collect();
      await sleep(20);
    }
    return {
      rss: status('VmRSS') * 1024,
      threads: status('Threads'),
      files: readdirSync('/proc/self/fd').length,
      handles: process.getActiveResourcesInfo().length,
    };
  };
  const report = (count, { rss, threads, files, handles }) => {
    const figures = `${(rss / 2 ** 20).toFixed(1)} MiB resident, ${threads} threads, ${files} files, ${handles} handles`;
    console.log(`${String(count).padStart(5)} loads: ${figures}`);
  };

  let early;
  let last;
  for (let count = 0; count < loads; ) {
    const several = Array.from({ length: AT_ONCE }, (_, i) => {
      return new Worker(fileURLToPath(import.meta.url), { workerData: KINDS[i % KINDS.length] });
    });
    await Promise.all(several.map((worker) => once(worker, 'message')));
    await sleep((count * 7) % 13);
    await Promise.all(several.map((worker) => worker.terminate()));
    count += AT_ONCE;
    if (count % (AT_ONCE * Math.max(1, Math.round(loads / AT_ONCE / 10))) === 0) {
      last = await measure();
      report(count, last);
      // What is made once is made by half-time.
      if (count >= loads / 2) early ??= last;
    }
  }
  const addon = await loadAddon();
  await addon.synchronize('cpu'); // of this thread: nobody else's faults
  const { used, reserved, peak } = addon.memory('cpu', false);
  console.log(`tensors: ${used} bytes in use, ${reserved} held, ${peak} at the peak`);
  const grown = last.rss - early.rss;
  const complaints = [
    used !== 0 && `${used} bytes of tensors are still in use`,
    grown > MOST_GROWTH && `the process grew by ${(grown / 2 ** 20).toFixed(1)} MiB`,
    last.threads > early.threads && `${last.threads - early.threads} threads were left behind`,
    last.files > early.files && `${last.files - early.files} files were left open`,
  ].filter(Boolean);
  for (const complaint of complaints) console.error(complaint);
  console.log(
    complaints.length ? 'failed' : `${loads} loads and terminations, ${AT_ONCE} at a time: nothing left behind`,
  );
  process.exit(complaints.length ? 1 : 0);
}
