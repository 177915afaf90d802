// sampleGuided kept to a mask of tokens: everything must be as if what it takes out were −∞.
import { DTypeError, ShapeError, sampleGuided, Tensor, tokenMask, ValueError } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { chiSquareP } from '../support/chi-square.ts';
import { drawDistribution, guide } from '../support/guidance-reference.ts';
import { bfloat16Bits } from '../support/half.ts';
import { randomFloats, sameBits } from '../support/random-data.ts';

const wordsOf = (vocab: number) => Math.ceil(vocab / 32);
const has = (mask: ArrayLike<number>, token: number) => ((mask[token >> 5]! >>> (token & 31)) & 1) === 1;
const signed = (mask: Uint32Array) => new Int32Array(mask.buffer, mask.byteOffset, mask.length);

/** Rows with −∞ where a row's mask, or the one mask of all, has no bit. */
function without(logits: Float32Array, vocab: number, allowed: Uint32Array): Float32Array {
  const words = wordsOf(vocab);
  return logits.map((z, i) => {
    const row = allowed.length === words ? 0 : Math.floor(i / vocab);
    return has(allowed.subarray(row * words, (row + 1) * words), i % vocab) ? z : -Infinity;
  });
}

/** Random masks, none of them empty, with every bit beyond the vocabulary set. */
function randomMasks(random: Random, rows: number, vocab: number, density: number): Uint32Array {
  const words = wordsOf(vocab);
  const masks = new Uint32Array(rows * words);
  for (let r = 0; r < rows; r++) {
    const row = masks.subarray(r * words, (r + 1) * words);
    const kept = Array.from({ length: vocab }, (_, v) => v).filter(() => random.uniform() < density);
    row.set(tokenMask([random.integer(vocab), ...kept], { vocab }));
    if (vocab % 32) row[words - 1] = row[words - 1]! | (-1 << (vocab % 32));
  }
  return masks;
}

const OPTIONS: { temperature?: number; topK?: number; topP?: number }[] = [
  {},
  { temperature: 0 },
  { temperature: 0.3 },
  { temperature: 3, topK: 3 },
  { topP: 0.6 },
  { temperature: 1.4, topK: 5, topP: 0.9 },
];

describe('sampleGuided with allowed', () => {
  it.each(OPTIONS)('draws by every mask of up to 7 tokens what float64 says: %o', (options) => {
    const random = new Random(4);
    const copies = 6;
    for (let vocab = 1; vocab <= 7; vocab++) {
      const masks = Array.from({ length: 2 ** vocab - 1 }, (_, i) => i + 1);
      const rows = masks.length * copies;
      const allowed = Uint32Array.from({ length: rows }, (_, r) => masks[Math.floor(r / copies)]!);
      const [cond, uncond] = [randomFloats(random, rows * vocab, 3), randomFloats(random, rows * vocab, 3)];
      for (const scale of [undefined, 0, 1, 2.5]) {
        const second = scale === undefined ? null : uncond;
        const drawing = { vocab, seed: 5, ...(scale !== undefined && { scale }), ...options };
        const drawn = sampleGuided(cond, second, { ...drawing, allowed });
        const seen = new Set<number>();
        for (let r = 0; r < rows; r++) {
          const row = (x: Float32Array) => x.subarray(r * vocab, (r + 1) * vocab);
          const guided = guide(row(cond), second && row(second), scale ?? 1);
          const masked = guided.map((z, v) => ((allowed[r]! >> v) & 1 ? z : -Infinity));
          const probability = drawDistribution(masked, options)[drawn.tokens[r]!]!;
          expect((allowed[r]! >> drawn.tokens[r]!) & 1).toBe(1);
          // A logit of up to 40 over the temperature, rounded to float32.
          expect(Math.abs(drawn.logProbs[r]! - Math.log(probability))).toBeLessThan(1e-5);
          seen.add(drawn.tokens[r]!);
        }
        expect(seen.size).toBe(vocab);
        // Draw for draw what the same call gives on logits with −∞ in place of masked tokens.
        expect(sampleGuided(without(cond, vocab, allowed), second, drawing)).toEqual(drawn);
      }
    }
  });

  it.each([31, 32, 33, 255, 256, 257, 700, 2048, 40_000])(
    'draws bit for bit as with −∞ in either branch, vocabulary %i',
    (vocab) => {
      const random = new Random(vocab);
      const rows = vocab > 3000 ? 2 : 9;
      const [cond, uncond] = [randomFloats(random, rows * vocab, 4), randomFloats(random, rows * vocab, 4)];
      for (const density of [0, 0.02, 0.5, 0.98, 1]) {
        for (const count of [1, rows]) {
          const allowed = randomMasks(random, count, vocab, density);
          for (const options of [...OPTIONS, { topK: 50 }]) {
            const drawing = { vocab, seed: 9, ...options };
            const expected = sampleGuided(without(cond, vocab, allowed), null, drawing);
            expect(sampleGuided(cond, null, { ...drawing, allowed })).toEqual(expected);
            const guided = sampleGuided(cond, uncond, { ...drawing, scale: 3, allowed });
            expect(sampleGuided(cond, without(uncond, vocab, allowed), { ...drawing, scale: 3 })).toEqual(guided);
          }
        }
      }
    },
  );

  it('takes 16-bit elements and Tensors, the mask of all rows as a Tensor of one dimension', async () => {
    const [rows, vocab] = [6, 75];
    const random = new Random(2);
    const [cond, uncond] = [randomFloats(random, rows * vocab, 4), randomFloats(random, rows * vocab, 4)];
    const each = randomMasks(random, rows, vocab, 0.3);
    const all = each.subarray(3, 6);
    const options = { scale: 2, seed: 8, topP: 0.9 };
    for (const [allowed, shape] of [
      [each, [rows, 3]],
      [all, [3]],
    ] as const) {
      const now = sampleGuided(cond, uncond, { ...options, vocab, allowed });
      const bits = Tensor.from(signed(allowed), shape);
      const [a, b] = [Tensor.from(cond, [rows, vocab]), Tensor.from(uncond, [rows, vocab])];
      const later = sampleGuided(a, b, { ...options, allowed: bits });
      expect(await later.tokens.read()).toEqual(now.tokens);
      expect(await later.logProbs.read()).toEqual(now.logProbs);
      const [halfA, halfB] = [bfloat16Bits(cond), bfloat16Bits(uncond)];
      const dtype = 'bf16' as const;
      const half = sampleGuided(halfA, halfB, { ...options, dtype, vocab, allowed });
      const holes = bfloat16Bits(without(cond, vocab, allowed));
      expect(half).toEqual(sampleGuided(holes, halfB, { ...options, dtype, vocab }));
    }
  });

  it('draws from the renormalised distribution', () => {
    const draws = 20_000;
    const row = randomFloats(new Random(6), 40, 2);
    const cond = Float32Array.from({ length: 40 * draws }, (_, i) => row[i % 40]!);
    const allowed = tokenMask([1, 5, 6, 17, 30, 31, 32, 33, 38], { vocab: 40 });
    for (const options of [{}, { temperature: 0.7, topK: 6 }, { topP: 0.8 }]) {
      const { tokens } = sampleGuided(cond, null, { vocab: 40, seed: 3, allowed, ...options });
      const counts = new Array<number>(40).fill(0);
      for (const token of tokens) counts[token]!++;
      const exact = drawDistribution(without(row, 40, allowed), options);
      expect(chiSquareP(counts, exact)).toBeGreaterThan(1e-4);
      expect(
        chiSquareP(
          counts,
          drawDistribution(row, options).map((p, v) => (exact[v] ? p : 0) + 1e-300),
        ),
      ).toBeLessThan(1e-4);
    }
  });

  it('draws the one token that is allowed, however unlikely, with log-probability 0', () => {
    const vocab = 67;
    const cond = randomFloats(new Random(1), vocab * vocab, 3).map((z, i) => (i % (vocab + 1) === 0 ? -80 : z));
    const allowed = new Uint32Array(3 * vocab);
    for (let r = 0; r < vocab; r++) allowed.set(tokenMask([r], { vocab }), 3 * r);
    for (const options of [...OPTIONS, { topK: 1 }, { topP: 1e-9 }]) {
      const { tokens, logProbs } = sampleGuided(cond, null, { vocab, seed: 1, allowed, ...options });
      expect(Array.from(tokens)).toEqual(Array.from({ length: vocab }, (_, r) => r));
      expect(logProbs.every((x) => x === 0)).toBe(true);
    }
  });

  it('changes nothing where everything is allowed', () => {
    for (const vocab of [5, 64, 300]) {
      const cond = randomFloats(new Random(vocab), 20 * vocab, 3);
      const allowed = new Uint32Array(wordsOf(vocab)).fill(0xffff_ffff);
      for (const options of OPTIONS) {
        const drawn = sampleGuided(cond, null, { vocab, seed: 2, allowed, ...options });
        const plain = sampleGuided(cond, null, { vocab, seed: 2, ...options });
        expect(drawn.tokens).toEqual(plain.tokens);
        expect(sameBits(drawn.logProbs, plain.logProbs)).toBe(true);
      }
    }
  });

  it('refuses a row of which nothing is left', async () => {
    const message = 'cond: expected at least one token with finite logits in row 1, got none';
    const cond = Float32Array.of(0, 1, 2, 3, -Infinity, 5);
    for (const allowed of [Uint32Array.of(1, 0xffff_fff8), Uint32Array.of(1, 2)]) {
      for (const options of OPTIONS) {
        expect(() => sampleGuided(cond, null, { vocab: 3, seed: 1, allowed, ...options })).toThrow(message);
      }
      const bits = Tensor.from(signed(allowed), [2, 1]);
      const later = sampleGuided(Tensor.from(cond, [2, 3]), null, { seed: 1, allowed: bits });
      await expect(later.tokens.read()).rejects.toThrow(message);
    }
  });

  it('refuses NaN, +∞ and overflow in tokens that are not allowed, as in others', () => {
    const base = { vocab: 3, seed: 1, allowed: Uint32Array.of(1) };
    expect(() => sampleGuided(Float32Array.of(0, Number.NaN, 0), null, base)).toThrow('at [0, 1], got NaN');
    expect(() => sampleGuided(Float32Array.of(0, 0, Infinity), null, base)).toThrow('at [0, 2], got Infinity');
    const far = { ...base, scale: 3 };
    expect(() => sampleGuided(Float32Array.of(0, 3e38, 0), Float32Array.of(0, -3e38, 0), far)).toThrow(
      'scale: expected guided logits within float32 at [0, 1], got Infinity',
    );
  });

  it('refuses masks of other types and sizes, at the binding, too', () => {
    const [rows, vocab] = [2, 33];
    const cond = new Float32Array(rows * vocab);
    const call = (allowed: Uint32Array) => sampleGuided(cond, null, { vocab, seed: 1, allowed });
    const tensor = (allowed: Tensor<'int32'>) =>
      sampleGuided(Tensor.from(cond, [rows, vocab]), null, { seed: 1, allowed });
    const binding = (allowed: unknown) =>
      native.sampleGuidedNow(
        ...([cond, null, 1, vocab, 1, undefined, undefined, 1, 0] as const),
        ...([new Int32Array(rows), new Float32Array(rows), 'float32', allowed as Uint32Array] as const),
      );
    const naming = (call: () => unknown, kind: new (...args: never[]) => Error) => {
      expect(call).toThrow(kind);
      expect(call).toThrow(/^allowed: /);
    };
    for (const length of [0, 1, 3, 5, 8]) {
      naming(() => call(new Uint32Array(length)), ShapeError);
      naming(() => binding(new Uint32Array(length)), ShapeError);
      naming(() => tensor(Tensor.from(new Int32Array(length), [length])), ShapeError);
    }
    expect(() => call(new Uint32Array(3))).toThrow(
      'allowed: expected [rows, words] = [2, 2] or [words] = [2], got 3 elements',
    );
    for (const shape of [[1, 2], [2, 1], [4], [2, 2, 1]]) {
      const size = shape.reduce((a, b) => a * b, 1);
      naming(() => tensor(Tensor.from(new Int32Array(size), shape)), ShapeError);
    }
    naming(() => tensor(Tensor.from(new Float32Array(2), [2]) as unknown as Tensor<'int32'>), DTypeError);
    for (const wrong of [new Int32Array(2), new Float32Array(2), [1, 1], 3, 'all', null]) {
      naming(() => call(wrong as unknown as Uint32Array), DTypeError);
      if (wrong !== null) naming(() => binding(wrong), DTypeError);
    }
    const moved = new Uint32Array(2);
    structuredClone(moved.buffer, { transfer: [moved.buffer] });
    naming(() => call(moved), ValueError);
    naming(() => binding(moved), ValueError);
  });

  it('refuses to write into its mask', () => {
    const words = new Uint32Array(6).fill(1);
    const call = (tokens: Int32Array, logProbs: Float32Array) =>
      native.sampleGuidedNow(
        ...([new Float32Array(8), null, 1, 4, 1, undefined, undefined, 1, 0] as const),
        ...([tokens, logProbs, 'float32', words.subarray(2, 4)] as const),
      );
    const at = (begin: number) => words.byteOffset + 4 * begin;
    expect(() => call(new Int32Array(words.buffer, at(1), 2), new Float32Array(2))).toThrow(
      /^allowed: .*tokens|^tokens: .*allowed/,
    );
    expect(() => call(new Int32Array(2), new Float32Array(words.buffer, at(2), 2))).toThrow(/logProbs/);
    call(new Int32Array(words.buffer, at(0), 2), new Float32Array(words.buffer, at(4), 2));
  });
});

describe('tokenMask', () => {
  it('has a bit for each of the tokens', () => {
    expect(tokenMask([0, 31, 32, 64, 64], { vocab: 65 })).toEqual(Uint32Array.of(0x8000_0001, 1, 1));
    expect(tokenMask(new Set([3]), { vocab: 4 })).toEqual(Uint32Array.of(8));
    expect(tokenMask([], { vocab: 32 })).toEqual(Uint32Array.of(0));
  });

  it('refuses what is no token', () => {
    for (const token of [-1, 5, 1.5, Number.NaN]) {
      expect(() => tokenMask([token], { vocab: 5 })).toThrow(`tokens: expected tokens below 5, got ${token}`);
    }
    expect(() => tokenMask([], { vocab: 0 })).toThrow(/^vocab: /);
  });
});
