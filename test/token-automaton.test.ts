import { DTypeError, ShapeError, TokenAutomaton, type TokenAutomatonOptions, ValueError } from 'cfgdistill';
import { describe, expect, it } from 'vitest';

/** As many b as a, at most three, then c: the example of the class. */
function balanced(): TokenAutomaton {
  return new TokenAutomaton({
    vocabularySize: 3,
    states: 8,
    transitions: (state, token) => {
      if (token === 0) return state < 3 ? state + 1 : undefined;
      if (token === 1) return state > 4 ? state - 1 : state > 0 && state < 4 ? state + 3 : undefined;
      return state === 4 ? 4 : undefined;
    },
  });
}

describe('TokenAutomaton', () => {
  it('accepts the sequences of its language and no others', () => {
    const automaton = balanced();
    let accepted = 0;
    for (let code = 0; code < 3 ** 8; code++) {
      const tokens = Array.from({ length: 8 }, (_, i) => Math.floor(code / 3 ** i) % 3);
      const text = tokens.map((token) => 'abc'[token]).join('');
      const fits = [1, 2, 3].some((n) => text === 'a'.repeat(n) + 'b'.repeat(n) + 'c'.repeat(8 - 2 * n));
      expect(automaton.stateAfter(tokens) !== undefined).toBe(fits);
      accepted += Number(fits);
    }
    expect(accepted).toBe(3);
    expect(automaton.stateAfter([])).toBe(0);
    expect(automaton.stateAfter([1, 1], 6)).toBe(4);
    expect(automaton.next(0, 1)).toBeUndefined();
    expect(automaton.next(8, 0)).toBeUndefined();
    expect(automaton.next(0, 3)).toBeUndefined();
  });

  it('has tables that say the same, and can be made of them', () => {
    const automaton = balanced();
    expect(Array.from(automaton.allowed)).toEqual([1, 3, 3, 2, 4, 2, 2, 2]);
    const { vocabularySize, states, allowed, transitions } = automaton;
    const again = new TokenAutomaton({ vocabularySize, states, transitions });
    expect(again).toEqual(automaton);
    expect(again.transitions.buffer).not.toBe(transitions.buffer);
    for (let state = 0; state < states; state++) {
      for (let token = 0; token < vocabularySize; token++) {
        const bit = (allowed[state]! >> token) & 1;
        expect(automaton.next(state, token) !== undefined).toBe(bit === 1);
      }
    }
  });

  it('sets the right bit of vocabularies over a word', () => {
    const vocabularySize = 70;
    const automaton = new TokenAutomaton({
      vocabularySize,
      states: vocabularySize,
      transitions: (state, token) => (token === state ? (state + 1) % vocabularySize : undefined),
    });
    for (let state = 0; state < vocabularySize; state++) {
      const words = automaton.allowed.subarray(3 * state, 3 * state + 3);
      expect(
        Array.from(words, (w) => w.toString(2).padStart(32, '0'))
          .reverse()
          .join('')
          .indexOf('1'),
      ).toBe(95 - state);
    }
  });

  const good: TokenAutomatonOptions = { vocabularySize: 2, states: 2, transitions: Int32Array.of(0, 1, -1, 1) };
  it.each<[string, Partial<TokenAutomatonOptions>, string, new (...args: never[]) => Error]>([
    ['no vocabulary', { vocabularySize: 0 }, 'vocabularySize: ', ValueError],
    ['no states', { states: 0 }, 'states: ', ValueError],
    ['a start that is no state', { start: 2 }, 'start: expected a state below 2, got 2', ValueError],
    ['a start between states', { start: 0.5 }, 'start: ', ValueError],
    ['a table of another size', { transitions: new Int32Array(3) }, 'transitions: expected [states, voc', ShapeError],
    ['a table of another type', { transitions: [0, 0, 0, 0] as unknown as Int32Array }, 'transitions: ', DTypeError],
    [
      'a next state out of range',
      { transitions: Int32Array.of(0, 2, 0, 0) },
      'transitions: expected -1 or a state below 2, got 2 after token 1 in state 0',
      ValueError,
    ],
    [
      'a function that says −1',
      { transitions: () => -1 },
      'transitions: expected undefined or a state below 2, got -1 after token 0 in state 0',
      ValueError,
    ],
    [
      'a dead end on the way',
      { transitions: Int32Array.of(0, 1, -1, -1) },
      'start: expected an allowed token in every state that can be reached from state 0, got none in state 1',
      ValueError,
    ],
  ])('refuses %s', (_, wrong, message, kind) => {
    const make = () => new TokenAutomaton({ ...good, ...wrong });
    expect(make).toThrow(kind);
    expect(make).toThrow(message);
    new TokenAutomaton(good);
  });

  it('allows a dead end that cannot be reached, and finds it from another start', () => {
    // 0 and 1 go round; 2 leads to 3, from where nothing leads on.
    const automaton = new TokenAutomaton({ vocabularySize: 1, states: 4, transitions: Int32Array.of(1, 0, 3, -1) });
    automaton.checkStart(1, 'here');
    const message =
      'here: expected an allowed token in every state that can be reached from state 2, got none in state 3';
    expect(() => automaton.checkStart(2, 'here')).toThrow(message);
    expect(() => automaton.checkStart(2, 'here')).toThrow(message);
    expect(() => automaton.checkStart(3, 'here')).toThrow('from state 3, got none in state 3');
    expect(() => automaton.checkStart(4, 'here')).toThrow('here: expected a state below 4, got 4');
    expect(() => automaton.checkStart(-1, 'here')).toThrow('here: expected a state below 4, got -1');
  });
});
