// Typed arrays in every kind of memory that JavaScript has, right and wrong for a call, as an input's bytes decide.
import { fillFloats, fillInts } from './values.mjs';

const OTHER_TYPES = [
  Float64Array,
  Int32Array,
  Uint32Array,
  Uint16Array,
  Float32Array,
  Uint8Array,
  Int8Array,
  BigInt64Array,
];
const GUARD = 0xa5;

/** The arrays of one call, and what must be true of their memory after it. */
export class Memory {
  #input;
  #store;
  #pool = null;
  #arrays = [];
  #checks = [];

  /** @param store by dtype, how a number becomes an element */
  constructor(input, store) {
    this.#input = input;
    this.#store = store;
  }

  /** Of float32, bfloat16 or float16. */
  floats(length, dtype = 'float32') {
    const Type = dtype === 'float32' ? Float32Array : Uint16Array;
    return this.#make(Type, length, (array) => fillFloats(this.#input, array, this.#store[dtype]));
  }

  ints(length, low = 0, high = 0) {
    return this.#make(Int32Array, length, (array) => fillInts(this.#input, array, low, high));
  }

  /** Masks: any bits. */
  words(length) {
    return this.#make(Uint32Array, length, (array) => fillInts(this.#input, array, -(2 ** 31), 2 ** 31 - 1));
  }

  /** Takes the memory away under the arrays made so far. */
  detach() {
    for (const { buffer } of this.#arrays) {
      if (buffer instanceof ArrayBuffer && buffer.byteLength > 0) structuredClone(buffer, { transfer: [buffer] });
    }
  }

  /** Throws when memory around the arrays has changed. */
  verify() {
    for (const check of this.#checks) check();
  }

  #make(Type, length, fill) {
    const input = this.#input;
    const choice = input.byte();
    let array;
    if (choice < 160) array = new Type(new ArrayBuffer(length * Type.BYTES_PER_ELEMENT));
    else if (choice < 192) array = this.#guarded(Type, length);
    else array = this.#unusual(Type, length, choice - 192);
    if (ArrayBuffer.isView(array) && !(array instanceof DataView)) {
      this.#arrays.push(array);
      if (array instanceof Type && array.length > 0) fill(array);
    }
    return array;
  }

  /** In the midst of a larger buffer, whose rest must stay as it is. */
  #guarded(Type, length) {
    const width = Type.BYTES_PER_ELEMENT;
    const [before, after] = [this.#input.integer(0, 9) * width, this.#input.integer(0, 9) * width];
    const Buffer = this.#input.bit() ? ArrayBuffer : SharedArrayBuffer;
    const all = new Uint8Array(new Buffer(before + length * width + after)).fill(GUARD);
    const array = new Type(all.buffer, before, length);
    this.#checks.push(() => {
      if (all.byteLength === 0) return; // transferred since
      const outside = [...all.subarray(0, before), ...all.subarray(before + length * width)];
      if (outside.some((byte) => byte !== GUARD)) throw new Error('memory beside an array was written');
    });
    return array;
  }

  #unusual(Type, length, choice) {
    const input = this.#input;
    const width = Type.BYTES_PER_ELEMENT;
    const bytes = length * width;
    switch (choice % 16) {
      case 0: // another array of the call
      case 1:
        return this.#arrays.length > 0 ? input.pick(this.#arrays) : new Type(length);
      case 2: // of one buffer, so that arrays overlap
      case 3:
      case 4: {
        this.#pool ??= new ArrayBuffer(65536);
        const offset = input.integer(0, 40) * width;
        return new Type(this.#pool, offset, Math.min(length, (65536 - offset) / width));
      }
      case 5:
        return new Type(length + 1);
      case 6:
        return new Type(Math.max(0, length - 1));
      case 7:
        return new Type(0);
      case 8:
        return new (input.pick(OTHER_TYPES))(length);
      case 9:
        return input.pick([
          undefined,
          null,
          0,
          'array',
          {},
          [],
          new ArrayBuffer(bytes),
          new DataView(new ArrayBuffer(8)),
        ]);
      case 10: {
        const array = new Type(length);
        structuredClone(array.buffer, { transfer: [array.buffer] });
        return array;
      }
      case 11: // follows its buffer's length
        return new Type(new ArrayBuffer(bytes, { maxByteLength: bytes + 4096 }));
      case 12: {
        const array = new Type(new ArrayBuffer(bytes, { maxByteLength: bytes + 64 }));
        array.buffer.resize(Math.max(0, bytes - input.integer(0, 64)));
        return array;
      }
      case 13: {
        // out of bounds of its buffer
        const array = new Type(new ArrayBuffer(bytes + 64, { maxByteLength: bytes + 64 }), 0, length);
        array.buffer.resize(bytes >> 1);
        return array;
      }
      case 14: {
        const array = new Type(new SharedArrayBuffer(bytes, { maxByteLength: bytes + 64 }));
        array.buffer.grow(bytes + 64 - (64 % width));
        return array;
      }
      default:
        return new Proxy(new Type(length), {});
    }
  }
}
