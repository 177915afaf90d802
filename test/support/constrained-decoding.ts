/** Decoding steps kept to an automaton, on any device, and what they must equal: −∞ in place of what is not allowed. */
import type { DType, NativeTensor } from '../../lib/native.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import type { Device } from '../../lib/tensor/device.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { TokenAutomaton } from '../../lib/token-automaton.ts';
import { bfloat16Bits } from './half.ts';
import { randomFloats } from './random-data.ts';

export interface Setup {
  on: Device;
  rows: number;
  vocab: number;
  branches: 1 | 2;
  capacity: number;
  dtype?: DType;
  stopToken?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  automaton?: TokenAutomaton | undefined;
  /** Default: row r begins in state r modulo the number of states. */
  states?: Int32Array;
}

/** States at random with some tokens allowed each, at least one, leading anywhere. */
export function randomAutomaton(states: number, vocabularySize: number, density = 0.3): TokenAutomaton {
  const random = new Random(states * 1009 + vocabularySize);
  const always = Array.from({ length: states }, () => random.integer(vocabularySize));
  const transitions = (state: number, token: number) =>
    random.uniform() < density || token === always[state] ? random.integer(states) : undefined;
  return new TokenAutomaton({ vocabularySize, states, transitions });
}

export function statesOf({ rows, automaton, states }: Setup): Int32Array {
  return states ?? Int32Array.from({ length: rows }, (_, r) => r % (automaton?.states ?? 1));
}

/** The tensors of a generation and a step that draws from the logits written last. */
export function startDecoding(setup: Setup) {
  const { on, rows, vocab, branches, capacity, dtype = 'float32', automaton } = setup;
  const ints = (data: Int32Array, shape: readonly number[] = [data.length]) => Tensor.from(data, shape, on);
  const logits = native.createTensor(on.id, dtype, [branches * rows, vocab]);
  const books = {
    position: ints(new Int32Array(1)),
    finished: ints(new Int32Array(rows)),
    unfinished: ints(Int32Array.of(rows)),
    next: ints(new Int32Array(branches * rows).fill(-7)),
    history: ints(new Int32Array(rows * capacity).fill(-9), [rows, capacity]),
    logProbs: Tensor.from(new Float32Array(rows * capacity).fill(9), [rows, capacity], on),
    state: ints(statesOf(setup)),
  };
  const scales = Tensor.from(
    Float32Array.from({ length: rows }, (_, r) => (r % 4) - 0.5),
    [rows],
    on,
  );
  const streams = ints(Int32Array.from({ length: rows }, (_, r) => 3 * r + 1));
  const bits = automaton && new Int32Array(automaton.allowed.buffer);
  const allowed = bits && automaton && ints(bits, [automaton.states, bits.length / automaton.states]);
  const transitions = automaton && ints(automaton.transitions, [automaton.states, vocab]);
  const step = (wrong: { state?: NativeTensor; allowed?: NativeTensor; transitions?: NativeTensor } = {}) => {
    const { position, finished, unfinished, next, history, logProbs, state } = books;
    native.decodeSample(
      ...([logits, scales.handle, streams.handle, setup.temperature ?? 1, setup.topK, setup.topP, 11] as const),
      ...([setup.stopToken, position.handle, finished.handle, unfinished.handle, next.handle] as const),
      ...([history.handle, logProbs.handle] as const),
      ...(automaton
        ? ([
            wrong.state ?? state.handle,
            wrong.allowed ?? allowed?.handle,
            wrong.transitions ?? transitions?.handle,
          ] as const)
        : []),
    );
  };
  const write = (values: Float32Array) => logits.write(dtype === 'bfloat16' ? bfloat16Bits(values) : values);
  const read = async () => {
    const { logProbs, ...integers } = books;
    const read: Record<string, number[]> = {};
    for (const [name, tensor] of Object.entries(integers)) read[name] = Array.from(await tensor.read());
    return { integers: read, logProbs: await logProbs.read() };
  };
  return { ...books, allowed, transitions, logits, write, step, read };
}

/** The logits of step n, [branches · rows, vocab]. */
export function logitsOfStep({ rows, vocab, branches }: Setup, n: number): Float32Array {
  return randomFloats(new Random(100 * n + branches), branches * rows * vocab, 3);
}

/** All steps kept to the automaton. */
export async function constrained(setup: Setup) {
  const decoding = startDecoding(setup);
  for (let n = 0; n < setup.capacity; n++) {
    decoding.write(logitsOfStep(setup, n));
    decoding.step();
  }
  return decoding.read();
}

/** The same without the automaton on the device: stepped here, by −∞ in the logits. */
export async function steppedByHand(setup: Setup) {
  const { rows, vocab, capacity, automaton } = setup;
  if (!automaton) throw new Error('an automaton is wanted');
  const decoding = startDecoding({ ...setup, automaton: undefined });
  const states = statesOf(setup);
  for (let n = 0; n < capacity; n++) {
    const row = (i: number) => Math.floor(i / vocab) % rows;
    const none = (i: number) => automaton.next(states[row(i)] as number, i % vocab) === undefined;
    decoding.write(logitsOfStep(setup, n).map((z, i) => (none(i) ? -Infinity : z)));
    decoding.step();
    const history = await decoding.history.read();
    for (let r = 0; r < rows; r++) {
      const token = history[r * capacity + n] as number;
      if (token >= 0) states[r] = automaton.next(states[r] as number, token) as number;
    }
  }
  const { integers, logProbs } = await decoding.read();
  return { integers: { ...integers, state: Array.from(states) }, logProbs };
}
