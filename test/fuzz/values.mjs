// Arguments of kernels, right and wrong, as an input's bytes decide.
export const SENTINEL = new Error('thrown by a getter of the caller');

const NOTHING_LIKE_A_NUMBER = [undefined, null, '1', '', true, {}, [], 1n, Symbol('x'), () => 1, new Date(0)];
const NUMBERS = [
  ...[0, -0, 1, -1, 2, 0.5, -0.5, 1e-9, 1.5, 255, 256, 65536, Number.NaN, Infinity, -Infinity],
  ...[2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 40, 2 ** 53 - 1, 2 ** 53, 2 ** 63, -(2 ** 63), 2 ** 64],
  ...[3.4e38, 3.5e38, -3.5e38, 1e308, 5e-324, 1.1e-38, 1e-45],
];

/** `valid`, or rarely something else. */
export function number(input, valid) {
  if (!input.rarely(24)) return valid;
  const kind = input.integer(0, 7);
  if (kind === 0) return input.pick(NOTHING_LIKE_A_NUMBER);
  if (kind === 1) return input.double();
  if (kind === 2) return input.uint32();
  return input.pick(NUMBERS);
}

/** One of the words, or rarely none of them. */
export function word(input, words) {
  if (!input.rarely(24)) return input.pick(words);
  return input.pick(['', 'Float32', '\0', 'x'.repeat(1000), '\ud800', 'float64', ...NOTHING_LIKE_A_NUMBER]);
}

const VOCABULARIES = [1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 23, 31, 32, 33, 63, 64, 65, 100, 129, 257, 513, 1025];
export const vocabulary = (input) => input.pick(VOCABULARIES);

const bits = new Uint32Array(1);
const asFloat = new Float32Array(bits.buffer);

/** Fills an array with numbers of one of several kinds, NaN and infinities among them. */
export function fillFloats(input, array, store = (value) => value) {
  const kind = input.integer(0, 11);
  let state = input.byte() + 1;
  for (let i = 0; i < array.length; i++) {
    state = (Math.imul(state, 0x915f77f5) + 0x6a09e667) >>> 0;
    const unit = state / 2 ** 31 - 1;
    let value = 4 * unit;
    if (kind === 6) value = 1;
    else if (kind === 7) value = state % 5 === 0 ? -Infinity : 4 * unit;
    else if (kind === 8) value = unit * 3.3e38;
    else if (kind === 9) value = unit * 1e-40;
    else if (kind === 10) value = state % 7 === 0 ? Number.NaN : state % 11 === 0 ? Infinity : unit;
    else if (kind === 11) {
      bits[0] = Math.imul(state, 0x9e3779b1);
      value = asFloat[0];
    }
    array[i] = store(value);
  }
}

/** Fills an array with integers of [low, high], rarely with others, too. */
export function fillInts(input, array, low, high) {
  const stray = input.rarely(24);
  let state = input.byte() + 1;
  for (let i = 0; i < array.length; i++) {
    state = (Math.imul(state, 0x915f77f5) + 0x6a09e667) >>> 0;
    array[i] = stray && state % 3 === 0 ? state | 0 : low + ((state >>> 8) % (high - low + 1));
  }
}

/** A list, rarely one that is no array, has a hole, or runs the caller's code while it is read. */
export function list(input, items, misuse) {
  if (!input.rarely(12)) return items;
  const at = input.integer(0, Math.max(0, items.length - 1));
  switch (input.integer(0, 8)) {
    case 0:
      return [];
    case 1:
      return items.slice(1);
    case 2:
      return [...items, items[0]];
    case 3:
      return Object.assign([...items], { length: items.length + 1 });
    case 4:
      return { length: items.length, ...items };
    case 5:
      return new Proxy(items, {});
    case 6:
      return Object.defineProperty([...items], at, {
        get() {
          throw SENTINEL;
        },
      });
    case 7:
      return input.pick(NOTHING_LIKE_A_NUMBER);
    default:
      return Object.defineProperty([...items], at, {
        get() {
          misuse();
          return items[at];
        },
      });
  }
}
