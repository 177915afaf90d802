// PyTorch on the CPU in a process of its own (pytorch.py), which takes its turns when it is told to.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { COMPARISONS } from './comparisons.mjs';

export const name = 'PyTorch';

const SCRIPT = fileURLToPath(new URL('./pytorch.py', import.meta.url));

class Python {
  #child;
  #waiting = [];
  #errors = '';

  constructor() {
    this.#child = spawn(process.env.PYTHON ?? 'python3', [SCRIPT], {
      // Between its turns its threads sleep.
      env: { ...process.env, OMP_WAIT_POLICY: 'PASSIVE', KMP_BLOCKTIME: '0' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) =>
      this.#waiting.shift()?.resolve(JSON.parse(line)),
    );
    this.#child.stderr.on('data', (text) => {
      this.#errors = (this.#errors + text).slice(-2000);
    });
    this.#child.stdin.on('error', () => {}); // told by `close`
    const ended = (reason) => {
      const last = this.#errors.trim().split('\n').at(-1);
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(last || reason));
    };
    this.#child.on('error', (error) => ended(error.message));
    this.#child.on('close', (code) => ended(`python3 ended with ${code}`));
  }

  ask(command) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    });
  }

  close() {
    this.#child.stdin.end();
  }
}

const encoded = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('base64');

export async function load() {
  const python = new Python();
  const { version } = await python.ask({ make: 'lerp', shape: [1], threads: 1 });
  const makers = Object.keys(COMPARISONS).map((what) => [
    what,
    async (_inputs, threads, shape) => {
      await python.ask({ make: what, shape, threads });
      return async (iterations) => {
        await python.ask({ run: iterations });
      };
    },
  ]);
  return {
    about: `PyTorch ${version}, eager`,
    manyThreads: true,
    /** Its cases are timed as a number of iterations, since each is a message to another process. */
    batches: true,
    cases: Object.fromEntries(makers),
    async check(what, inputs, shape) {
      const arrays = Object.entries(inputs).filter(([, value]) => value instanceof Float32Array);
      const command = {
        check: what,
        shape,
        inputs: Object.fromEntries(arrays.map(([key, value]) => [key, encoded(value)])),
      };
      const bytes = Buffer.from((await python.ask(command)).result, 'base64');
      return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    },
    release: () => python.ask({ forget: true }),
    close: () => python.close(),
  };
}
