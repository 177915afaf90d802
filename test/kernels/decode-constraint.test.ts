import { ShapeError, sampleGuided, type TokenAutomaton } from 'cfgdistill';
import { beforeAll, describe, expect, it } from 'vitest';
import { native } from '../../lib/native.ts';
import { type Device, device } from '../../lib/tensor/device.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import {
  constrained,
  logitsOfStep,
  randomAutomaton,
  type Setup,
  startDecoding,
  statesOf,
  steppedByHand,
} from '../support/constrained-decoding.ts';
import { sameBits } from '../support/random-data.ts';

let on: Device;
beforeAll(async () => {
  on = await device('cpu');
});
const small = (): Setup => ({ on, rows: 4, vocab: 35, branches: 1, capacity: 3, automaton: randomAutomaton(5, 35) });

describe('decodeSample kept to an automaton', () => {
  it.each([
    [1, 'float32', {}],
    [2, 'float32', { stopToken: 3 }],
    [2, 'bfloat16', { topK: 4, topP: 0.9 }],
    [1, 'bfloat16', { temperature: 0, stopToken: 0 }],
    [2, 'float32', { temperature: 0.7, topP: 0.8 }],
  ] as const)('draws what −∞ in the logits gives, %i branches of %s, %o', async (branches, dtype, options) => {
    for (const [rows, vocab, states] of [
      [1, 1, 1],
      [9, 7, 4],
      [40, 33, 6],
      [3, 1031, 20],
    ] as const) {
      const automaton = randomAutomaton(states, vocab);
      const setup: Setup = { on, rows, vocab, branches, capacity: 6, dtype, automaton, ...options };
      const [kept, byHand] = [await constrained(setup), await steppedByHand(setup)];
      expect(kept.integers).toEqual(byHand.integers);
      expect(sameBits(kept.logProbs, byHand.logProbs)).toBe(true);
    }
  });

  it('draws what sampleGuided draws with the masks of the states', async () => {
    const setup: Setup = { ...small(), rows: 30, branches: 2, topP: 0.9 };
    const { rows, vocab } = setup;
    const automaton = setup.automaton as TokenAutomaton;
    const states = statesOf(setup);
    const logits = logitsOfStep(setup, 0);
    const decoding = startDecoding(setup);
    decoding.write(logits);
    decoding.step();
    const { tokens, logProbs } = sampleGuided(logits.subarray(0, rows * vocab), logits.subarray(rows * vocab), {
      vocab,
      scale: Float32Array.from({ length: rows }, (_, r) => (r % 4) - 0.5),
      topP: 0.9,
      seed: 11,
      offset: Int32Array.from({ length: rows }, (_, r) => 3 * r + 1),
      allowed: Uint32Array.from({ length: 2 * rows }, (_, i) => automaton.allowed[2 * states[i >> 1]! + (i & 1)]!),
    });
    const { integers, logProbs: decoded } = await decoding.read();
    expect(integers.history!.filter((_, i) => i % setup.capacity === 0)).toEqual(Array.from(tokens));
    expect(decoded.filter((_, i) => i % setup.capacity === 0)).toEqual(logProbs);
    expect(integers.state).toEqual(Array.from(tokens, (token, r) => automaton.next(states[r]!, token)));
  });

  it('is replayed as a program', async () => {
    const setup: Setup = { ...small(), capacity: 12, stopToken: 1 };
    const [direct, replayed] = [startDecoding(setup), startDecoding(setup)];
    native.beginProgram();
    replayed.step();
    const program = native.endProgram();
    for (let n = 0; n < 12; n++) {
      for (const { write } of [direct, replayed]) write(logitsOfStep(setup, n));
      direct.step();
      native.replayProgram(program);
    }
    expect(await replayed.read()).toEqual(await direct.read());
    native.disposeProgram(program);
  });

  it('leaves the state of a finished row alone, and does not look at it', async () => {
    const decoding = startDecoding({ ...small(), states: Int32Array.of(0, 1, 99, 3) });
    decoding.finished.write(Int32Array.of(0, 0, 1, 1));
    decoding.write(logitsOfStep(small(), 0));
    decoding.step();
    const state = Array.from(await decoding.state.read());
    expect(state.slice(2)).toEqual([99, 3]);
    expect(
      Array.from(await decoding.history.read())
        .filter((_, i) => i % 3 === 0)
        .slice(2),
    ).toEqual([-1, -1]);
  });

  it('refuses states that the automaton does not have, from the start and on the way', async () => {
    for (const state of [5, -1, 123_456_789, -(2 ** 31)]) {
      const from = startDecoding({ ...small(), states: Int32Array.of(0, 4, state, 1) });
      from.write(logitsOfStep(small(), 0));
      from.step();
      const got = state < -1 ? '-2.14748365e+09' : `${state}`;
      const message = `state: expected a state of the automaton in row 2, got ${got}`;
      await expect(from.history.read()).rejects.toThrow(message);
      await expect(from.state.read()).rejects.toThrow(message);

      const through = startDecoding(small());
      through.transitions?.write(new Int32Array(5 * 35).fill(state));
      through.write(logitsOfStep(small(), 0));
      through.step();
      expect(Array.from(await through.state.read())).toEqual([state, state, state, state]);
      through.step();
      await expect(through.history.read()).rejects.toThrow(/^state: expected a state of the automaton in row 0/);
    }
  });

  it('refuses a state in which nothing can be drawn', async () => {
    const decoding = startDecoding(small());
    decoding.write(logitsOfStep(small(), 0));
    decoding.allowed?.write(new Int32Array(10).fill(1, 0, 8).fill(-8, 9));
    decoding.state.write(Int32Array.of(0, 4, 1, 1));
    decoding.step();
    await expect(decoding.history.read()).rejects.toThrow(
      'cond: expected at least one token with finite logits in row 1, got none',
    );
  });

  it('refuses shapes and types that do not fit, at once', () => {
    const { step } = startDecoding(small());
    const ints = (...shape: number[]) =>
      Tensor.from(new Int32Array(shape.reduce((a, b) => a * b, 1)), shape, on).handle;
    expect(() => step({ state: ints(3) })).toThrow('state: expected [4], got [3]');
    expect(() => step({ allowed: ints(5, 1) })).toThrow(/^allowed: /);
    expect(() => step({ allowed: ints(10) })).toThrow(ShapeError);
    expect(() => step({ allowed: ints(0, 2), transitions: ints(0, 35) })).toThrow(
      'allowed: expected at least one state, got [0, 2]',
    );
    expect(() => step({ transitions: ints(5, 34) })).toThrow('transitions: expected [5, 35], got [5, 34]');
    expect(() => step({ transitions: ints(4, 35) })).toThrow(/^transitions: /);
    const floats = Tensor.from(new Float32Array(4), [4], on).handle;
    expect(() => step({ state: floats })).toThrow(/^state: expected .*int32/);
  });
});
