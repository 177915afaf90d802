// Whole models on the GPU against the CPU: gradients by every parameter, in float32 and in bfloat16.
import { packTokens, Tape, Tensor, TransformerLM } from '../../cfgdistill.mjs';
import { sequences } from '../../data.mjs';
import { native } from '../../internals.mjs';
import { stage } from '../stage.mjs';

// ‖gradient − expected‖ / ‖expected‖ of the whole model, and of its worst parameter.
const LIMITS = { float32: { whole: 1e-4, worst: 1e-3 }, bfloat16: { whole: 3e-2, worst: 1e-1 } };

const CONFIGS = {
  'learned positions, LayerNorm, GELU, tied': {},
  'rotary positions, RMSNorm, gated SiLU': {
    ...{ norm: 'rms', activation: 'silu', gated: true, positions: 'rotary', bias: false, tied: false },
  },
  'sinusoidal positions, tanh GELU': { positions: 'sinusoidal', activation: 'gelu-tanh' },
};

/** The loss of a batch of ragged sequences, and its gradient by each parameter, by name. */
async function gradients(device, config, compute, batch, targets) {
  const model = new TransformerLM(config, { device, seed: 3, ...(compute !== 'float32' && { compute }) });
  const tape = new Tape(model.parameters().map(({ tensor }) => tensor));
  const logits = tape.record(() => model.forward(batch));
  const flat = logits.reshape([batch.rows * batch.positions, -1]);
  const wanted = Tensor.from(targets, [targets.length], device);
  const [loss, , gradient] = native.crossEntropy(flat.handle, wanted.handle, null, 1 / targets.length);
  const seed = new Tensor(gradient, gradient.dtype()).reshape(logits.shape);
  const found = tape.backward([[logits, seed]]);
  const byName = await Promise.all(
    model.parameters().map(async ({ name, tensor }) => [name, await found.get(tensor)?.read()]),
  );
  const [value] = await loss.read();
  model.dispose();
  return { loss: value, byName };
}

const length = (values) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));

function distances(actual, expected) {
  let [error, size] = [0, 0];
  const sizes = expected.map(([, e]) => length(e));
  const whole = Math.hypot(...sizes);
  let worst = { relative: 0, name: '' };
  expected.forEach(([name, e], i) => {
    const a = actual[i][1];
    const off = length(e.map((x, k) => a[k] - x));
    error = Math.hypot(error, off);
    size = Math.hypot(size, sizes[i]);
    // Parameters whose gradient is nothing but rounding have none to compare.
    const relative = sizes[i] > 1e-4 * whole ? off / sizes[i] : 0;
    if (!(relative <= worst.relative)) worst = { relative, name };
  });
  return { whole: error / size, worst };
}

await stage(async ({ cpu, gpu, small, report }) => {
  const [rows, positions, vocabularySize] = small ? [3, 9, 17] : [8, 160, 1_003];
  const width = small ? { width: 16, heads: 2, depth: 2 } : { width: 256, heads: 4, depth: 4 };
  const batch = packTokens(
    sequences(rows, positions, vocabularySize, 11).map((s, r) => s.slice(0, positions - r)),
    { vocabularySize },
  );
  const targets = Int32Array.from({ length: rows * positions }, (_, i) => {
    return i % positions < batch.starts[Math.floor(i / positions)] ? -1 : (7 * i) % vocabularySize;
  });
  for (const [name, options] of Object.entries(CONFIGS)) {
    const config = { vocabularySize, maxPositions: positions, ...width, ...options };
    const expected = await gradients(cpu, config, 'float32', batch, targets);
    for (const [dtype, { whole: most, worst: mostOfOne }] of Object.entries(LIMITS)) {
      await report.check(`gradients of a model with ${name}, ${dtype}`, async () => {
        const actual = await gradients(gpu, config, dtype, batch, targets);
        const { whole, worst } = distances(actual.byName, expected.byName);
        const off = Math.abs(actual.loss - expected.loss) / expected.loss;
        if (!(whole <= most && worst.relative <= mostOfOne && off <= most))
          throw new Error(
            `whole model ${whole.toExponential(1)}, ${worst.name} ${worst.relative.toExponential(1)}, loss ${off.toExponential(1)}`,
          );
        if (dtype !== 'float32' && !(whole > 1e-5)) throw new Error(`nothing was computed in ${dtype}`);
        return { error: whole, worst, loss: off };
      });
    }
  }
});
