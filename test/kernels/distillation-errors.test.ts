import { describe, expect, it } from 'vitest';
import { DTypeError, ShapeError, ValueError } from '../../lib/errors.ts';
import { type DistillationLossOptions, distillationLoss } from '../../lib/kernels/index.ts';
import { native } from '../../lib/native.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';

const six = () => Float32Array.of(1, 2, 3, 4, 5, 6);
const base = { vocab: 3, scale: 2 };
const policy = (tokens: number[], coefficients: number[]) => ({
  tokens: Int32Array.from(tokens),
  coefficients: Float32Array.from(coefficients),
});
const run = (options: Partial<DistillationLossOptions>) =>
  distillationLoss(six(), six(), six(), { ...base, ...options });

describe('distillationLoss refuses', () => {
  it.each([
    [{ temperature: 0 }, /^temperature: expected more than 0/],
    [{ temperature: -1 }, /^temperature: expected more than 0/],
    [{ temperature: 1e-39 }, /^temperature: expected more than 0/],
    [{ temperature: Number.NaN }, /^temperature: expected a finite number, got nan/],
    [{ divergence: 'kl' as 'jsd' }, "divergence: expected 'reverse', 'forward' or 'jsd', got 'kl'"],
    [{ divergence: 'jsd' as const, jsdWeight: 0 }, /^jsdWeight: expected more than 0 and less than 1/],
    [{ divergence: 'jsd' as const, jsdWeight: 1 }, /^jsdWeight: expected/],
    [{ divergence: 'jsd' as const, jsdWeight: 1 - 1e-12 }, /^jsdWeight: expected/],
    [{ scale: Infinity }, /^scale: expected a finite number/],
    [{ vocab: 0 }, /^vocab: expected an integer of at least 1, got 0/],
    [{ weights: Float32Array.of(1, Number.NaN) }, 'weights: expected a finite number in row 1, got NaN'],
    [{ policy: policy([0, 1], [1, Infinity]) }, 'policy.coefficients: expected a finite number in row 1, got Infinity'],
    [{ policy: policy([0, 3], [0, 0]) }, 'policy.tokens: expected a token of the vocabulary in row 1, got 3'],
    [{ policy: policy([-1, 0], [1, 1]) }, 'policy.tokens: expected a token of the vocabulary in row 0, got -1'],
  ])('%j', (options, message) => {
    expect(() => run(options)).toThrow(message);
    expect(() => run(options)).toThrow(ValueError);
  });

  it('a token out of range also in a row that is not read', () => {
    expect(() => run({ weights: Float32Array.of(1, 0), policy: policy([0, 3], [1, 0]) })).toThrow(
      'policy.tokens: expected a token of the vocabulary in row 1, got 3',
    );
  });

  it.each([
    [0, 'student'],
    [1, 'cond'],
    [2, 'uncond'],
  ] as const)('NaN and +∞, naming the argument, row and token (input %i)', async (which, name) => {
    for (const [bad, text] of [
      [Number.NaN, 'NaN'],
      [Infinity, 'Infinity'],
    ] as const) {
      for (const vocab of [3, 19]) {
        const inputs = [0, 1, 2].map(() => new Float32Array(2 * vocab).fill(0.5)) as [
          Float32Array,
          Float32Array,
          Float32Array,
        ];
        // −∞ in another input takes the token out of the support, but must not hide what is wrong with it.
        inputs[(which + 1) % 3]![2 * vocab - 1] = -Infinity;
        inputs[which][2 * vocab - 1] = bad;
        const message = `${name}: expected a finite logit or -Infinity at [1, ${vocab - 1}], got ${text}`;
        expect(() => distillationLoss(...inputs, { vocab, scale: 2 })).toThrow(message);
        const tensors = inputs.map((data) => Tensor.from(data, [2, vocab])) as [Tensor, Tensor, Tensor];
        const later = distillationLoss(...tensors, { scale: 2 });
        for (const tensor of [later.loss, later.perToken, later.entropy, later.grad])
          await expect(tensor.read()).rejects.toThrow(message);
      }
    }
  });

  it('a guided logit beyond float32', () => {
    const huge = Float32Array.of(3e38, 0, 0);
    expect(() =>
      distillationLoss(
        huge,
        huge,
        huge.map((x) => -x),
        base,
      ),
    ).toThrow('scale: expected guided logits within float32 at [0, 0], got Infinity');
  });

  it('an empty support', () => {
    const a = Float32Array.of(1, 2, 3, 0, -Infinity, -Infinity);
    const b = Float32Array.of(1, 2, 3, -Infinity, 0, 0);
    const message = 'student: expected a token that is finite in student, cond and uncond in row 1, got none';
    expect(() => distillationLoss(a, b, b, base)).toThrow(message);
    expect(() => distillationLoss(a, a, b, base)).toThrow(message);
    expect(() =>
      distillationLoss(
        a.map(() => -Infinity),
        b,
        null,
        { vocab: 3 },
      ),
    ).toThrow('in row 0, got none');
  });

  it('a policy token outside the support, unless its coefficient is 0', () => {
    const cond = Float32Array.of(1, -Infinity, 3, 4, 5, -Infinity);
    const message = 'policy.tokens: expected a token that is finite in student, cond and uncond in row 0, got 1';
    expect(() => distillationLoss(six(), cond, six(), { ...base, policy: policy([1, 0], [0.5, 1]) })).toThrow(message);
    const { loss } = distillationLoss(six().reverse(), cond, six(), { ...base, policy: policy([1, 2], [0, 0]) });
    expect(loss).toBeGreaterThan(0);
  });

  it('lengths, types and options that do not fit', () => {
    expect(() => distillationLoss(six(), new Float32Array(3), six(), base)).toThrow(
      'cond: expected [rows, vocab] = [2, 3], 6 elements, got 3 elements',
    );
    expect(() => distillationLoss(six(), six(), new Float32Array(9), base)).toThrow(ShapeError);
    expect(() => distillationLoss(new Float32Array(7), six(), six(), base)).toThrow(ShapeError);
    expect(() => run({ weights: new Float32Array(3) })).toThrow('weights: expected [rows] = [2], got 3 elements');
    expect(() => run({ scale: new Float32Array(1) })).toThrow(ShapeError);
    expect(() => run({ out: new Float32Array(5) })).toThrow(ShapeError);
    expect(() => run({ policy: policy([0], [1, 1]) })).toThrow(ShapeError);
    expect(() => run({ policy: { tokens: Int32Array.of(0, 0) } as DistillationLossOptions['policy'] & {} })).toThrow(
      'policy.coefficients: expected a Float32Array, got undefined',
    );
    expect(() => run({ weights: [1, 1] as unknown as Float32Array })).toThrow(DTypeError);
    expect(() => run({ beta: 1 } as Partial<DistillationLossOptions>)).toThrow("unknown key 'beta'");
    expect(() =>
      run({ policy: { ...policy([0, 0], [1, 1]), x: 1 } as DistillationLossOptions['policy'] & {} }),
    ).toThrow("policy: expected only tokens, coefficients, got the unknown key 'x'");
    expect(() => distillationLoss(six(), six(), six(), { vocab: 3 })).toThrow(/^scale: expected a number/);
    expect(() => distillationLoss(six(), six(), null, base)).toThrow(/^scale: expected none/);
  });

  it('an output that overlaps an input in part', () => {
    const memory = new Float32Array(20);
    const out = memory.subarray(2, 8);
    expect(() => distillationLoss(memory.subarray(0, 6), six(), six(), { ...base, out })).toThrow(
      'out: expected memory of its own or exactly that of student',
    );
    expect(() => distillationLoss(six(), memory.subarray(7, 13), six(), { ...base, out })).toThrow('that of cond');
    expect(() => run({ weights: memory.subarray(4, 6), out })).toThrow('own, got an overlap with weights');
    expect(() => run({ scale: memory.subarray(1, 3), out })).toThrow('own, got an overlap with scale');
    const tokens = new Int32Array(memory.buffer, 12, 2);
    expect(() => run({ policy: { tokens, coefficients: new Float32Array(2) }, out })).toThrow(
      'overlap with policy.tokens',
    );
  });

  it('checks lengths natively too', () => {
    const now = (perToken: number, grad: number, cond = six()) =>
      native.distillationLossNow(
        six(),
        cond,
        null,
        3,
        1,
        1,
        'reverse',
        0.5,
        undefined,
        undefined,
        undefined,
        new Float32Array(perToken),
        new Float32Array(2),
        new Float32Array(grad),
        'float32',
        'float32',
      );
    expect(now(2, 6)).toBe(0);
    expect(() => now(1, 6)).toThrow(ShapeError);
    expect(() => now(2, 5)).toThrow(ShapeError);
    expect(() => now(2, 6, new Float32Array(4))).toThrow(ShapeError);
  });

  it('Tensors that do not fit, and disposed ones', () => {
    const t = (shape: number[]) => Tensor.from(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
    const good = t([2, 3]);
    expect(() => distillationLoss(good, t([3, 2]), good, { scale: 2 })).toThrow('cond: expected [2, 3], got [3, 2]');
    expect(() => distillationLoss(t([6]), good, good, { scale: 2 })).toThrow(ShapeError);
    expect(() => distillationLoss(good, good, good, { scale: t([3]) })).toThrow('scale: expected [2], got [3]');
    expect(() => distillationLoss(good, good, good, { scale: 2, weights: t([1]) })).toThrow(ShapeError);
    const mixed = { scale: 2, weights: new Float32Array(2) as unknown as Tensor };
    expect(() => distillationLoss(good, good, good, mixed)).toThrow(DTypeError);
    const tokens = t([2]) as unknown as Tensor<'int32'>;
    expect(() => distillationLoss(good, good, good, { scale: 2, policy: { tokens, coefficients: t([2]) } })).toThrow(
      'policy.tokens: expected a Tensor of int32, got a Tensor of float32 [2]',
    );
    const gone = t([2, 3]);
    gone.dispose();
    expect(() => distillationLoss(good, gone, good, { scale: 2 })).toThrow(ValueError);
  });
});
