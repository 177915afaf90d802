// One draw per row from guided logits, and the diversity reward.
import { native } from '../../internals.mjs';
import { stage } from '../stage.mjs';
import { DTYPES, shapes, shapeText } from './shapes.mjs';
import { BYTES, disposeAll, random } from './tensors.mjs';
import { setsOf, timed } from './timing.mjs';

const DRAWS = [
  ['sampleGuided', undefined, undefined],
  ['sampleGuided, top-k 50', 50, undefined],
  ['sampleGuided, top-p 0.9', undefined, 0.9],
];

await stage(async ({ gpu, small, report }) => {
  const { draw, diversity } = shapes(small);
  const measure = (what, shape, dtype, { arrays, make, call }) =>
    report.measure({ what, shape: shapeText(shape), dtype }, async () => {
      const bytes = arrays * shape.reduce((a, b) => a * b, BYTES[dtype]);
      const sets = Array.from({ length: setsOf(bytes, small) }, (_, set) => make(set));
      try {
        return { ...(await timed(gpu, sets, (set) => disposeAll(call(set)))), bytes };
      } finally {
        disposeAll(sets);
      }
    });
  for (const dtype of DTYPES) {
    for (const [what, topK, topP] of DRAWS) {
      await measure(what, draw, dtype, {
        arrays: 2,
        make: (set) => [0, 1].map((i) => random(gpu, draw, { dtype, seed: 2 * set + i })),
        call: ([cond, uncond]) => native.sampleGuided(cond, uncond, 3, 0.99, topK, topP, 1, 0),
      });
    }
  }
  for (const shape of diversity) {
    const [prompts, samples, dimensions] = shape;
    await measure('diversityReward', shape, 'float32', {
      arrays: 1,
      make: (set) => {
        const flat = random(gpu, [prompts * samples, dimensions], { seed: set, size: 1 });
        const shaped = flat.view([...shape], 0);
        flat.dispose();
        return [shaped];
      },
      call: ([embeddings]) => native.diversityReward(embeddings, undefined),
    });
  }
});
