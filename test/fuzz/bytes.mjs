/** Reads decisions from a fuzzer's input; past its end every byte is 0, the most ordinary choice. */
export class Bytes {
  #bytes;
  #at = 0;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  get rest() {
    return this.#bytes.subarray(this.#at);
  }

  byte() {
    return this.#bytes[this.#at++] ?? 0;
  }

  /** An integer of [low, high], at most 256 of them. */
  integer(low, high) {
    return low + (this.byte() % (high - low + 1));
  }

  bit() {
    return (this.byte() & 1) === 1;
  }

  pick(choices) {
    return choices[this.byte() % choices.length];
  }

  /** Whether to do something unusual: once in `of` for random bytes, never at the end of the input. */
  rarely(of = 16) {
    return this.byte() > 255 - 256 / of;
  }

  uint32() {
    return (this.byte() | (this.byte() << 8) | (this.byte() << 16) | (this.byte() << 24)) >>> 0;
  }

  double() {
    const view = new DataView(new ArrayBuffer(8));
    for (let i = 0; i < 8; i++) view.setUint8(i, this.byte());
    return view.getFloat64(0, true);
  }
}
