import { describe, expect, it } from 'vitest';
import { DTypeError, ShapeError, ValueError } from '../../lib/errors.ts';
import {
  distillationLoss,
  diversityReward,
  guidedLogits,
  lerp,
  sampleGuided,
  weightedAverage,
} from '../../lib/index.ts';
import { bfloat16Bits, bfloat16Values } from '../support/half.ts';

const numbers = (n: number, step = 0.37) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * step) * 3);
const halves = (n: number, step?: number) => bfloat16Bits(numbers(n, step));

describe('Uint16Arrays of bfloat16', () => {
  const [a, b] = [halves(24), halves(24, 0.91)];
  const [wideA, wideB] = [bfloat16Values(a), bfloat16Values(b)];

  it('give what float32 gives, rounded once', () => {
    const options = { vocab: 6, dtype: 'bf16' } as const;
    const wide = { vocab: 6 };
    expect(guidedLogits(a, b, 3, options)).toEqual(bfloat16Bits(guidedLogits(wideA, wideB, 3, wide)));
    expect(lerp(a, b, 0.3, { dtype: 'bf16' })).toEqual(bfloat16Bits(lerp(wideA, wideB, 0.3)));
    expect(weightedAverage([a, b], [1, 3], { dtype: 'bf16' })).toEqual(
      bfloat16Bits(weightedAverage([wideA, wideB], [1, 3])),
    );
    expect(sampleGuided(a, b, { ...options, scale: 2, topK: 3, seed: 4 })).toEqual(
      sampleGuided(wideA, wideB, { ...wide, scale: 2, topK: 3, seed: 4 }),
    );
    const shape = { prompts: 2, samples: 3, dimensions: 4 };
    expect(diversityReward(a, { ...shape, dtype: 'bf16' })).toEqual(diversityReward(wideA, shape));
  });

  it('take the gradient of the distillation loss in either type', () => {
    const wide = distillationLoss(wideA, wideB, wideA, { vocab: 6, scale: 3 });
    const narrow = distillationLoss(a, b, a, { vocab: 6, scale: 3, dtype: 'bf16' });
    expect(narrow).toEqual({ ...wide, grad: bfloat16Bits(wide.grad) });
    const out = new Float32Array(24);
    expect(distillationLoss(a, b, a, { vocab: 6, scale: 3, dtype: 'bf16', out })).toEqual(wide);
    expect(distillationLoss(a, b, a, { vocab: 6, scale: 3, dtype: 'bf16', out }).grad).toBe(out);
  });

  it('honour out, views and the places where an array may not be written', () => {
    const memory = new Uint16Array(30);
    const out = memory.subarray(3, 27);
    expect(lerp(a, b, 0.3, { dtype: 'bf16', out })).toBe(out);
    expect([...memory.subarray(0, 3), ...memory.subarray(27)]).toEqual([0, 0, 0, 0, 0, 0]);
    out.set(a);
    expect(() => lerp(out, b, 0.3, { dtype: 'bf16', out: memory.subarray(2, 26) })).toThrow('partial overlap');
    // A gradient of other elements over its own input: the same place, but not the same memory.
    const shared = new ArrayBuffer(96);
    const student = new Uint16Array(shared, 0, 24);
    const grad = new Float32Array(shared);
    expect(() => distillationLoss(student, b, a, { vocab: 6, scale: 3, dtype: 'bf16', out: grad })).toThrow(ValueError);
  });
});

describe('what an array holds', () => {
  it('must be said of a Uint16Array, and must be right', () => {
    const bits = halves(4);
    const loose = lerp as (a: unknown, b: unknown, weight: number, options?: object) => unknown;
    expect(() => loose(bits, bits, 0.5)).toThrow("dtype: expected 'bf16' or 'f16' for the Uint16Array a, got none");
    expect(() => loose(bits, bits, 0.5, { dtype: 'f32' })).toThrow(DTypeError);
    expect(() => loose(bits, bits, 0.5, { dtype: 'half' })).toThrow(
      "dtype: expected 'f32', 'bf16' or 'f16', got 'half'",
    );
    expect(() => loose(numbers(4), numbers(4), 0.5, { dtype: 'bf16' })).toThrow(
      'a: expected a Uint16Array of bf16, got Float32Array',
    );
    expect(() => loose(bits, numbers(4), 0.5, { dtype: 'bf16' })).toThrow(
      'b: expected a Uint16Array of bfloat16, got Float32Array',
    );
    expect(() => loose(numbers(4), bits, 0.5)).toThrow('b: expected a Float32Array, got Uint16Array');
    expect(() => loose(bits, halves(3), 0.5, { dtype: 'bf16' })).toThrow(ShapeError);
    expect(() => loose(new Float64Array(4), numbers(4), 0.5)).toThrow(
      'a: expected a Float32Array, or a Uint16Array with the option dtype, got Float64Array',
    );
    const moved = halves(4);
    structuredClone(moved.buffer, { transfer: [moved.buffer] });
    expect(() => loose(moved, bits, 0.5, { dtype: 'bf16' })).toThrow('buffer was transferred');
  });
});

interface Float16Constructor {
  from(values: Iterable<number>): Float16Array;
}
type Float16Array = Iterable<number> &
  ArrayBufferView & { length: number; readonly [Symbol.toStringTag]: 'Float16Array' };
const Float16 = (globalThis as { Float16Array?: Float16Constructor }).Float16Array;

// Node 20 and 22 have no Float16Array.
if (!Float16) console.warn('skipped: this Node has no Float16Array');
describe.skipIf(!Float16)('Float16Arrays (of Node 24 and later)', () => {
  it('need no dtype and give Float16Arrays', () => {
    const of = (values: Iterable<number>) => (Float16 as Float16Constructor).from(values);
    const [a, b] = [of(numbers(24)), of(numbers(24, 0.91))];
    const mixed = lerp(a, b, 0.25);
    expect(mixed[Symbol.toStringTag]).toBe('Float16Array');
    expect([...mixed]).toEqual([...of(lerp(Float32Array.from(a), Float32Array.from(b), 0.25))]);
    const guided = guidedLogits(a, b, 3, { vocab: 6 });
    expect([...guided]).toEqual([...of(guidedLogits(Float32Array.from(a), Float32Array.from(b), 3, { vocab: 6 }))]);
  });
});
