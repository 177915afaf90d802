// AdamW over all parameters of the model that is trained: reads weights, gradients and two moments, writes all but the
// gradients.
import { TransformerLM } from '../../cfgdistill.mjs';
import { native } from '../../internals.mjs';
import { stage } from '../stage.mjs';
import { model } from './shapes.mjs';
import { disposeAll } from './tensors.mjs';
import { timed } from './timing.mjs';

await stage(async ({ gpu, small, report }) => {
  await report.measure({ what: 'adamw', shape: 'model', dtype: 'float32' }, async () => {
    const lm = new TransformerLM(model(small), { device: gpu });
    const parameters = lm.parameters().map(({ tensor }) => tensor.handle);
    const [gradients, first, second] = [1e-3, 1e-3, 1e-6].map((value) =>
      parameters.map((p) => {
        const tensor = native.createTensor(gpu.id, 'float32', p.shape());
        native.fill(tensor, value);
        return tensor;
      }),
    );
    const decays = parameters.map(() => 0.1);
    const count = lm.parameters().reduce((sum, { tensor }) => sum + tensor.size, 0);
    let step = 1;
    try {
      const time = await timed(gpu, [null], () => {
        native.adamw(parameters, gradients, first, second, decays, 1e-4, 0.9, 0.95, 1e-8, step++, null, Infinity);
      });
      return { ...time, bytes: 7 * 4 * count, parameters: count };
    } finally {
      disposeAll([gradients, first, second]);
      lm.dispose();
    }
  });
});
