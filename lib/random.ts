import { ValueError } from './errors.ts';

/** All of a {@link Random}'s state, as plain JSON: its key and how many 32-bit words it has drawn. */
export interface RandomState {
  readonly key: readonly [number, number];
  readonly position: number;
}

type Words4 = readonly [number, number, number, number];
type Words2 = readonly [number, number];

// The last counter word keeps the uses of one key apart.
const DRAW = 0;
const FORK_NUMBER = 1;
const FORK_TEXT = 2;
const FORK_END = 3;

const TWO_32 = 2 ** 32;

/** High 32 bits of the 64-bit product of two unsigned 32-bit integers, each given and returned as any int32 or uint32. */
function multiplyHigh(a: number, b: number): number {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  // Products of 16 bits each fit 32; what they add up to is split before it would not.
  const low = Math.imul(aLow, bLow) >>> 16;
  const cross = Math.imul(aHigh, bLow);
  const middle = (cross & 0xffff) + low + (Math.imul(aLow, bHigh) & 0xffff);
  return (Math.imul(aHigh, bHigh) + (cross >>> 16) + (Math.imul(aLow, bHigh) >>> 16) + (middle >>> 16)) | 0;
}

/**
 * Philox4x32-10: four pseudo-random 32-bit words for a 128-bit counter and a 64-bit key (Salmon, Moraes, Dror, Shaw,
 * "Parallel random numbers: as easy as 1, 2, 3", SC 2011). All words are unsigned 32-bit integers.
 */
export function philox4x32(counter: Words4, key: Words2): [number, number, number, number] {
  const words = new Uint32Array(4);
  philoxInto(words, counter[0], counter[1], counter[2], counter[3], key[0], key[1]);
  return [words[0]!, words[1]!, words[2]!, words[3]!];
}

/** The same, into an array: nothing is allocated. */
function philoxInto(out: Uint32Array, c0: number, c1: number, c2: number, c3: number, k0: number, k1: number): void {
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0);
    const low0 = Math.imul(0xd2511f53, c0);
    const high1 = multiplyHigh(0xcd9e8d57, c2);
    const low1 = Math.imul(0xcd9e8d57, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

function checkInteger(argument: string, value: number, low: number, high: number, highText = String(high)): void {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new ValueError(`${argument}: expected an integer in [${low}, ${highText}], got ${value}`, argument);
  }
}

/**
 * Seeded random numbers from a counter: the same on every platform, saved and restored as two small numbers.
 * The same seed gives the same stream; {@link fork} gives independent streams for separate purposes.
 */
export class Random {
  #key: Words2;
  #position = 0;
  readonly #block = new Uint32Array(4);
  #blockIndex = -1;

  /** @param seed an integer in [0, 2^53 − 1]; anything else is a ValueError. */
  constructor(seed: number) {
    checkInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER, '2^53 - 1');
    this.#key = [seed >>> 0, Math.floor(seed / TWO_32)];
  }

  /** The next 32 random bits, as an integer in [0, 2^32). */
  word(): number {
    const index = Math.floor(this.#position / 4);
    if (index !== this.#blockIndex) {
      philoxInto(this.#block, index >>> 0, Math.floor(index / TWO_32), 0, DRAW, this.#key[0], this.#key[1]);
      this.#blockIndex = index;
    }
    const lane = this.#position % 4;
    this.#position++;
    return this.#block[lane] as number;
  }

  /** A number drawn uniformly from [0, 1), with 53 random bits. */
  uniform(): number {
    const high = this.word() >>> 5;
    const low = this.word() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** An integer drawn uniformly from 0 … n − 1, without bias. `n` is an integer in [1, 2^32], else a ValueError. */
  integer(n: number): number {
    checkInteger('n', n, 1, TWO_32, '2^32');
    const limit = TWO_32 - (TWO_32 % n);
    let word = this.word();
    while (word >= limit) word = this.word();
    return word % n;
  }

  /** Puts `array` into a uniformly random order, in place, and returns it. */
  shuffle<T>(array: T[]): T[] {
    for (let last = array.length - 1; last > 0; last--) {
      const other = this.integer(last + 1);
      const swapped = array[last] as T;
      array[last] = array[other] as T;
      array[other] = swapped;
    }
    return array;
  }

  /**
   * An independent stream named by `label` (a text, or an integer in [0, 2^53 − 1]). It depends on this stream's seed
   * and on the label alone, not on what has been drawn, so that drawing more for one purpose changes no other.
   */
  fork(label: string | number): Random {
    let words: number[];
    if (typeof label === 'number') {
      checkInteger('label', label, 0, Number.MAX_SAFE_INTEGER, '2^53 - 1');
      words = [label >>> 0, Math.floor(label / TWO_32)];
    } else {
      words = Array.from({ length: label.length }, (_, index) => label.charCodeAt(index));
    }
    const use = typeof label === 'number' ? FORK_NUMBER : FORK_TEXT;
    let key = this.#key;
    for (let at = 0; at < words.length; at += 2) {
      const mixed = philox4x32([words[at] ?? 0, words[at + 1] ?? 0, at, use], key);
      key = [mixed[0], mixed[1]];
    }
    const last = philox4x32([words.length, 0, use, FORK_END], key);
    const forked = new Random(0);
    forked.#key = [last[0], last[1]];
    return forked;
  }

  /** The state to save; {@link restore} goes on from it bit for bit. */
  state(): RandomState {
    return { key: [this.#key[0], this.#key[1]], position: this.#position };
  }

  /** Goes on from a saved state. A state that is none is a ValueError, and nothing changes. */
  restore(state: RandomState): void {
    if (typeof state !== 'object' || state === null || !Array.isArray(state.key) || state.key.length !== 2) {
      throw new ValueError(`state: expected { key: [word, word], position }, got ${JSON.stringify(state)}`, 'state');
    }
    const [k0, k1] = state.key;
    checkInteger('state.key[0]', k0, 0, TWO_32 - 1, '2^32 - 1');
    checkInteger('state.key[1]', k1, 0, TWO_32 - 1, '2^32 - 1');
    checkInteger('state.position', state.position, 0, Number.MAX_SAFE_INTEGER, '2^53 - 1');
    this.#key = [k0, k1];
    this.#position = state.position;
    this.#blockIndex = -1;
  }
}
