import {
  distillationLoss,
  diversityReward,
  guidedLogits,
  lerp,
  sampleGuided,
  Tensor,
  ValueError,
  weightedAverage,
} from 'cfgdistill';
import { describe, expect, it } from 'vitest';

/** An array whose memory went to somebody else. */
function transferred(length: number): Float32Array {
  const array = new Float32Array(length);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}

/** An array of this content in memory that threads share. */
function shared(values: readonly number[]): Float32Array {
  const array = new Float32Array(new SharedArrayBuffer(4 * values.length));
  array.set(values);
  return array;
}

const values = [0.5, -1, 2, 0.25];
const other = [1, 0, -0.5, 3];
const plain = (content: readonly number[]): Float32Array => Float32Array.from(content);

describe('an array whose buffer was transferred', () => {
  const good = plain(values);
  const calls: [string, string, () => unknown][] = [
    ['lerp', 'a', () => lerp(transferred(4), transferred(4), 0.5)],
    ['lerp', 'b', () => lerp(good, transferred(4), 0.5)],
    ['lerp', 'out', () => lerp(good, good, 0.5, { out: transferred(4) })],
    ['weightedAverage', 'arrays', () => weightedAverage([good, transferred(4)], [1, 1])],
    ['guidedLogits', 'cond', () => guidedLogits(transferred(4), good, 2, { vocab: 2 })],
    ['guidedLogits', 'uncond', () => guidedLogits(good, transferred(4), 2, { vocab: 2 })],
    ['guidedLogits', 'scale', () => guidedLogits(good, good, transferred(2), { vocab: 2 })],
    ['sampleGuided', 'uncond', () => sampleGuided(good, transferred(4), { vocab: 2, scale: 2, seed: 1 })],
    ['distillationLoss', 'cond', () => distillationLoss(good, transferred(4), good, { vocab: 2, scale: 2 })],
    ['diversityReward', 'embeddings', () => diversityReward(transferred(4), { prompts: 1, samples: 2, dimensions: 2 })],
    ['Tensor.from', 'data', () => Tensor.from(transferred(4), [4])],
    ['Tensor.write', 'data', () => Tensor.from(good, [4]).write(transferred(4))],
  ];
  it.each(calls)('is refused by %s as %s', (_, argument, call) => {
    expect(call).toThrow(ValueError);
    expect(call).toThrow(expect.objectContaining({ argument: expect.stringMatching(new RegExp(`^${argument}`)) }));
    expect(call).toThrow(/: expected a Float32Array with memory, got one whose buffer was transferred$/);
  });

  it('is told apart from an empty one', () => {
    expect(() => lerp(transferred(0), transferred(0), 0.5)).toThrow(ValueError);
    expect(lerp(new Float32Array(0), new Float32Array(0), 0.5)).toEqual(new Float32Array(0));
  });
});

describe('an array in shared memory', () => {
  it('gives the kernels what any other gives, as input and as output', () => {
    const [a, b] = [plain(values), plain(other)];
    const [s, t] = [shared(values), shared(other)];
    const out = shared([0, 0, 0, 0]);
    expect(lerp(s, t, 0.25, { out })).toBe(out);
    expect(plain([...out])).toEqual(lerp(a, b, 0.25));
    expect(weightedAverage([s, t], [1, 3])).toEqual(weightedAverage([a, b], [1, 3]));
    expect(guidedLogits(s, t, shared([2, 3]), { vocab: 2 })).toEqual(guidedLogits(a, b, plain([2, 3]), { vocab: 2 }));
    const drawing = { vocab: 2, scale: 2, seed: 3 };
    expect(sampleGuided(s, t, drawing)).toEqual(sampleGuided(a, b, drawing));
    const loss = { vocab: 2, scale: 2 };
    expect(distillationLoss(s, t, s, loss)).toEqual(distillationLoss(a, b, a, loss));
    const shape = { prompts: 1, samples: 2, dimensions: 2 };
    expect(diversityReward(s, shape)).toEqual(diversityReward(a, shape));
  });

  it('is copied into tensors', async () => {
    const s = shared(values);
    const tensor = Tensor.from(s, [4]);
    s.fill(0);
    expect(await tensor.read()).toEqual(plain(values));
    tensor.write(shared(other));
    expect(await tensor.read()).toEqual(plain(other));
  });
});
