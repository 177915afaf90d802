import { beforeAll, describe, expect, it } from 'vitest';
import type { Divergence, DType, NativeTensor } from '../../lib/native.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import type { Device } from '../../lib/tensor/device.ts';
import { bothDevices, expectAgreement, placed } from '../support/both-devices.ts';
import { BUILD_TIMEOUT, ORDERS, setOrder } from '../support/emulated-device.ts';
import { randomFloats } from '../support/random-data.ts';

let devices: { cpu: Device; cuda: Device };
beforeAll(async () => {
  devices = await bothDevices();
}, BUILD_TIMEOUT);

const [NAN, INF] = [Number.NaN, Number.POSITIVE_INFINITY];
const TOLERANCE = { float32: 4e-6, bfloat16: 1 / 128 };
type Floats = keyof typeof TOLERANCE;

interface Case {
  student: Float32Array;
  cond: Float32Array;
  uncond: Float32Array | null;
  shape: [rows: number, vocab: number];
  scale: number | Float32Array;
  temperature: number;
  divergence: Divergence;
  jsdWeight: number;
  weights?: Float32Array | undefined;
  tokens?: Int32Array | undefined;
  coefficients?: Float32Array | undefined;
}

/** Logits with −∞ among them (never at token 0), weights and coefficients with zeros, a policy that uses token 0. */
function randomCase(rows: number, vocab: number, divergence: Divergence = 'reverse'): Case {
  const random = new Random(rows * 100_003 + vocab);
  const [student, cond, uncond] = [1, 2, 3].map(() => randomFloats(random, rows * vocab, 4)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  for (let i = 0; i < student.length; i++) {
    if (i % vocab === 0) continue;
    if (i % 11 === 3) student[i] = -INF;
    if (i % 13 === 5) cond[i] = -INF;
    if (i % 17 === 2) uncond[i] = -INF;
  }
  const weights = randomFloats(random, rows, 1);
  const coefficients = randomFloats(random, rows, 1);
  if (rows > 1) weights[1] = coefficients[1] = 0;
  if (rows > 2) weights[2] = 0;
  if (rows > 3) coefficients[3] = 0;
  return {
    ...{ student, cond, uncond, shape: [rows, vocab], scale: randomFloats(random, rows, 3) },
    ...{ temperature: 0.9, divergence, jsdWeight: 0.3, weights, tokens: new Int32Array(rows), coefficients },
  };
}

function run(on: Device, given: Case, dtype: DType = 'float32', skew = 0): NativeTensor[] {
  const logits = (data: Float32Array) => placed(on, data, given.shape, { dtype, skew });
  const perRow = (data: Float32Array | Int32Array | undefined) => data && placed(on, data, [data.length]);
  return native.distillationLoss(
    logits(given.student),
    logits(given.cond),
    given.uncond && logits(given.uncond),
    typeof given.scale === 'number' ? given.scale : placed(on, given.scale, [given.scale.length]),
    given.temperature,
    given.divergence,
    given.jsdWeight,
    perRow(given.weights),
    perRow(given.tokens),
    perRow(given.coefficients),
  );
}

const agree = (given: Case, dtype: Floats = 'float32', skew = 0) =>
  expectAgreement((on) => run(on, given, dtype, skew), devices, TOLERANCE[dtype]);

const DIVERGENCES: Divergence[] = ['reverse', 'forward', 'jsd'];
// One pack and one over it, widths of warps and blocks, rows of the longer kernel and those too long for shared memory.
const SHAPES: [number, number][] = [
  [1, 1],
  [4, 3],
  [5, 8],
  [5, 33],
  [3, 513],
  [2, 2051],
  [2, 4160],
  [1, 9001],
];

describe('the distillation loss on the emulated CUDA device', () => {
  for (const dtype of ['float32', 'bfloat16'] as const)
    for (const divergence of DIVERGENCES)
      it.each(SHAPES)(`agrees with the CPU: ${dtype}, ${divergence}, [%i, %i]`, async (rows, vocab) => {
        await agree(randomCase(rows, vocab, divergence), dtype);
      });

  it.each(DIVERGENCES)('agrees without uncond, weights or policy, and with one scale: %s', async (divergence) => {
    const given = randomCase(4, 65, divergence);
    const { weights, tokens, coefficients, ...plain } = given;
    await agree({ ...plain, uncond: null });
    await agree({ ...plain, scale: 3 });
    await agree({ ...given, uncond: null, scale: 1 });
    for (const scale of [0, 1]) await agree({ ...plain, scale });
    await agree({ ...given, scale: -1.5, temperature: 3, weights: undefined });
    await agree({ ...plain, scale: 2, weights });
    await agree({ ...plain, scale: 2, tokens, coefficients });
  });

  it.each(['float32', 'bfloat16'] as const)('takes tensors from any place in memory: %s', async (dtype) => {
    for (const skew of [1, 2, 3, 5]) await agree(randomCase(3, 67), dtype, skew); // all alike: odd heads and tails
    const given = randomCase(2, 40);
    const mixed = (on: Device) => {
      const at = (data: Float32Array, skew: number) => placed(on, data, given.shape, { dtype, skew });
      const scale = placed(on, given.scale as Float32Array, [2]);
      return native.distillationLoss(
        ...([at(given.student, 0), at(given.cond, 1), at(given.uncond as Float32Array, 2), scale] as const),
        ...([0.9, 'reverse', 0.5, undefined, undefined, undefined] as const),
      );
    };
    await expectAgreement(mixed, devices, TOLERANCE[dtype]);
  });

  it.each(DIVERGENCES)('is exactly 0 between equal distributions, and has no gradient: %s', async (divergence) => {
    const { student, shape } = randomCase(3, 77);
    const same: Case = { ...randomCase(3, 77, divergence), student, cond: student, uncond: null, scale: 1, shape };
    const { weights, tokens, coefficients, ...plain } = same;
    const [loss, perToken, entropy, grad] = run(devices.cuda, plain);
    expect(await loss!.read()).toEqual(Float32Array.of(0));
    expect(await perToken!.read()).toEqual(new Float32Array(3));
    expect(Array.from((await entropy!.read()) as Float32Array).every((h) => h > 0)).toBe(true);
    expect(await grad!.read()).toEqual(new Float32Array(3 * 77));
    // The same after the softmax: nothing but rounding is left.
    const [, rest, , slope] = run(devices.cuda, { ...plain, cond: student.map((z) => z + 4) });
    const largest = Math.max(...(await rest!.read()), ...((await slope!.read()) as Float32Array).map(Math.abs));
    expect(largest).toBeLessThan(1e-6);
  });

  it('does not read rows of weight 0 and coefficient 0', async () => {
    const given = randomCase(3, 9);
    for (const data of [given.student, given.cond, given.uncond as Float32Array]) data.fill(NAN, 9, 18);
    (given.scale as Float32Array)[1] = NAN;
    await agree(given);
    const [, perToken, entropy, grad] = run(devices.cuda, given);
    expect(((await perToken!.read()) as Float32Array)[1]).toBe(0);
    expect(((await entropy!.read()) as Float32Array)[1]).toBe(0);
    expect(((await grad!.read()) as Float32Array).subarray(9, 18)).toEqual(new Float32Array(9));
  });

  it('has no gradient where the policy is certain', async () => {
    const student = Float32Array.of(3, -INF, -INF, -200, 0, -300);
    const given: Case = {
      ...{ student, cond: student, uncond: student, shape: [2, 3], scale: 2, temperature: 1 },
      ...{ divergence: 'reverse', jsdWeight: 0.5, tokens: Int32Array.of(0, 1), coefficients: Float32Array.of(2, -3) },
    };
    const [loss, , , grad] = run(devices.cuda, given);
    expect(await grad!.read()).toEqual(new Float32Array(6));
    expect(await loss!.read()).toEqual(Float32Array.of(0));
  });

  it('stands logits far apart and temperatures far from 1', async () => {
    const student = Float32Array.of(1e4, -1e4, 0, 3, 2, 1, -3e38, 0, 1e38);
    const cond = Float32Array.of(0, 1e3, -1e3, 1, 2, 3, 0, 1, 2);
    for (const divergence of DIVERGENCES)
      for (const temperature of [1e-3, 1, 1e4]) {
        const given = { ...randomCase(3, 3, divergence), student, cond, uncond: null, scale: 1, temperature };
        await agree({ ...given, weights: undefined, tokens: undefined, coefficients: undefined });
      }
  });

  it('is 0 for no rows', async () => {
    const none = new Float32Array();
    const { weights, tokens, coefficients, ...plain } = randomCase(1, 4);
    await agree({ ...plain, student: none, cond: none, uncond: none, scale: 2, shape: [0, 4] });
  });

  it('keeps nothing in memory beside its results but a number per row', async () => {
    const { cuda } = devices;
    const given = randomCase(40, 300);
    native.memory(cuda.id, true);
    const before = native.memory(cuda.id, true).used;
    const results = run(cuda, given);
    await cuda.synchronize();
    const inputs = 3 * 40 * 300 * 4;
    const grad = 40 * 300 * 4;
    expect(native.memory(cuda.id, false).peak - before).toBeLessThan(inputs + grad + 40 * 4 * 8 + 16 * 512);
    for (const result of results) result.dispose();
  });
});

describe('faults of the distillation loss on the emulated CUDA device', () => {
  const VOCAB = 1030;
  const change = (edit: (given: Required<Case> & { weights: Float32Array; tokens: Int32Array }) => void): Case => {
    const given = randomCase(4, VOCAB);
    const weights = new Float32Array(4).fill(1);
    const coefficients = new Float32Array(4).fill(1);
    const full = { ...given, weights, coefficients, tokens: new Int32Array(4) };
    edit(full);
    return full;
  };
  const put = (data: Float32Array | Int32Array | number | null | undefined, index: number, value: number): void => {
    (data as Float32Array)[index] = value;
  };
  const at = (row: number, token: number) => row * VOCAB + token;
  const BAD: [string, Case][] = [
    ['NaN in student', change((g) => put(g.student, at(1, 1029), NAN))],
    ['+∞ in student', change((g) => put(g.student, at(3, 7), INF))],
    ['NaN in cond', change((g) => put(g.cond, at(0, 700), NAN))],
    ['+∞ in cond', change((g) => put(g.cond, at(2, 0), INF))],
    ['NaN in uncond', change((g) => put(g.uncond, at(2, 1), NAN))],
    ['+∞ in uncond', change((g) => put(g.uncond, at(2, 1028), INF))],
    [
      'NaN where another input is −∞',
      change((g) => {
        put(g.student, at(1, 5), -INF);
        put(g.cond, at(1, 5), NAN);
      }),
    ],
    [
      'all bad at one token',
      change((g) => {
        for (const data of [g.student, g.cond, g.uncond]) put(data, at(1, 9), NAN);
      }),
    ],
    [
      'the lowest of several tokens',
      change((g) => {
        put(g.uncond, at(1, 8), NAN);
        put(g.student, at(1, 9), INF);
      }),
    ],
    [
      'guided logits beyond float32',
      change((g) => {
        put(g.cond, at(1, 0), 3e38);
        put(g.uncond, at(1, 0), -3e38);
        put(g.scale as Float32Array, 1, 2);
      }),
    ],
    ['a scale that is no number', change((g) => put(g.scale as Float32Array, 2, NAN))],
    ['an infinite scale', change((g) => put(g.scale as Float32Array, 0, -INF))],
    ['a weight that is no number', change((g) => put(g.weights, 3, NAN))],
    ['an infinite weight', change((g) => put(g.weights, 1, INF))],
    ['a coefficient that is no number', change((g) => put(g.coefficients, 1, NAN))],
    ['an infinite coefficient', change((g) => put(g.coefficients, 1, -INF))],
    ['an empty support', change((g) => g.student.fill(-INF, VOCAB, 2 * VOCAB))],
    [
      'supports that do not meet',
      change((g) => {
        g.student.fill(-INF, 0, 515);
        g.cond.fill(-INF, 515, VOCAB);
      }),
    ],
    ['a negative token', change((g) => put(g.tokens, 1, -3))],
    ['the lowest token of all', change((g) => put(g.tokens, 1, -(2 ** 31)))],
    ['a token beyond the vocabulary', change((g) => put(g.tokens, 2, VOCAB))],
    [
      'such a token at weight and coefficient 0',
      change((g) => {
        for (const data of [g.weights, g.coefficients]) put(data, 3, 0);
        put(g.tokens, 3, 5000);
      }),
    ],
    [
      'a token outside the support',
      change((g) => {
        put(g.tokens, 1, 4);
        put(g.cond, at(1, 4), -INF);
      }),
    ],
    [
      'the lowest of several rows',
      change((g) => {
        put(g.student, at(3, 0), NAN);
        put(g.weights, 2, NAN);
      }),
    ],
  ];
  it.each(BAD)('are the CPU’s: %s', async (_, given) => {
    const messageOf = (on: Device) =>
      run(on, given)[3]!
        .read()
        .then(String, (error: Error) => `${error.name}: ${error.message}`);
    const expected = await messageOf(devices.cpu);
    expect(expected).toMatch(/^ValueError: [a-z.]+: expected .*, got /);
    for (const order of ORDERS) {
      setOrder(order);
      expect(await messageOf(devices.cuda)).toBe(expected);
    }
    setOrder('forward');
  });
});
