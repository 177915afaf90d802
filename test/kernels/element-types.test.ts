import {
  type ComputeType,
  distillationLoss,
  diversityReward,
  guidedLogits,
  lerp,
  sampleGuided,
  Tensor,
  weightedAverage,
} from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { cast } from '../../lib/tensor/operations.ts';
import { randomFloats } from '../support/random-data.ts';

const random = new Random(1);
const [ROWS, VOCAB] = [5, 33];
/** Values that bfloat16 holds exactly, as float32 and as bfloat16. */
async function pair(shape: readonly number[], deviation = 2) {
  const size = shape.reduce((a, b) => a * b, 1);
  const half = cast(Tensor.from(randomFloats(random, size, deviation), shape), 'bfloat16');
  return { half, full: cast(half, 'float32'), values: await cast(half, 'float32').read() };
}
const rounded = async (tensor: Tensor) => cast(cast(tensor, 'bfloat16'), 'float32').read();
const floats = (tensor: Tensor<ComputeType>) => cast(tensor, 'float32').read();

describe('kernels on bfloat16 tensors round once what they give on float32', () => {
  it('guidedLogits', async () => {
    const [cond, uncond] = [await pair([ROWS, VOCAB]), await pair([ROWS, VOCAB])];
    const result = guidedLogits(cond.half, uncond.half, 2.5);
    expect(result.dtype).toBe('bfloat16');
    expect(await floats(result)).toEqual(await rounded(guidedLogits(cond.full, uncond.full, 2.5)));
  });

  it('sampleGuided draws the same tokens', async () => {
    const [cond, uncond] = [await pair([ROWS, VOCAB]), await pair([ROWS, VOCAB])];
    const options = { scale: 2, topK: 9, topP: 0.95, seed: 4 };
    const [half, full] = [sampleGuided(cond.half, uncond.half, options), sampleGuided(cond.full, uncond.full, options)];
    expect(await half.tokens.read()).toEqual(await full.tokens.read());
    expect(await half.logProbs.read()).toEqual(await full.logProbs.read());
  });

  it('distillationLoss: values in float32, the gradient in bfloat16', async () => {
    const [student, cond, uncond] = [await pair([ROWS, VOCAB]), await pair([ROWS, VOCAB]), await pair([ROWS, VOCAB])];
    const half = distillationLoss(student.half, cond.half, uncond.half, { scale: 3 });
    const full = distillationLoss(student.full, cond.full, uncond.full, { scale: 3 });
    expect(await half.perToken.read()).toEqual(await full.perToken.read());
    expect(await half.loss.read()).toEqual(await full.loss.read());
    expect(half.grad.dtype).toBe('bfloat16');
    expect(await floats(half.grad)).toEqual(await rounded(full.grad));
  });

  it('diversityReward', async () => {
    const embeddings = await pair([3, 4, 17]);
    const [half, full] = [diversityReward(embeddings.half), diversityReward(embeddings.full)];
    expect(await half.advantage.read()).toEqual(await full.advantage.read());
  });

  it.each(['bfloat16', 'float16'] as const)('lerp and weightedAverage, %s', async (dtype) => {
    const data = [0, 1, 2].map(() => randomFloats(random, 70, 1));
    const stored = data.map((values) => {
      const tensor = Tensor.from(values, [70]);
      return new Tensor(native.cast(tensor.handle, dtype), dtype);
    });
    const asFloats = (tensor: Tensor<typeof dtype>) =>
      new Tensor(native.cast(tensor.handle, 'float32'), 'float32') as Tensor;
    const [a, b, c] = stored as [Tensor<typeof dtype>, Tensor<typeof dtype>, Tensor<typeof dtype>];
    const once = async (tensor: Tensor) => asFloats(new Tensor(native.cast(tensor.handle, dtype), dtype)).read();
    const mixed = lerp(a, b, 0.25);
    expect(mixed.dtype).toBe(dtype);
    expect(await asFloats(mixed).read()).toEqual(await once(lerp(asFloats(a), asFloats(b), 0.25)));
    const averaged = weightedAverage([a, b, c], [1, 2, 1]);
    expect(await asFloats(averaged).read()).toEqual(await once(weightedAverage([a, b, c].map(asFloats), [1, 2, 1])));
  });

  it('refuses a mixture of types, naming the argument', async () => {
    const [x, y] = [await pair([ROWS, VOCAB]), await pair([ROWS, VOCAB])];
    expect(() => guidedLogits(x.half as Tensor<ComputeType>, y.full, 2)).toThrow(
      /^uncond: expected a Tensor of bfloat16, got a Tensor of float32/,
    );
    expect(() => lerp(x.half as Tensor<ComputeType>, y.full, 0.5)).toThrow(/^b: expected a Tensor of bfloat16/);
    const ids = Tensor.from(Int32Array.of(1), [1]) as never;
    expect(() => diversityReward(ids)).toThrow(/^embeddings: expected a Tensor of float32 or bfloat16, got/);
  });
});
