import { native } from '../../../internals.mjs';
import { exactly, integers, spread } from '../inputs.mjs';

// Padding on the left and on the right, a full row, and a row without keys.
const paddings = (rows, positions) => ({
  starts: exactly(Array.from({ length: rows }, (_, r) => [0, 3, positions - 1, positions][r % 4])),
  ends: exactly(Array.from({ length: rows }, (_, r) => [positions, positions - 2, positions, positions][r % 4])),
});

/** @type {import('../cases.mjs').Cases} */
export const attention = (at) => {
  const selfShapes = at(
    [
      [4, 300, 4, 64],
      [8, 129, 3, 32],
      [4, 65, 2, 128],
      [5, 40, 2, 24],
    ],
    [
      [4, 11, 2, 8],
      [4, 7, 1, 6],
    ],
  );
  const self = selfShapes.flatMap(([rows, positions, heads, dim]) =>
    [true, false].map((causal) => ({
      name: `attention [${rows}, ${positions}, ${heads} × ${dim}]${causal ? ' causal' : ''}`,
      inputs: {
        qkv: spread([rows, positions, 3, heads, dim], 2),
        gradOut: spread([rows, positions, heads * dim]),
        ...paddings(rows, positions),
      },
      tolerance: 1e-4,
      // Probabilities and their gradients may be rounded to bfloat16 on their way into matrix units.
      bfloat16Tolerance: 3 / 128,
      run: ({ qkv, starts, ends, gradOut }) => {
        const [out, lse] = native.attentionForward(qkv, starts, ends, causal);
        return [out, lse, native.attentionBackward(qkv, starts, ends, causal, out, lse, gradOut)];
      },
    })),
  );
  const crossShapes = at(
    [
      [4, 130, 70, 4, 64],
      [6, 33, 257, 2, 32],
    ],
    [[4, 5, 9, 2, 8]],
  );
  const cross = crossShapes.map(([rows, queries, keys, heads, dim]) => ({
    name: `crossAttention [${rows}, ${queries} × ${keys}, ${heads} × ${dim}]`,
    inputs: {
      q: spread([rows, queries, heads, dim], 2),
      kv: spread([rows, keys, 2, heads, dim], 2),
      gradOut: spread([rows, queries, heads * dim]),
      ...paddings(rows, keys),
    },
    tolerance: 1e-4,
    bfloat16Tolerance: 3 / 128,
    run: ({ q, kv, starts, ends, gradOut }) => {
      const [out, lse] = native.crossAttentionForward(q, kv, starts, ends);
      return [out, lse, ...native.crossAttentionBackward(q, kv, starts, ends, out, lse, gradOut)];
    },
  }));
  const decodeShapes = at(
    [
      [32, 12, 64, 300, 150],
      [3, 4, 128, 1500, 1400],
      [130, 2, 32, 70, 0],
    ],
    [[3, 2, 8, 12, 9]],
  );
  const decode = decodeShapes.map(([rows, heads, dim, capacity, filled]) => ({
    name: `cacheWrite, attentionDecode [${rows}, ${heads} × ${dim}, ${filled} of ${capacity}]`,
    inputs: {
      prompt: spread([rows, Math.max(1, filled), 3, heads, dim]),
      qkv: spread([rows, 1, 3, heads, dim], 2),
      cache: spread([2, rows, heads, capacity, dim]),
      starts: integers([rows], 0, filled + 2), // the last value leaves no keys
      zero: exactly([0]),
      position: exactly([filled]),
    },
    tolerance: 1e-4,
    bfloat16Tolerance: 3 / 128,
    run: ({ prompt, qkv, cache, starts, zero, position }) => {
      native.cacheWrite(prompt, cache, zero);
      return [native.attentionDecode(qkv, cache, starts, position), cache];
    },
  }));
  const [rows, positions, heads, dim] = at([16, 200, 8, 64], [2, 5, 2, 6]);
  const rotary = [false, true].map((inverse) => ({
    name: `rotary${inverse ? ' inverse' : ''}`,
    inputs: { qkv: spread([rows, positions, 3, heads, dim]), places: integers([rows, positions], 0, 4096) },
    run: ({ qkv, places }) => [native.rotary(qkv, places, 10_000, inverse)],
  }));
  return [...self, ...cross, ...decode, ...rotary];
};
