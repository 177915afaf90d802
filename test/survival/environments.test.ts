import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { addonPath } from '../../lib/addon.ts';
import { LOAD_ADDON, runScript } from '../support/script.ts';

const folder = mkdtempSync(join(tmpdir(), 'cfgdistill-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Helpers of the scripts: what a worker may be in the midst of when it ends. */
const WORK = `
  const floats = (shape) => addon.createTensor('cpu', 'float32', shape, new Float32Array(shape.reduce((a, b) => a * b, 1)));
  const work = {
    reads() {
      const a = floats([64, 64]);
      const read = async () => { for (;;) { const y = addon.matmul(a, a, false, false, null, null); await y.read(); y.dispose(); } };
      for (let i = 0; i < 16; i++) read();
    },
    training() {
      const [x, w, m, v] = [floats([64, 64]), floats([64, 64]), floats([64, 64]), floats([64, 64])];
      const step = (i) => {
        for (let k = 0; k < 20; k++) {
          const g = addon.matmul(x, w, true, false, null, null);
          addon.adamw([w], [g], [m], [v], [0.1], 1e-3, 0.9, 0.95, 1e-8, i, addon.globalNorm([g]), 1);
          g.dispose();
        }
        addon.synchronize('cpu').then(() => step(i + 1), () => {});
      };
      step(1);
    },
    kernels() {
      const logits = new Float32Array(64 * 4096), out = new Float32Array(64 * 4096);
      const again = () => {
        addon.distillationLossNow(logits, logits, logits, 4096, 2, 1, 'reverse', 0.5, undefined, undefined, undefined,
          new Float32Array(64), new Float32Array(64), out, 'float32', 'float32');
        setImmediate(again);
      };
      setImmediate(again);
    },
    recording() {
      const a = floats([64, 64]);
      addon.beginProgram();
      for (let i = 0; i < 50; i++) addon.matmul(a, a, false, false, null, null);
      setInterval(() => addon.add(a, a), 1);
    },
    errors() {
      const a = floats([8]);
      const refuse = () => { for (let i = 0; i < 50; i++) try { addon.add(a, 3); } catch {} setImmediate(refuse); };
      refuse();
    },
  };
`;

describe('worker threads', () => {
  it.each([
    ['that alone load the addon', ''],
    ['beside a main thread that works, too', `${LOAD_ADDON} ${WORK} work.reads(); work.training();`],
  ])('end in the midst of anything, several at once: %s', async (_, main) => {
    const worker = `
      ${LOAD_ADDON}
      ${WORK}
      const { parentPort, workerData } = require('node:worker_threads');
      work[workerData]();
      parentPort.postMessage('at work');
    `;
    const { status, signal, output } = await runScript(`
      ${main}
      const { Worker } = require('node:worker_threads');
      const { setTimeout: sleep } = require('node:timers/promises');
      (async () => {
        const kinds = ['reads', 'training', 'kernels', 'recording', 'errors'];
        for (let round = 0; round < 8; round++) {
          const workers = kinds.map((workerData) => new Worker(${JSON.stringify(worker)}, { eval: true, workerData }));
          await Promise.all(workers.map((w) => new Promise((resolve, reject) => {
            w.once('message', resolve);
            w.once('error', reject);
          })));
          await sleep((round * 7) % 17);
          await Promise.all(workers.map((w) => w.terminate()));
        }
        console.log('through');
        process.exit(3);
      })();
    `);
    expect({ status, signal, output }).toEqual({ status: 3, signal: null, output: 'through\n' });
  });

  it('leave nothing behind, also a recording that never ended', async () => {
    const worker = `
      ${LOAD_ADDON}
      ${WORK}
      const { parentPort, workerData } = require('node:worker_threads');
      work[workerData]();
      parentPort.postMessage('at work');
    `;
    const { status, output } = await runScript(`
      const { Worker } = require('node:worker_threads');
      (async () => {
        for (const workerData of ['reads', 'training', 'recording']) {
          const w = new Worker(${JSON.stringify(worker)}, { eval: true, workerData });
          await new Promise((resolve) => w.once('message', resolve));
          await w.terminate();
        }
        ${LOAD_ADDON}
        await addon.synchronize('cpu');
        console.log(addon.memory('cpu', false).used);
        addon.beginProgram();
        addon.disposeProgram(addon.endProgram());
      })();
    `);
    expect({ status, output }).toEqual({ status: 0, output: '0\n' });
  });

  it('are told of their own faults and of no others', async () => {
    const fault = `
      const poison = () => addon.embeddingForward(
        addon.createTensor('cpu', 'float32', [2, 3], new Float32Array(6)),
        addon.createTensor('cpu', 'int32', [2], Int32Array.of(0, 5)));
    `;
    const worker = `
      ${LOAD_ADDON}
      ${fault}
      const { parentPort } = require('node:worker_threads');
      poison();
      parentPort.postMessage('poisoned');
      parentPort.once('message', async () => {
        parentPort.postMessage(await addon.synchronize('cpu').then(() => 'nothing', (error) => error.message));
        parentPort.postMessage(await addon.synchronize('cpu').then(() => 'nothing', (error) => error.message));
      });
    `;
    const { status, output } = await runScript(`
      ${LOAD_ADDON}
      ${fault}
      const { Worker } = require('node:worker_threads');
      const { once } = require('node:events');
      const told = () => addon.synchronize('cpu').then(() => 'nothing', (error) => error.message);
      (async () => {
        const w = new Worker(${JSON.stringify(worker)}, { eval: true });
        await once(w, 'message');
        console.log('main:', await told());
        const answers = [];
        w.on('message', (answer) => answers.push(answer));
        w.postMessage('now you');
        while (answers.length < 2) await once(w, 'message');
        console.log('worker:', answers.join(', then '));
        await w.terminate();
        // One that ends without asking leaves its fault to nobody.
        const other = new Worker(${JSON.stringify(worker)}, { eval: true });
        await once(other, 'message');
        await other.terminate();
        console.log('main:', await told());
        poison();
        console.log('main:', await told());
      })();
    `);
    const fault5 = 'ids: expected a token from 0 to 1 at 1, got 5';
    expect({ status, output }).toEqual({
      status: 0,
      output: `main: nothing\nworker: ${fault5}, then nothing\nmain: nothing\nmain: ${fault5}\n`,
    });
  });

  it('may exit themselves, by an uncaught error or by process.exit, with work queued', async () => {
    const worker = `
      ${LOAD_ADDON}
      ${WORK}
      const { workerData } = require('node:worker_threads');
      work.reads();
      const y = floats([4]);
      y.read().then(() => {
        if (workerData === 'exit') process.exit(5);
        throw new RangeError('in a callback');
      });
    `;
    const { status, output } = await runScript(`
      const { Worker } = require('node:worker_threads');
      const { once } = require('node:events');
      (async () => {
        for (const workerData of ['exit', 'throw']) {
          const w = new Worker(${JSON.stringify(worker)}, { eval: true, workerData });
          let message = 'no error';
          w.once('error', (error) => { message = error.message; });
          const [code] = await new Promise((resolve) => w.once('exit', (...all) => resolve(all)));
          console.log(code, message);
        }
      })();
    `);
    expect({ status, output }).toEqual({ status: 0, output: '5 no error\n1 in a callback\n' });
  });
});

describe('the addon loaded again', () => {
  it('from the same file, from a copy, and into other contexts: each with what is its own', async () => {
    const path = addonPath() as string;
    const copy = join(folder, 'copy.node');
    copyFileSync(path, copy);
    const { status, output } = await runScript(`
      const path = ${JSON.stringify(path)};
      const vm = require('node:vm');
      const first = require(path);
      delete require.cache[require.resolve(path)];
      const again = require(path);
      const copy = require(${JSON.stringify(copy)});
      const inContext = vm.runInNewContext('(load) => load()', {})(() => {
        delete require.cache[require.resolve(path)];
        return require(path);
      });
      class Mine extends Error {}
      again.setErrorClasses(new Array(7).fill(Mine));
      const two = (addon) => addon.createTensor('cpu', 'float32', [2], Float32Array.of(1, 2));
      const thrown = (call) => { try { return call(); } catch (error) { return error.constructor.name + ': ' + error.message; } };
      (async () => {
        console.log(first === again, first.NativeTensor === again.NativeTensor);
        for (const addon of [first, again, copy, inContext]) console.log(String(await addon.add(two(addon), two(addon)).read()));
        console.log(String(await first.add(two(first), two(again)).read()));
        console.log(thrown(() => first.add(two(first), two(copy))));
        console.log(thrown(() => again.add(two(again), two(copy))));
        // One recording per thread, and everything asked for meanwhile belongs to it.
        first.beginProgram();
        const recorded = again.add(two(first), two(first));
        console.log(thrown(() => again.beginProgram()), '|', thrown(() => again.endProgram()));
        const program = first.endProgram();
        console.log(thrown(() => copy.replayProgram(program)));
        first.replayProgram(program);
        console.log(String(await recorded.read()));
      })();
    `);
    expect(output.split('\n')).toEqual([
      'false false',
      ...new Array(4).fill('2,4'),
      '2,4',
      'Error: b: expected a Tensor',
      'Mine: b: expected a Tensor',
      'Mine: program: another program is being recorded | Mine: program: no program is being recorded',
      'Error: program: expected a program',
      '2,4',
      '',
    ]);
    expect(status).toBe(0);
  });
});

describe('a process', () => {
  const endings: [string, string, number, string][] = [
    ['ends when nothing is awaited, whatever is queued', 'work.training = null; floats([64, 64]);', 0, ''],
    [
      'ends once what is awaited is there',
      "floats([2]).read().then((v) => console.log('read', v.length));",
      0,
      'read 2\n',
    ],
    ['may exit in the callback of a read', 'work.reads(); floats([2]).read().then(() => process.exit(4));', 4, ''],
    [
      'may exit in the midst of everything',
      'work.reads(); work.training(); work.errors(); setTimeout(() => process.exit(5), 30);',
      5,
      '',
    ],
    ['may exit while a program is recorded', 'work.recording(); process.exit(6);', 6, ''],
    [
      'may use the addon as it exits',
      `work.reads();
       process.on('exit', () => {
         const out = new Float32Array(2);
         addon.lerpNow(Float32Array.of(1, 2), Float32Array.of(3, 4), 0.5, out, 'float32');
         const t = addon.add(floats([2]), floats([2]));
         t.read();
         addon.synchronize('cpu');
         console.log(String(out), t.shape().length, addon.memory('cpu', false).used > 0);
       });
       setTimeout(() => process.exit(7), 10);`,
      7,
      '2,3 1 true\n',
    ],
    [
      'may be killed from within',
      "work.training(); process.on('exit', () => {}); setTimeout(() => process.kill(process.pid, 'SIGTERM'), 20);",
      143,
      '',
    ],
  ];
  it.each(endings)('%s', async (_, script, code, expected) => {
    const { status, signal, output } = await runScript(`${LOAD_ADDON} ${WORK} ${script}`, { seconds: 20 });
    expect({ code: signal === 'SIGTERM' ? 143 : status, output }).toEqual({ code, output: expected });
  });

  it('ends with an uncaught error of a callback, as any would', async () => {
    const { status, output } = await runScript(`
      ${LOAD_ADDON} ${WORK}
      work.reads();
      floats([2]).read().then(() => { throw new RangeError('in a callback'); });
    `);
    expect(status).toBe(1);
    expect(output).toMatch(/RangeError: in a callback/);
  });

  it('may start others while it works', async () => {
    const { status, output } = await runScript(`
      ${LOAD_ADDON} ${WORK}
      work.reads(); work.training();
      const { execFileSync } = require('node:child_process');
      for (let i = 0; i < 10; i++) process.stdout.write(execFileSync('echo', [String(i)]));
      process.exit(0);
    `);
    expect({ status, output }).toEqual({ status: 0, output: '0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n' });
  });
});
