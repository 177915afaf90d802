import { describe, expect, it } from 'vitest';
import { DTypeError, ShapeError, ValueError } from '../../lib/errors.ts';
import { guidedLogits } from '../../lib/kernels/index.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { guide } from '../support/guidance-reference.ts';
import { randomFloats, sameBits } from '../support/random-data.ts';

const shapes = [
  [1, 1],
  [3, 7],
  [5, 17],
  [2, 33],
  [4, 64],
  [7, 129],
  [3, 1031],
] as const;

describe('guidedLogits', () => {
  it.each(shapes)('equals the float64 formula for [%i, %i], one scale and one per row', async (rows, vocab) => {
    const random = new Random(rows * 1000 + vocab);
    const cond = randomFloats(random, rows * vocab, 10);
    const uncond = randomFloats(random, rows * vocab, 10);
    for (const scale of [3, -1.5, 0.25, randomFloats(random, rows, 5)]) {
      const now = guidedLogits(cond, uncond, scale, { vocab });
      let worst = 0;
      for (let i = 0; i < now.length; i++) {
        const s = typeof scale === 'number' ? scale : scale[Math.floor(i / vocab)]!;
        const [expected] = guide([cond[i]!], [uncond[i]!], s);
        const size = Math.abs(uncond[i]!) + Math.abs(s) * (Math.abs(cond[i]!) + Math.abs(uncond[i]!));
        worst = Math.max(worst, Math.abs(now[i]! - expected!) / size);
      }
      // Three roundings: difference, product, sum.
      expect(worst).toBeLessThanOrEqual(3 * 2 ** -24);
      const factor = typeof scale === 'number' ? scale : Tensor.from(scale, [rows]);
      const later = guidedLogits(Tensor.from(cond, [rows, vocab]), Tensor.from(uncond, [rows, vocab]), factor, {
        vocab,
      });
      expect(later.shape).toEqual([rows, vocab]);
      expect(sameBits(await later.read(), now)).toBe(true);
    }
  });

  it('gives the branches bit for bit at scale 0 and 1', () => {
    const cond = Float32Array.of(0.1, -0, 1e-42, 3e38, -7, 5);
    const uncond = Float32Array.of(-0, 0.3, -1e-40, -3e38, 11, 1);
    expect(sameBits(guidedLogits(cond, uncond, 0, { vocab: 3 }), uncond)).toBe(true);
    expect(sameBits(guidedLogits(cond, uncond, 1, { vocab: 3 }), cond)).toBe(true);
  });

  it.each([0, 1, 3, -2])('keeps −∞ of either branch at scale %d', (scale) => {
    const cond = Float32Array.of(-Infinity, 1, -Infinity, 2);
    const uncond = Float32Array.of(1, -Infinity, -Infinity, 0.5);
    const out = guidedLogits(cond, uncond, scale, { vocab: 4 });
    expect(Array.from(out)).toEqual([-Infinity, -Infinity, -Infinity, 0.5 + scale * 1.5]);
  });

  it.each(['cond', 'uncond'] as const)('may write over %s, and honours views', (target) => {
    const random = new Random(5);
    const [rows, vocab] = [3, 45];
    const memory = randomFloats(random, 2 * rows * vocab + 6, 4);
    const copy = memory.slice();
    const cond = memory.subarray(3, 3 + rows * vocab);
    const uncond = memory.subarray(4 + rows * vocab, 4 + 2 * rows * vocab);
    const expected = guidedLogits(cond.slice(), uncond.slice(), 2.5, { vocab });
    const out = target === 'cond' ? cond : uncond;
    expect(guidedLogits(cond, uncond, 2.5, { vocab, out })).toBe(out);
    expect(sameBits(out, expected)).toBe(true);
    const begin = out.byteOffset / 4;
    expect(sameBits(memory.subarray(0, begin), copy.subarray(0, begin))).toBe(true);
    expect(sameBits(memory.subarray(begin + out.length), copy.subarray(begin + out.length))).toBe(true);
  });

  it('does not depend on the thread count', () => {
    const random = new Random(6);
    const cond = randomFloats(random, 64 * 1031, 8);
    const uncond = randomFloats(random, 64 * 1031, 8);
    const threads = native.threads();
    try {
      native.threads(1);
      const one = guidedLogits(cond, uncond, 3, { vocab: 1031 });
      native.threads(2);
      expect(sameBits(guidedLogits(cond, uncond, 3, { vocab: 1031 }), one)).toBe(true);
    } finally {
      native.threads(threads);
    }
  });

  it('takes no rows at all', () => {
    expect(guidedLogits(new Float32Array(0), new Float32Array(0), 3, { vocab: 8 })).toHaveLength(0);
  });
});

describe('guidedLogits refuses', () => {
  const four = () => Float32Array.of(1, 2, 3, 4);

  it.each([
    ['cond', Number.NaN, 'NaN'],
    ['cond', Infinity, 'Infinity'],
    ['uncond', Number.NaN, 'NaN'],
    ['uncond', Infinity, 'Infinity'],
  ] as const)('%s with %d, whatever the scale, the place and the output', async (argument, bad, name) => {
    for (const vocab of [3, 41, 70]) {
      for (const at of [0, 8 % vocab, vocab - 1]) {
        for (const scale of [0, 1, 3, -1]) {
          const make = () => {
            const cond = new Float32Array(3 * vocab).fill(1);
            // −∞ in the other branch must not hide it.
            const uncond = new Float32Array(3 * vocab).fill(-Infinity);
            const [faulty, other] = argument === 'cond' ? [cond, uncond] : [uncond, cond];
            faulty.fill(1);
            other.fill(-Infinity);
            faulty[vocab + at] = bad;
            faulty[2 * vocab] = bad;
            return { cond, uncond };
          };
          const message = `${argument}: expected a finite logit or -Infinity at [1, ${at}], got ${name}`;
          const { cond, uncond } = make();
          expect(() => guidedLogits(cond, uncond, scale, { vocab })).toThrow(message);
          const inPlace = make();
          expect(() => guidedLogits(inPlace.cond, inPlace.uncond, scale, { vocab, out: inPlace.cond })).toThrow(
            message,
          );
          const other = make();
          expect(() => guidedLogits(other.cond, other.uncond, scale, { vocab, out: other.uncond })).toThrow(message);
        }
      }
    }
    const cond = Tensor.from(Float32Array.of(argument === 'cond' ? bad : 1, 1), [1, 2]);
    const uncond = Tensor.from(Float32Array.of(argument === 'uncond' ? bad : 1, 1), [1, 2]);
    await expect(guidedLogits(cond, uncond, 3).read()).rejects.toThrow(
      `${argument}: expected a finite logit or -Infinity at [0, 0], got ${name}`,
    );
  });

  it('a scale that is not finite and a result beyond float32', () => {
    expect(() => guidedLogits(four(), four(), Number.NaN, { vocab: 2 })).toThrow(ValueError);
    expect(() => guidedLogits(four(), four(), Float32Array.of(1, Infinity), { vocab: 2 })).toThrow(
      'scale: expected a finite number in row 1, got Infinity',
    );
    const huge = Float32Array.of(0, 3e38);
    expect(() => guidedLogits(huge, Float32Array.of(0, -3e38), 3, { vocab: 2 })).toThrow(
      'scale: expected guided logits within float32 at [0, 1], got Infinity',
    );
    expect(() => guidedLogits(huge, Float32Array.of(0, -3e38), -3, { vocab: 2 })).toThrow('got -Infinity');
  });

  it('lengths, types and options that do not fit', () => {
    expect(() => guidedLogits(four(), new Float32Array(3), 3, { vocab: 2 })).toThrow(
      'uncond: expected [rows, vocab] = [2, 2], 4 elements, got 3 elements',
    );
    expect(() => guidedLogits(four(), four(), 3, { vocab: 3 })).toThrow(ShapeError);
    expect(() => guidedLogits(four(), four(), new Float32Array(3), { vocab: 2 })).toThrow(
      'scale: expected [rows] = [2], got 3 elements',
    );
    expect(() => guidedLogits(four(), four(), 3, { vocab: 2, out: new Float32Array(5) })).toThrow(ShapeError);
    for (const vocab of [0, -1, 1.5, Number.NaN, undefined, '2']) {
      expect(() => guidedLogits(four(), four(), 3, { vocab: vocab as number })).toThrow(/^vocab: expected an integer/);
    }
    expect(() => guidedLogits(four(), four(), 3, { vocab: 2, oops: 1 } as { vocab: number })).toThrow(
      "options: expected only vocab, dtype, out, got the unknown key 'oops'",
    );
    expect(() => guidedLogits(four(), four(), 3, undefined as unknown as { vocab: number })).toThrow(ValueError);
    const wrong = new Float64Array(4) as unknown as Float32Array;
    expect(() => guidedLogits(wrong, four(), 3, { vocab: 2 })).toThrow(
      'cond: expected a Float32Array, or a Uint16Array with the option dtype, got Float64Array',
    );
    expect(() => guidedLogits(four(), wrong, 3, { vocab: 2 })).toThrow(DTypeError);
    expect(() => guidedLogits(four(), four(), '3' as unknown as number, { vocab: 2 })).toThrow(DTypeError);
  });

  it('an output that overlaps an input in part', () => {
    const memory = new Float32Array(10);
    const cond = memory.subarray(0, 4);
    expect(() => guidedLogits(cond, four(), 3, { vocab: 2, out: memory.subarray(1, 5) })).toThrow(
      'out: expected memory of its own or exactly that of cond, got a partial overlap',
    );
    expect(() => guidedLogits(four(), cond, 3, { vocab: 2, out: memory.subarray(3, 7) })).toThrow(ValueError);
    expect(() => guidedLogits(four(), four(), memory.subarray(0, 2), { vocab: 2, out: cond })).toThrow(
      'out: expected memory of its own, got an overlap with scale',
    );
  });

  it('checks lengths natively too', () => {
    expect(() => native.guidedLogitsNow(four(), four(), 3, 2, new Float32Array(3), 'float32')).toThrow(ShapeError);
    expect(() => native.guidedLogitsNow(four(), new Float32Array(5), 3, 2, four(), 'float32')).toThrow(ShapeError);
    expect(() => native.guidedLogitsNow(four(), four(), 3, 3, four(), 'float32')).toThrow(ShapeError);
  });

  it('Tensors that do not fit, and disposed ones', () => {
    const cond = Tensor.from(four(), [2, 2]);
    expect(() => guidedLogits(cond, Tensor.from(four(), [1, 4]), 3)).toThrow('uncond: expected [2, 2], got [1, 4]');
    expect(() => guidedLogits(cond, four() as unknown as Tensor, 3)).toThrow(
      'uncond: expected a Tensor of float32, got Float32Array',
    );
    expect(() => guidedLogits(Tensor.from(four(), [4]), cond, 3)).toThrow(ShapeError);
    expect(() => guidedLogits(cond, cond, Tensor.from(four(), [4]))).toThrow(ShapeError);
    expect(() => guidedLogits(cond, cond, 3, { vocab: 4 })).toThrow('vocab: expected 2');
    expect(() => guidedLogits(cond, Tensor.from(Int32Array.of(1, 2, 3, 4), [2, 2]) as unknown as Tensor, 3)).toThrow(
      DTypeError,
    );
    const empty = Tensor.from(new Float32Array(0), [2, 0]);
    expect(() => guidedLogits(empty, empty, 3)).toThrow(ShapeError);
    const gone = Tensor.from(four(), [2, 2]);
    gone.dispose();
    expect(() => guidedLogits(cond, gone, 3)).toThrow(ValueError);
  });
});
