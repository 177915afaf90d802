import { spawnSync } from 'node:child_process';
import { device, operations, scope, Tape, Tensor } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { SANITIZED } from './support/sanitized.ts';
import { LOAD_ADDON, runScript } from './support/script.ts';

const { add, matmul, scale } = operations;

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
    await cpu.synchronize(); // operations hold memory until they have run
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
    await cpu.synchronize();
    expect(cpu.memory().used).toBe(used);
    w.dispose();
  });

  // Only prlimit can take memory away from one process; a sanitizer ends the process when its own memory is at stake.
  const canLimit = spawnSync('prlimit', ['--version']).status === 0 && !SANITIZED;
  if (!canLimit) console.warn('skipped: no prlimit on this machine, or a sanitizer');
  it.skipIf(!canLimit)(
    'a kernel that finds no scratch memory on a pool thread reports it (needs prlimit)',
    async () => {
      const { status, output } = await runScript(`
      ${LOAD_ADDON}
      const { execFileSync } = require('node:child_process');
      const { readFileSync } = require('node:fs');
      const vocab = 1 << 26;
      const draw = (vocab, rows) => {
        const tokens = new Int32Array(rows);
        const logits = new Float32Array(rows * vocab);
        return () => addon.sampleGuidedNow(logits, null, 1, vocab, 1, 3, undefined, 1, 0, tokens, new Float32Array(rows), 'float32');
      };
      draw(1000, 64)();
      const large = draw(vocab, 2);
      const held = Number(/VmSize:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
      execFileSync('prlimit', ['--pid', String(process.pid), '--as=' + (held + 400 * 2 ** 20)]);
      try { large(); console.log('enough'); } catch (error) { console.log(error.message); }
    `);
      expect(output).toMatch(/^out of memory for the scratch space/);
      expect(status).toBe(0);
    },
  );
});
