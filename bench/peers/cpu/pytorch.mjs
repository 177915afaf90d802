// PyTorch on the CPU in a process of its own (pytorch.py), which takes its turns when it is told to.
import { COMPARISONS } from './comparisons.mjs';
import { Python } from './python.mjs';

export const name = 'PyTorch';

const encoded = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('base64');

export async function load() {
  // Between its turns its threads sleep.
  const python = new Python(new URL('./pytorch.py', import.meta.url), {
    OMP_WAIT_POLICY: 'PASSIVE',
    KMP_BLOCKTIME: '0',
  });
  const { version, blas } = await python.ask({ make: 'lerp', shape: [1], threads: 1 });
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
    about: `PyTorch ${version}, eager, BLAS: ${blas}`,
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
