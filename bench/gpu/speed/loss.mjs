// distillationLoss with its gradient and policy term: time and peak memory.
import { native } from '../../internals.mjs';
import { stage } from '../stage.mjs';
import { DTYPES, shapes, shapeText } from './shapes.mjs';
import { BYTES, disposeAll, random } from './tensors.mjs';
import { peakOf, setsOf, timed } from './timing.mjs';

function inputs(gpu, [rows, vocab], dtype, seed) {
  const [student, cond, uncond] = [0, 1, 2].map((i) => random(gpu, [rows, vocab], { dtype, seed: 3 * seed + i }));
  return {
    ...{ student, cond, uncond },
    weights: native.createTensor(gpu.id, 'float32', [rows], new Float32Array(rows).fill(1 / rows)),
    tokens: native.createTensor(
      gpu.id,
      'int32',
      [rows],
      new Int32Array(rows).map((_, r) => (7 * r) % vocab),
    ),
    coefficients: native.createTensor(gpu.id, 'float32', [rows], new Float32Array(rows).fill(0.1 / rows)),
  };
}

const call = ({ student, cond, uncond, weights, tokens, coefficients }) =>
  disposeAll(native.distillationLoss(student, cond, uncond, 3, 0.99, 'reverse', 0.5, weights, tokens, coefficients));

await stage(async ({ gpu, small, report }) => {
  for (const shape of shapes(small).loss) {
    for (const dtype of DTYPES) {
      await report.measure({ what: 'distillationLoss', shape: shapeText(shape), dtype }, async () => {
        const oneArray = shape[0] * shape[1] * BYTES[dtype];
        const sets = Array.from({ length: setsOf(3 * oneArray, small) }, (_, i) => inputs(gpu, shape, dtype, i));
        try {
          const beyondInputs = await peakOf(gpu, () => call(sets[0]));
          const time = await timed(gpu, sets, call);
          // Three reads and one write; what is one number per row does not count.
          return { ...time, bytes: 4 * oneArray, beyondInputs, gradient: oneArray, rows: shape[0] };
        } finally {
          disposeAll(sets);
        }
      });
    }
  }
});
