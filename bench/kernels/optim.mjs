// AdamW and the norm of the gradients: operations on tensors of a training step, in queue order.
import { native } from '../internals.mjs';
import { elements } from './arrays.mjs';

const MEMORY = 256 * 2 ** 20;

/** Elements per tensor: one that fits a second-level cache with its gradient and moments, a small model's, a large one. */
const LISTS = [
  { place: 'L2', sizes: [24_000] },
  { place: 'L2', sizes: Array.from({ length: 48 }, (_, i) => [64, 192, 1024, 720][i % 4]) },
  { place: 'memory', sizes: [MEMORY / 16] },
  { place: 'memory', sizes: Array.from({ length: 48 }, (_, i) => [256, 768, 65_536, 262_144][i % 4]) },
];

function tensors(sizes, kind) {
  return sizes.map((size) => native.createTensor('cpu', 'float32', [size], elements('f32', size, kind)));
}

/** Calls are queued; a turn ends when the last one is done. */
function queued(once) {
  return {
    async run(iterations) {
      for (let i = 0; i < iterations; i++) once();
      await native.synchronize('cpu');
    },
  };
}

function stepping(sizes) {
  const [parameters, gradients, first] = [0, 1, 2].map((kind) => tensors(sizes, kind));
  const second = sizes.map((size) => native.createTensor('cpu', 'float32', [size], new Float32Array(size).fill(0.5)));
  const norm = native.globalNorm(gradients);
  const decays = sizes.map(() => 0.1);
  return queued(() =>
    native.adamw(parameters, gradients, first, second, decays, 1e-6, 0.9, 0.999, 1e-8, 10, norm, 1, null),
  );
}

function measuring(sizes) {
  const gradients = tensors(sizes, 1);
  return queued(() => native.globalNorm(gradients).dispose());
}

/** AdamW reads four arrays and writes three of them; the norm reads one. */
const KERNELS = [
  { kernel: 'AdamW', passes: 7, yardstick: 'copy', make: stepping },
  { kernel: 'globalNorm', passes: 1, yardstick: 'read', make: measuring },
];

/** @returns {import('./index.mjs').KernelCase[]} */
export function cases({ quick }) {
  return KERNELS.flatMap(({ kernel, passes, yardstick, make }) =>
    LISTS.map(({ place, sizes }) => {
      const used = quick ? sizes.map((size) => Math.min(size, 2 ** 20)) : sizes;
      const all = used.reduce((sum, size) => sum + size, 0);
      return {
        kernel,
        dtype: 'f32',
        shape: used.length > 1 ? `${used.length} tensors, ${all}` : `[${all}]`,
        place,
        bytes: passes * 4 * all,
        yardstick,
        make: () => make(used),
      };
    }),
  );
}
