// Guidance and merging, which do nothing but move bytes; and a scaling, the least that reads and writes.
import { native } from '../../internals.mjs';
import { stage } from '../stage.mjs';
import { DTYPES, shapes, shapeText } from './shapes.mjs';
import { BYTES, disposeAll, random } from './tensors.mjs';
import { setsOf, timed } from './timing.mjs';

const KERNELS = [
  { what: 'scale', arrays: 1, dtypes: DTYPES, call: ([x]) => native.scale(x, 1.5) },
  { what: 'guidedLogits', arrays: 2, dtypes: DTYPES, call: ([cond, uncond]) => native.guidedLogits(cond, uncond, 3) },
  { what: 'lerp', arrays: 2, dtypes: ['float32'], call: ([a, b]) => native.lerp(a, b, 0.3) },
  {
    what: 'weightedAverage of 3',
    arrays: 3,
    dtypes: ['float32'],
    call: (inputs) => native.weightedAverage(inputs, [0.5, 0.2, 0.3]),
  },
];

await stage(async ({ gpu, small, report }) => {
  const shape = shapes(small).elementwise;
  for (const { what, arrays, dtypes, call } of KERNELS) {
    for (const dtype of dtypes) {
      await report.measure({ what, shape: shapeText(shape), dtype }, async () => {
        const oneArray = shape[0] * shape[1] * BYTES[dtype];
        const sets = Array.from({ length: setsOf(arrays * oneArray, small) }, (_, set) =>
          Array.from({ length: arrays }, (_, i) => random(gpu, shape, { dtype, seed: 10 * set + i })),
        );
        try {
          return { ...(await timed(gpu, sets, (set) => call(set).dispose())), bytes: (arrays + 1) * oneArray };
        } finally {
          disposeAll(sets);
        }
      });
    }
  }
});
