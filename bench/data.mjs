// Seeded inputs. A plain generator: these are only there to be computed on, and there are millions of them.

/** Uniform numbers in (0, 1) by xorshift32. */
export function uniforms(seed) {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) + 0.5) / 2 ** 32;
  };
}

/** Normal numbers of mean 0 (Box-Muller). */
export function normals(length, deviation, seed) {
  const uniform = uniforms(seed);
  const values = new Float32Array(length);
  for (let i = 0; i < length; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log(uniform()));
    const angle = 2 * Math.PI * uniform();
    values[i] = radius * Math.cos(angle);
    if (i + 1 < length) values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}

/** `rows` sequences of random tokens from 1 to vocabularySize − 1. */
export function sequences(rows, length, vocabularySize, seed) {
  const uniform = uniforms(seed);
  return Array.from({ length: rows }, () =>
    Int32Array.from({ length }, () => 1 + Math.floor(uniform() * (vocabularySize - 1))),
  );
}
