import { spawnSync } from 'node:child_process';
import { device, operations, scope, Tape, Tensor } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { addonPath } from '../lib/addon.ts';

const { add, matmul, scale } = operations;
const loadAddon = `
  const addon = require(${JSON.stringify(addonPath())});
`;

/** Runs a script of its own process, whose crash is then a failed test and not the end of all of them. */
function runScript(script: string, threads = 3): { status: number | null; output: string } {
  const env = { ...process.env, CFGDISTILL_THREADS: String(threads) };
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], { env, encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

describe('native lifetimes', () => {
  it('memory is trimmed after the operations that were asked for before, and not from under later ones', async () => {
    const cpu = await device('cpu');
    const a = Tensor.from(new Float32Array(256 * 256).fill(1), [256, 256]);
    for (let round = 0; round < 20; round++) {
      // Keeps the queue busy, so that what follows is enqueued before the trimming begins.
      for (let i = 0; i < 3; i++) scope(() => void matmul(a, a));
      const trimmed = cpu.trimMemory();
      using y = scope(() => {
        const x = Tensor.from(new Float32Array(1 << 20).fill(round), [1 << 20]);
        return scale(add(x, x), 2);
      });
      const values = await y.read();
      expect([values[0], values[1 << 19], values.at(-1)]).toEqual([4 * round, 4 * round, 4 * round]);
      await trimmed;
    }
    a.dispose();
    const { reserved } = cpu.memory();
    await cpu.trimMemory();
    expect(cpu.memory().reserved).toBeLessThan(reserved);
  });

  it('a backward pass that fails frees the gradients it has made', async () => {
    const cpu = await device('cpu');
    const w = Tensor.from(new Float32Array(4), [2, 2]);
    const { used } = cpu.memory();
    scope(() => {
      const tape = new Tape([w]);
      const [y, z] = tape.record(() => [matmul(w, w), scale(w, 2)]) as [Tensor, Tensor];
      const lost = Tensor.from(new Float32Array(4), [2, 2]);
      const last = tape.record(() => matmul(y, lost));
      lost.dispose();
      expect(() =>
        tape.backward([
          [z, Tensor.from(new Float32Array(4), [2, 2])],
          [last, Tensor.from(new Float32Array(4), [2, 2])],
        ]),
      ).toThrow(/the tensor was disposed/);
    });
    expect(cpu.memory().used).toBe(used);
    w.dispose();
  });

  it('workers are terminated in the middle of reads and operations without harm to the process', () => {
    const worker = `
      ${loadAddon}
      const { parentPort } = require('node:worker_threads');
      const a = addon.createTensor('cpu', 'float32', [64, 64], new Float32Array(64 * 64));
      const read = async () => {
        for (;;) {
          const y = addon.matmul(a, a, false, false, null, null);
          await y.read();
          y.dispose();
        }
      };
      for (let i = 0; i < 16; i++) read();
      const refuse = () => {
        for (let i = 0; i < 50; i++) try { addon.add(a, 3); } catch {}
        setImmediate(refuse);
      };
      refuse();
      parentPort.postMessage('running');
    `;
    const { status, output } = runScript(`
      const { Worker } = require('node:worker_threads');
      ${loadAddon}
      (async () => {
        for (let i = 0; i < 25; i++) {
          const worker = new Worker(${JSON.stringify(worker)}, { eval: true });
          await new Promise((resolve, reject) => { worker.once('message', resolve); worker.once('error', reject); });
          await new Promise((resolve) => setTimeout(resolve, (i * 7) % 17));
          await worker.terminate();
        }
        await addon.synchronize('cpu');
        console.log('in use:', addon.memory('cpu', false).used);
      })();
    `);
    expect(output).toBe('in use: 0\n');
    expect(status).toBe(0);
  });

  it('a process may exit while work is queued', () => {
    const { status, output } = runScript(`
      ${loadAddon}
      const a = addon.createTensor('cpu', 'float32', [512, 512], new Float32Array(512 * 512));
      for (let i = 0; i < 50; i++) addon.matmul(a, a, false, false, null, null).read();
      setTimeout(() => process.exit(7), 5);
    `);
    expect([status, output]).toEqual([7, '']);
  });

  const canLimit = spawnSync('prlimit', ['--version']).status === 0;
  // Only prlimit can take memory away from one process.
  if (!canLimit) console.warn('skipped: no prlimit on this machine');
  it.skipIf(!canLimit)('a kernel that finds no scratch memory on a pool thread reports it (needs prlimit)', () => {
    const { status, output } = runScript(`
      ${loadAddon}
      const { execFileSync } = require('node:child_process');
      const { readFileSync } = require('node:fs');
      const vocab = 1 << 26;
      const draw = (vocab, rows) => {
        const tokens = new Int32Array(rows);
        const logits = new Float32Array(rows * vocab);
        return () => addon.sampleGuidedNow(logits, null, 1, vocab, 1, 3, undefined, 1, 0, tokens, new Float32Array(rows));
      };
      draw(1000, 64)();
      const large = draw(vocab, 2);
      const held = Number(/VmSize:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
      execFileSync('prlimit', ['--pid', String(process.pid), '--as=' + (held + 400 * 2 ** 20)]);
      try { large(); console.log('enough'); } catch (error) { console.log(error.message); }
    `);
    expect(output).toMatch(/^out of memory for the scratch space/);
    expect(status).toBe(0);
  });
});
