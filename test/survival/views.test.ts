import {
  distillationLoss,
  diversityReward,
  guidedLogits,
  lerp,
  type ShapeError,
  sampleGuided,
  slerp,
  Tensor,
  ValueError,
  weightedAverage,
} from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { native } from '../../lib/native.ts';

type Place = (values: readonly number[]) => Float32Array;

/** Node 20 has these; the types of ES2023 do not. */
interface Runtime {
  ArrayBuffer: new (bytes: number, options: { maxByteLength: number }) => ArrayBuffer & { resize(bytes: number): void };
  SharedArrayBuffer: new (
    bytes: number,
    options: { maxByteLength: number },
  ) => SharedArrayBuffer & { grow(bytes: number): void };
  WebAssembly: { Memory: new (options: { initial: number }) => { buffer: ArrayBuffer } };
}
const runtime = globalThis as unknown as Runtime;
const resizable = (bytes: number, most: number) => new runtime.ArrayBuffer(bytes, { maxByteLength: most });
const growable = (bytes: number, most: number) => new runtime.SharedArrayBuffer(bytes, { maxByteLength: most });

function filled(array: Float32Array, values: readonly number[]): Float32Array {
  array.set(values);
  return array;
}

/** The same numbers in every kind of memory that a Float32Array can have. */
const PLACES: Record<string, Place> = {
  'an odd offset into a larger array': (values) => filled(new Float32Array(values.length + 9).subarray(3, -6), values),
  'the end of a large buffer': (values) =>
    filled(new Float32Array(new ArrayBuffer(1 << 20), (1 << 20) - 4 * values.length), values),
  'a slice of the pool that Buffers share': (values) => {
    const { buffer, byteOffset } = Buffer.from(new Uint8Array(4 * values.length + 4));
    return filled(new Float32Array(buffer, (byteOffset + 3) & ~3, values.length), values);
  },
  'WebAssembly memory': (values) =>
    filled(new Float32Array(new runtime.WebAssembly.Memory({ initial: 1 }).buffer, 12, values.length), values),
  'shared memory': (values) => filled(new Float32Array(new SharedArrayBuffer(4 * values.length)), values),
  'shared memory that has grown': (values) => {
    const memory = growable(4, 4 * values.length + 64);
    const whole = new Float32Array(memory);
    memory.grow(4 * values.length);
    return filled(whole, values);
  },
  'a buffer that was resized': (values) => {
    const buffer = resizable(4 * values.length + 32, 1024);
    const whole = new Float32Array(buffer, 8);
    buffer.resize(4 * values.length + 8);
    return filled(whole, values);
  },
  'a subclass': (values) => filled(new (class extends Float32Array {})(values.length), values),
};

const A = [0.5, -1, 2, 0.25, 3, -0.75];
const B = [1, 0, -0.5, 3, 0.125, 2];
const plain = (values: ArrayLike<number>): Float32Array => Float32Array.from(values);

/** Every kernel on two arrays of [2, 3], as plain numbers. */
function everything(place: Place): unknown {
  const out = () => place(new Array(6).fill(7));
  const rows = (values: readonly number[]) => place(values);
  const loss = distillationLoss(place(A), place(B), place(A), {
    vocab: 3,
    scale: rows([2, 3]),
    weights: rows([0.5, 1]),
    policy: { tokens: Int32Array.of(2, 0), coefficients: rows([1, -1]) },
    out: out(),
  });
  const shape = { prompts: 1, samples: 2, dimensions: 3 };
  return [
    guidedLogits(place(A), place(B), rows([2, 3]), { vocab: 3, out: out() }),
    sampleGuided(place(A), place(B), { vocab: 3, scale: rows([2, 3]), seed: 5 }).logProbs,
    sampleGuided(place(A), null, { vocab: 3, topK: 2, topP: 0.9, seed: 5, offset: Int32Array.of(8, 1) }).tokens,
    [loss.loss],
    loss.perToken,
    loss.grad,
    diversityReward(place(A), { ...shape, baselines: rows([0.5]) }).advantage,
    lerp(place(A), place(B), 0.3, { out: out() }),
    weightedAverage([place(A), place(B)], [1, 3], { out: out() }),
    slerp(place(A), place(B), 0.3, { out: out() }),
  ].map((result) => [...(result as Iterable<number>)]);
}

describe('a view', () => {
  const expected = everything(plain);
  it.each(Object.keys(PLACES))('of %s is read and written as any other', (name) => {
    expect(everything(PLACES[name] as Place)).toEqual(expected);
  });

  it('lets nothing around it be touched', () => {
    const around = new Float32Array(20).fill(9);
    lerp(plain(A), plain(B), 0.5, { out: around.subarray(7, 13) });
    expect([...around.subarray(0, 7), ...around.subarray(13)]).toEqual(new Array(14).fill(9));
  });

  it('of no elements is as good as any', () => {
    const none = new Float32Array(new ArrayBuffer(64), 64);
    expect(lerp(none, none, 0.5, { out: none })).toBe(none);
    expect(weightedAverage([none, none], [1, 1])).toHaveLength(0);
    expect(guidedLogits(none, none, new Float32Array(0), { vocab: 4 })).toHaveLength(0);
    expect(sampleGuided(none, null, { vocab: 4, seed: 1 }).tokens).toHaveLength(0);
    expect(distillationLoss(none, none, none, { vocab: 4, scale: 2 }).loss).toBe(0);
  });

  it('that its buffer has left behind is refused, also where nothing is expected', () => {
    const buffer = resizable(64, 128);
    const [fixed, tail] = [new Float32Array(buffer, 0, 8), new Float32Array(buffer, 32)];
    const good = new Float32Array(8);
    expect(lerp(fixed, tail, 0.5)).toHaveLength(8);
    buffer.resize(16);
    const shrunk = /: expected a Float32Array with memory, got one whose buffer has shrunk$/;
    for (const gone of [fixed, tail]) {
      for (const call of [
        () => lerp(gone, good, 0.5),
        () => lerp(good, gone, 0.5),
        () => lerp(good, good, 0.5, { out: gone }),
        () => lerp(gone, gone, 0.5),
        () => weightedAverage([good, gone], [1, 1]),
        () => guidedLogits(good, good, gone, { vocab: 1 }),
        () => sampleGuided(good, gone, { vocab: 4, scale: 2, seed: 1 }),
        () => distillationLoss(good, good, good, { vocab: 4, scale: 2, weights: gone }),
        () => diversityReward(gone, { prompts: 1, samples: 2, dimensions: 4 }),
      ]) {
        expect(call).toThrow(ValueError);
        expect(call).toThrow(shrunk);
      }
    }
    expect(() => Tensor.from(tail, [8])).toThrow(shrunk);
    expect(() => Tensor.from(fixed, [8])).toThrow(/^data: expected 8 elements, got 0$/);
    buffer.resize(64);
    expect(lerp(fixed, tail, 0.5)).toHaveLength(8);
  });

  it('that follows its buffer has the length it has at the call', () => {
    const buffer = resizable(32, 64);
    const whole = new Float32Array(buffer);
    expect(lerp(whole, whole, 0.5)).toHaveLength(8);
    buffer.resize(24);
    expect(lerp(whole, whole, 0.5)).toHaveLength(6);
    expect(() => lerp(whole, new Float32Array(8), 0.5)).toThrow('b: expected [elements] = [6], got 8 elements');
  });
});

describe('code that runs while arguments are read', () => {
  const transfer = ({ buffer }: Float32Array) => structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
  const gone = /: expected (a Float32Array with memory, got one whose buffer was transferred|.* elements?, got 0.*)$/;

  it('cannot take memory away: by getters of options', () => {
    for (const key of ['vocab', 'scale', 'temperature', 'seed', 'out', 'weights']) {
      const [cond, uncond] = [plain(A), plain(B)];
      const values: Record<string, unknown> = { vocab: 3, scale: 2, temperature: 1, seed: 1, out: new Float32Array(6) };
      const trap = (own: readonly string[]) =>
        Object.defineProperty(Object.fromEntries(own.map((k) => [k, values[k]])), key, {
          enumerable: true,
          get() {
            if (cond.length) transfer(cond);
            return key === 'weights' ? undefined : values[key];
          },
        }) as never;
      const calls: Record<string, () => unknown> = {
        vocab: () => guidedLogits(cond, uncond, 2, trap(['vocab'])),
        out: () => guidedLogits(cond, uncond, 2, trap(['vocab', 'out'])),
        scale: () => sampleGuided(cond, uncond, trap(['vocab', 'scale', 'seed'])),
        temperature: () => sampleGuided(cond, uncond, trap(['vocab', 'scale', 'seed', 'temperature'])),
        seed: () => sampleGuided(cond, uncond, trap(['vocab', 'scale', 'seed'])),
        weights: () => distillationLoss(cond, uncond, uncond, trap(['vocab', 'scale', 'weights'])),
      };
      expect(calls[key], key).toThrow(gone);
    }
  });

  it('cannot take memory away: by a Proxy of the options', () => {
    const cond = plain(A);
    const options = new Proxy(
      { vocab: 3, scale: 2, seed: 1 },
      {
        get(target, key, receiver) {
          if (key === 'seed' && cond.length) transfer(cond);
          return Reflect.get(target, key, receiver);
        },
      },
    );
    expect(() => sampleGuided(cond, plain(B), options)).toThrow(gone);
  });

  it('cannot take memory away: by elements of a list', () => {
    const arrays = [plain(A), plain(B)];
    const list = [arrays[0] as Float32Array];
    Object.defineProperty(list, 1, {
      get() {
        transfer(arrays[0] as Float32Array);
        return arrays[1];
      },
    });
    expect(() => weightedAverage(list, [1, 1])).toThrow(gone);
    const others = [plain(A), plain(B)];
    const trapped = [others[0] as Float32Array];
    Object.defineProperty(trapped, 1, {
      get() {
        transfer(others[0] as Float32Array);
        return others[1];
      },
    });
    expect(() => native.weightedAverageNow(trapped, [1, 1], new Float32Array(6), 'float32')).toThrow(gone);
    const weights = [1];
    const third = plain(A);
    Object.defineProperty(weights, 1, {
      get() {
        transfer(third);
        return 1;
      },
    });
    expect(() => weightedAverage([third, plain(B)], weights)).toThrow(gone);
  });

  it('cannot dispose tensors that were looked at before', () => {
    const tensor = () => native.createTensor('cpu', 'float32', [2], new Float32Array(2));
    const first = tensor();
    const list = [first];
    Object.defineProperty(list, 1, {
      get() {
        first.dispose();
        return tensor();
      },
    });
    expect(() => native.globalNorm(list)).toThrow('gradients: the tensor was disposed');
    const [p, g, m, v] = [tensor(), tensor(), tensor(), tensor()];
    const decays = Object.defineProperty([0], 0, {
      get() {
        p.dispose();
        return 0;
      },
    });
    expect(() => native.adamw([p], [g], [m], [v], decays, 0.1, 0.9, 0.9, 1e-8, 1, null, 1)).toThrow(
      'parameters: the tensor was disposed',
    );
  });
});

describe('the addon itself', () => {
  const n = 6;
  const floats = (length: number) => new Float32Array(length);
  const ints = (length: number) => new Int32Array(length);

  it('measures whatever it writes to', () => {
    const wrong: [string, () => unknown][] = [];
    for (const length of [0, n - 1, n + 1]) {
      wrong.push(['out', () => native.lerpNow(floats(n), floats(n), 0.5, floats(length), 'float32')]);
      wrong.push(['arrays[0]', () => native.weightedAverageNow([floats(n)], [1], floats(length), 'float32')]);
      wrong.push(['out', () => native.guidedLogitsNow(floats(n), floats(n), 2, 3, floats(length), 'float32')]);
      const reward = (r: number, a: number, d: number) =>
        native.diversityRewardNow(floats(n), 1, 2, 3, undefined, floats(r), floats(a), floats(d), 'float32');
      wrong.push(['reward', () => reward(length, 2, 1)], ['advantage', () => reward(2, length, 1)]);
      wrong.push(['diversity', () => reward(2, 2, length)]);
    }
    const sample = (tokens: number, logProbs: number) =>
      native.sampleGuidedNow(
        floats(n),
        null,
        1,
        3,
        1,
        undefined,
        undefined,
        1,
        0,
        ints(tokens),
        floats(logProbs),
        'float32',
      );
    const distill = (perToken: number, entropy: number, grad: number) =>
      native.distillationLossNow(
        floats(n),
        floats(n),
        floats(n),
        3,
        2,
        1,
        'reverse',
        0.5,
        undefined,
        undefined,
        undefined,
        floats(perToken),
        floats(entropy),
        floats(grad),
        'float32',
        'float32',
      );
    for (const length of [0, 1, 3]) {
      wrong.push(['tokens', () => sample(length, 2)], ['logProbs', () => sample(2, length)]);
      wrong.push(['perToken', () => distill(length, 2, n)], ['entropy', () => distill(2, length, n)]);
      wrong.push(['out', () => distill(2, 2, n + length - 2 === n ? n + 2 : n + length - 2)]);
    }
    for (const [argument, call] of wrong) {
      const error = thrownBy(call) as ShapeError;
      expect(error).toMatchObject({ code: 'ERR_SHAPE', argument });
    }
    sample(2, 2);
    distill(2, 2, n);
  });

  it('refuses what overlaps, whatever the arrays and their elements', () => {
    for (const make of [() => new ArrayBuffer(1024), () => new SharedArrayBuffer(1024)]) {
      const buffer = make();
      const at = (begin: number, length: number) => new Float32Array(buffer, begin, length);
      const intsAt = (begin: number, length: number) => new Int32Array(buffer, begin, length);
      const apart = floats(n);
      const sample = (tokens: Int32Array, logProbs: Float32Array, counters: Int32Array | number = 0) =>
        native.sampleGuidedNow(
          at(0, n),
          apart,
          at(512, 2),
          3,
          1,
          undefined,
          undefined,
          1,
          counters,
          tokens,
          logProbs,
          'float32',
        );
      type Distill = { perToken?: Float32Array; entropy?: Float32Array; grad?: Float32Array; vocab?: number };
      const distill = ({ perToken = floats(2), entropy = floats(2), grad = floats(n), vocab = 3 }: Distill) =>
        native.distillationLossNow(
          at(0, n),
          apart,
          at(128, n),
          vocab,
          at(512, n / vocab),
          1,
          'reverse',
          0.5,
          at(544, n / vocab),
          intsAt(576, n / vocab),
          at(608, n / vocab),
          perToken,
          entropy,
          grad,
          'float32',
          'float32',
        );
      const reward = (r: Float32Array, a: Float32Array, d: Float32Array) =>
        native.diversityRewardNow(at(0, n), 1, 2, 3, at(512, 1), r, a, d, 'float32');
      const refused: [string, () => unknown][] = [
        ['out', () => native.lerpNow(at(0, n), apart, 0.5, at(4, n), 'float32')],
        ['out', () => native.lerpNow(apart, at(8, n), 0.5, at(4, n), 'float32')],
        ['out', () => native.weightedAverageNow([apart, at(0, n)], [1, 1], at(20, n), 'float32')],
        ['out', () => native.guidedLogitsNow(at(0, n), apart, 2, 3, at(4, n), 'float32')],
        ['out', () => native.guidedLogitsNow(apart, at(0, n), 2, 3, at(20, n), 'float32')],
        // One scale per row, and rows of one: the same elements, but not in place.
        ['out', () => native.guidedLogitsNow(apart, apart, at(0, n), 1, at(0, n), 'float32')],
        ['tokens', () => sample(intsAt(20, 2), floats(2))],
        ['tokens', () => sample(intsAt(512, 2), floats(2))],
        ['tokens', () => sample(intsAt(256, 2), floats(2), intsAt(256, 2))],
        ['logProbs', () => sample(intsAt(256, 2), at(256, 2))],
        ['logProbs', () => sample(intsAt(256, 2), at(260, 2))],
        ['logProbs', () => sample(ints(2), at(0, 2))],
        ['out', () => distill({ grad: at(4, n) })],
        ['out', () => distill({ grad: at(132, n) })],
        ['out', () => distill({ grad: at(500, n) })],
        ['out', () => distill({ grad: at(540, n) })],
        ['out', () => distill({ grad: at(576, n), vocab: 1, perToken: floats(n), entropy: floats(n) })],
        ['out', () => distill({ grad: at(608, n), vocab: 1, perToken: floats(n), entropy: floats(n) })],
        ['perToken', () => distill({ perToken: at(576, 2) })],
        ['perToken', () => distill({ perToken: at(20, 2) })],
        ['entropy', () => distill({ perToken: at(256, 2), entropy: at(260, 2) })],
        ['out', () => distill({ entropy: at(256, 2), grad: at(252, n) })],
        ['reward', () => reward(at(20, 2), floats(2), floats(1))],
        ['advantage', () => reward(at(256, 2), at(256, 2), floats(1))],
        ['diversity', () => reward(floats(2), floats(2), at(512, 1))],
      ];
      for (const [argument, call] of refused) {
        const error = thrownBy(call) as ValueError;
        expect(error, call.toString()).toMatchObject({ code: 'ERR_VALUE', argument });
        expect(error.message).toMatch(
          /: expected memory of its own( or exactly that of .*, got a partial|, got an) overlap/,
        );
      }
      // In place is fine, and so is touching.
      native.lerpNow(at(0, n), at(24, n), 0.5, at(0, n), 'float32');
      native.lerpNow(at(0, n), at(24, n), 0.5, at(48, n), 'float32');
      native.guidedLogitsNow(at(0, n), at(24, n), 2, 3, at(24, n), 'float32');
    }
  });

  it('tells apart elements of different sizes in one memory', () => {
    const buffer = new ArrayBuffer(64);
    const halves = new Uint16Array(buffer, 0, 6);
    const wide = new Float32Array(buffer, 0, 6);
    const distill = (grad: Float32Array) =>
      distillationLoss(halves, new Uint16Array(6), null, { vocab: 3, dtype: 'bf16', out: grad });
    expect(() => distill(wide)).toThrow(/^out: .*, got a partial overlap$/);
    expect(distill(new Float32Array(buffer, 12, 6)).grad).toHaveLength(6);
  });
});

function thrownBy(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error(`expected an error from ${call}`);
}
