import { spawnSync } from 'node:child_process';
import {
  BaseTrainer,
  device,
  EncoderEmbedder,
  OutOfMemoryError,
  Sampler,
  SequenceEncoder,
  Tensor,
  Trainer,
  TransformerLM,
  ValueError,
} from 'cfgdistill';
import { afterEach, describe, expect, it } from 'vitest';
import { hostArray } from '../../lib/host-arrays.ts';
import { collectGarbage } from '../support/garbage.ts';
import { SANITIZED } from '../support/sanitized.ts';
import { LOAD_ADDON, runScript } from '../support/script.ts';

const cpu = await device('cpu');
afterEach(() => cpu.setMemoryLimit(null));

const CONFIG = { vocabularySize: 40, depth: 2, width: 32, heads: 2, maxPositions: 40 };
const prompts = [Int32Array.of(1, 2, 3), Int32Array.of(4, 5), Int32Array.of(6)];

const trainerFor = (model: TransformerLM) => {
  const encoder = new SequenceEncoder({ ...CONFIG, depth: 1 });
  return new Trainer({
    student: model,
    teacher: { model: new TransformerLM(CONFIG, { seed: 1 }), guidance: { scale: 2, negative: Int32Array.of(0) } },
    diversity: { embedder: new EncoderEmbedder(encoder), weight: 1 },
    samplesPerPrompt: 4,
    promptsPerStep: 3,
    maxTokens: 12,
    optimizer: { learningRate: 1e-3 },
    seed: 2,
  });
};

/** Lets the device hold so many bytes more than now. */
async function allow(bytes: number): Promise<void> {
  await cpu.synchronize();
  await cpu.trimMemory();
  cpu.setMemoryLimit(cpu.memory().reserved + bytes);
}

describe('the limit of memory', () => {
  it('names what was asked for, what is in use and the limit', async () => {
    using held = Tensor.from(new Float32Array(1024), [1024]);
    await allow(1 << 20);
    const { used, reserved } = cpu.memory();
    const ask = () => Tensor.zeros([1 << 20]);
    expect(ask).toThrow(OutOfMemoryError);
    expect(ask).toThrow(
      `out of memory: 4194304 bytes asked for on cpu, ${used} in use, ${reserved} held, the limit is ${reserved + (1 << 20)}`,
    );
    expect(held.disposed).toBe(false);
    cpu.setMemoryLimit(null);
    ask().dispose();
  });

  it('can be set by the environment', async () => {
    const make = `try { addon.createTensor('cpu', 'float32', [1 << 20]); console.log('made'); } catch (e) { console.log(e.message); }`;
    const run = async (limit: string) => {
      const { output } = await runScript(`${LOAD_ADDON} ${make}`, { env: { CFGDISTILL_MEMORY_LIMIT: limit } });
      return output.trim();
    };
    const cases = ['', '8388608', '8192k', '0.5G'];
    expect(await Promise.all(cases.map(run))).toEqual(cases.map(() => 'made'));
    expect(await run('3.5M')).toBe(
      'out of memory: 4194304 bytes asked for on cpu, 0 in use, 0 held, the limit is 3670016',
    );
    const wrong = ['much', '-1', '8MB', '1e99'];
    expect(await Promise.all(wrong.map(run))).toEqual(
      wrong.map((text) => {
        return `CFGDISTILL_MEMORY_LIMIT: expected a number of bytes, or one with K, M, G or T after it, got '${text}'`;
      }),
    );
  });

  it('stops training with an error and nothing worse: it goes on as if nothing had been', async () => {
    const run = async (limited: boolean) => {
      const trainer = trainerFor(new TransformerLM(CONFIG, { seed: 1 }));
      const steps: unknown[] = [];
      for (let i = 0; i < 3; i++) {
        if (limited) {
          for (const spare of [0, 20_000, 100_000, 300_000]) {
            await allow(spare);
            await trainer
              .run(prompts, { steps: 1 })
              .next()
              .then(
                ({ value }) => value && steps.push([value.step, value.kl, value.diversity, value.gradientNorm]),
                (error: Error) => expect(error).toBeInstanceOf(OutOfMemoryError),
              );
            cpu.setMemoryLimit(null);
          }
        }
        while (steps.length <= i) {
          for await (const { step, kl, diversity, gradientNorm } of trainer.run(prompts, { steps: 1 })) {
            steps.push([step, kl, diversity, gradientNorm]);
          }
        }
      }
      return steps.slice(0, 3);
    };
    expect(await run(true)).toEqual(await run(false));
  });
});

describe('what finds no memory', () => {
  const model = new TransformerLM(CONFIG, { seed: 1 });
  const rows = prompts.map((prompt) => ({ prompt, tokens: Int32Array.of(7, 8, 9) }));
  const encoder = new SequenceEncoder(CONFIG);
  const sampler = new Sampler(model, { guidance: { scale: 2, negative: Int32Array.of(0) } });
  const attempts: [string, () => { dispose(): void } | Promise<void>][] = [
    ['a model', () => new TransformerLM({ ...CONFIG, positions: 'sinusoidal', tied: false })],
    ['a copy of a model', () => model.clone()],
    ['an encoder', () => new SequenceEncoder(CONFIG)],
    ['a copy of an encoder', () => encoder.clone()],
    [
      'a trainer',
      () => new BaseTrainer({ model, rows, noPrompt: Int32Array.of(0), optimizer: { learningRate: 1e-3 } }),
    ],
    [
      'sampling',
      async () => {
        for await (const _ of sampler.generate(prompts, { samplesPerPrompt: 3, maxTokens: 9 })) {
          // only drawn
        }
      },
    ],
    ['an embedding', async () => void (await new EncoderEmbedder(encoder).embed(prompts))],
  ];
  it.each(attempts)('holds nothing afterwards, wherever it was stopped: %s', async (_, attempt) => {
    await collectGarbage();
    await cpu.synchronize();
    const { used } = cpu.memory();
    let failures = 0;
    for (let spare = 0; ; spare += 4096 + (spare >> 2)) {
      await allow(spare);
      try {
        (await attempt())?.dispose();
        break;
      } catch (error) {
        expect(error).toBeInstanceOf(OutOfMemoryError);
        failures++;
        await cpu.synchronize();
        expect(cpu.memory().used).toBe(used);
      }
    }
    expect(failures).toBeGreaterThan(3);
    await cpu.synchronize();
    expect(cpu.memory().used).toBe(used);
  });

  it('an array of the host', () => {
    const absurd = () => hostArray('float32', 2 ** 44, 'the test');
    expect(absurd).toThrow(OutOfMemoryError);
    expect(absurd).toThrow('out of memory: no 70368744177664 bytes for the test');
    expect(() => new TransformerLM({ ...CONFIG, vocabularySize: 2 ** 31 - 1, width: 2 ** 13 })).toThrow(
      OutOfMemoryError,
    );
    expect(() => new TransformerLM({ ...CONFIG, vocabularySize: -1 })).toThrow(ValueError);
  });

  // Only prlimit can take memory away from one process; a sanitizer ends the process when its own memory is at stake.
  const canLimit = spawnSync('prlimit', ['--version']).status === 0 && !SANITIZED;
  if (!canLimit) console.warn('skipped: no prlimit on this machine, or a sanitizer');
  /** Leaves the process `megabytes` of further address space, or all there is. */
  const LIMIT = `
    const { execFileSync } = require('node:child_process');
    const { readFileSync } = require('node:fs');
    addon.setErrorClasses([Error, ...['Shape', 'DType', 'Value', 'Device', 'OutOfMemory', 'Checkpoint'].map((name) =>
      ({ [name]: class extends Error {} })[name])]);
    const told = (error) => console.log(error.constructor.name + ':', error.message);
    const leave = (megabytes) => {
      const held = Number(/VmSize:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
      execFileSync('prlimit', ['--pid', String(process.pid), '--as=' + (megabytes === Infinity ? 'unlimited' : held + megabytes * 2 ** 20) + ':']);
    };
  `;
  it.skipIf(!canLimit)(
    'a tensor, a copy of data, and what is read to, when the system gives none (needs prlimit)',
    async () => {
      const { status, output } = await runScript(`
      ${LOAD_ADDON} ${LIMIT}
      const n = 1 << 25;
      const data = new Float32Array(n);
      const t = addon.createTensor('cpu', 'float32', [n], data);
      (async () => {
        await addon.synchronize('cpu');
        leave(100);
        for (const call of [() => addon.createTensor('cpu', 'float32', [n]), () => t.write(data), () => t.read()]) {
          try { await call(); console.log('enough'); } catch (error) { told(error); }
        }
        leave(180); // for what is copied to, but not for the array
        await t.read().then(() => console.log('enough'), told);
        leave(Infinity);
        console.log((await t.read()).length);
      })();
    `);
      expect(output.split('\n')).toEqual([
        'OutOfMemory: out of memory: the system gave no 134217728 bytes (134217728 in use, 134217728 held, no limit is set)',
        'OutOfMemory: out of memory: the system gave no 134217728 bytes for a copy of the data',
        'OutOfMemory: out of memory: the system gave no 134217728 bytes to read into',
        'OutOfMemory: out of memory: no 134217728 bytes for an array to read into',
        '33554432',
        '',
      ]);
      expect(status).toBe(0);
    },
  );

  it.skipIf(!canLimit)(
    'an operation in the queue: its results tell, and it can be tried again (needs prlimit)',
    async () => {
      const { status, output } = await runScript(`
      ${LOAD_ADDON} ${LIMIT}
      const draw = async (logits) => {
        const [tokens, logProbs] = addon.sampleGuided(logits, null, 1, 1, 3, undefined, 1, 0);
        try { console.log((await tokens.read()).length); } catch (error) { told(error); }
        await addon.synchronize('cpu');
        tokens.dispose();
        logProbs.dispose();
      };
      (async () => {
        const [large, small] = [1 << 26, 1000].map((vocab) => addon.createTensor('cpu', 'float32', [2, vocab]));
        addon.fill(small, 1);
        await addon.synchronize('cpu');
        leave(400); // less than a row takes; V8 wants some, too
        await draw(large);
        await draw(small);
      })();
    `);
      expect(output).toMatch(/^OutOfMemory: out of memory for the scratch space [^\n]*\n2\n$/);
      expect(status).toBe(0);
    },
  );
});
