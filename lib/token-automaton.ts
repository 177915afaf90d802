import { DTypeError, ValueError } from './errors.ts';
import { hostArray } from './host-arrays.ts';
import { described, expectInteger, expectInts } from './kernels/arguments.ts';
import { maskWords } from './kernels/token-mask.ts';
import type { Device } from './tensor/device.ts';
import { Tensor } from './tensor/tensor.ts';

/** What a `TokenAutomaton` is made of. */
export interface TokenAutomatonOptions {
  /** The vocabulary of the model that is to be kept to it. */
  vocabularySize: number;
  /** How many states there are; a state is an integer of [0, states). */
  states: number;
  /** The state that generations begin in. Default 0. */
  start?: number;
  /**
   * The state after a token: a function, asked once for every state and token, that gives undefined where the token is
   * not allowed; or a table, Int32Array [states, vocabularySize], with −1 there.
   */
  transitions: ((state: number, token: number) => number | undefined) | Int32Array;
}

/**
 * A deterministic finite automaton over tokens, to which a `Sampler` keeps its generations (its option `constraint`): in
 * every state only some tokens may be drawn, and the token drawn leads to the next state. It is stepped where the
 * tokens are drawn, on the device. What is not allowed has probability 0, as if its logit were −∞ before temperature,
 * top-k and top-p, and the rest is renormalised; log-probabilities are those of this distribution. A generation is
 * thereby drawn token by token from the model's own choices, not from the model's distribution over whole sequences given
 * that they fit.
 *
 * A token that stops generations is a token like others: allowed in the states where a generation may end, with a next
 * state, in which nothing is drawn (the same state will do). `maxTokens` cuts a generation in whatever state it is.
 *
 * For sampling only: a `Trainer` draws without, since the distribution that it differentiates must be the one it draws from.
 *
 * Its tables take states · vocabularySize · (4 + 1/8) bytes, here and on the device.
 *
 * @example
 * // as many b as a, at most three: tokens a, b, stop; state 0 … 3: a's so far, 4 … 7: b's still to come
 * new TokenAutomaton({ vocabularySize: 3, states: 8, transitions: (state, token) => {
 *   if (token === 0) return state < 3 ? state + 1 : undefined;
 *   if (token === 1) return state > 4 ? state - 1 : state > 0 && state < 4 ? state + 3 : undefined;
 *   return state === 4 ? 4 : undefined;
 * } });
 */
export class TokenAutomaton {
  readonly vocabularySize: number;
  readonly states: number;
  /** The state that generations begin in. */
  readonly start: number;
  /** [states, ceil(vocabularySize / 32)]: what may be drawn, as `sampleGuided` takes it. Not to be written. */
  readonly allowed: Uint32Array<ArrayBuffer>;
  /** [states, vocabularySize]: the next states; −1 where a token is not allowed. Not to be written. */
  readonly transitions: Int32Array<ArrayBuffer>;
  /** States from which no dead end can be reached, as far as was asked. */
  readonly #explored: Uint8Array;

  /**
   * @throws ValueError for a next state out of range, and when a state without an allowed token can be reached from
   *   `start`
   * @throws DTypeError, ShapeError for transitions that are neither a function nor a table of this size
   */
  constructor({ vocabularySize, states, start = 0, transitions }: TokenAutomatonOptions) {
    expectInteger('vocabularySize', vocabularySize, 1);
    expectInteger('states', states, 1);
    if (states > 2 ** 31 - 1) throw new ValueError(`states: expected less than 2^31, got ${states}`, 'states');
    if (typeof transitions !== 'function') {
      if (!(transitions instanceof Int32Array)) {
        const got = described(transitions);
        throw new DTypeError(`transitions: expected a function or an Int32Array, got ${got}`, 'transitions');
      }
      const dimensions = [
        { name: 'states', size: states },
        { name: 'vocabularySize', size: vocabularySize },
      ];
      expectInts('transitions', transitions, ...dimensions);
    }
    const words = maskWords(vocabularySize);
    this.vocabularySize = vocabularySize;
    this.states = states;
    this.start = start;
    this.allowed = hostArray('uint32', states * words, "an automaton's masks");
    this.transitions = hostArray('int32', states * vocabularySize, "an automaton's transitions");
    for (let state = 0, at = 0; state < states; state++) {
      for (let token = 0; token < vocabularySize; token++, at++) {
        const given = typeof transitions === 'function' ? transitions(state, token) : transitions[at];
        const none = typeof transitions === 'function' ? undefined : -1;
        if (given !== none && !this.#has(given)) {
          throw new ValueError(
            `transitions: expected ${none} or a state below ${states}, got ${described(given)} after token ${token} in state ${state}`,
            'transitions',
          );
        }
        this.transitions[at] = given === none ? -1 : (given as number);
        if (given === none) continue;
        const word = state * words + (token >> 5);
        this.allowed[word] = (this.allowed[word] as number) | (1 << (token & 31));
      }
    }
    this.#explored = new Uint8Array(states);
    this.checkStart(start, 'start');
  }

  /** The state after a token in a state; undefined where the token is not allowed. */
  next(state: number, token: number): number | undefined {
    if (!this.#has(state) || !(Number.isInteger(token) && token >= 0 && token < this.vocabularySize)) return undefined;
    const next = this.transitions[state * this.vocabularySize + token] as number;
    return next < 0 ? undefined : next;
  }

  /** The state after a sequence of tokens, from `start` or another state; undefined where one of them is not allowed. */
  stateAfter(tokens: Iterable<number>, from = this.start): number | undefined {
    let state: number | undefined = from;
    for (const token of tokens) {
      state = this.next(state, token);
      if (state === undefined) return undefined;
    }
    return state;
  }

  /**
   * Throws ValueError, in the name of an argument, unless a generation may begin in `state`: it is one, and every state
   * that can be reached from it has an allowed token.
   */
  checkStart(state: number, argument: string): void {
    if (!this.#has(state)) {
      throw new ValueError(`${argument}: expected a state below ${this.states}, got ${described(state)}`, argument);
    }
    if (this.#explored[state]) return;
    const explored = this.#explored.slice();
    const open = [state];
    explored[state] = 1;
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      const row = this.transitions.subarray(at * this.vocabularySize, (at + 1) * this.vocabularySize);
      let dead = true;
      for (const next of row) {
        if (next < 0) continue;
        dead = false;
        if (explored[next]) continue;
        explored[next] = 1;
        open.push(next);
      }
      if (dead) {
        const expected = `an allowed token in every state that can be reached from state ${state}`;
        throw new ValueError(`${argument}: expected ${expected}, got none in state ${at}`, argument);
      }
    }
    this.#explored.set(explored);
  }

  #has(state: unknown): state is number {
    return Number.isInteger(state) && (state as number) >= 0 && (state as number) < this.states;
  }
}

/** An automaton's tables on a device, and the states that rows are in. */
export function placeAutomaton({ states, allowed, transitions }: TokenAutomaton, rows: Int32Array, device: Device) {
  const bits = new Int32Array(allowed.buffer, allowed.byteOffset, allowed.length);
  return {
    automatonState: Tensor.from(rows, [rows.length], device),
    allowed: Tensor.from(bits, [states, bits.length / states], device),
    transitions: Tensor.from(transitions, [states, transitions.length / states], device),
  };
}
