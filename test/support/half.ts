/** Values as the bits of bfloat16: to the nearest, ties to even; NaN stays NaN. */
export function bfloat16Bits(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(Float32Array.from(values).buffer);
  return Uint16Array.from(bits, (b) =>
    (b & 0x7fffffff) > 0x7f800000 ? (b >>> 16) | 0x40 : (b + 0x7fff + ((b >>> 16) & 1)) >>> 16,
  );
}

/** The values of bfloat16 bits. */
export function bfloat16Values(bits: Uint16Array): Float32Array<ArrayBuffer> {
  return new Float32Array(Uint32Array.from(bits, (b) => b << 16).buffer);
}
