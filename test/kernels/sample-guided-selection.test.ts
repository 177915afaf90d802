// The selections of sampleGuided on rows that are hard for them: whole vocabularies, ties, spikes, order.
import { describe, expect, it } from 'vitest';
import { sampleGuided } from '../../lib/kernels/index.ts';
import { Random } from '../../lib/random.ts';
import { chiSquareP } from '../support/chi-square.ts';
import { randomFloats } from '../support/random-data.ts';

interface Cut {
  temperature?: number;
  topK?: number;
  topP?: number;
}

/** Tokens by falling logit, then rising token, as far as top-k allows, with their probabilities among themselves. */
function ranking(row: Float32Array, { temperature = 1, topK }: Cut) {
  const order = Array.from(row.keys()).filter((v) => row[v]! > -Infinity);
  order.sort((a, b) => row[b]! - row[a]! || a - b);
  const tokens = order.slice(0, topK);
  const best = row[tokens[0]!]!;
  const weights = tokens.map((v) => Math.exp((row[v]! - best) / temperature));
  const total = weights.reduce((a, b) => a + b, 0);
  return { tokens, probabilities: weights.map((w) => w / total) };
}

/** By how much a sum of float32 weights may be off, as a share: what guidance.h promises, and twice that. */
const SLACK = 2e-6;

/** Checks draws from one row against the exact distribution. */
function check(row: Float32Array, cut: Cut, draws = 4) {
  const { tokens, probabilities } = ranking(row, cut);
  const cond = new Float32Array(row.length * draws);
  for (let r = 0; r < draws; r++) cond.set(row, r * row.length);
  const drawn = sampleGuided(cond, null, { vocab: row.length, seed: 7, ...cut });
  const rank = new Map(tokens.map((token, i) => [token, i]));
  const topP = cut.topP ?? 1;
  // How many tokens top-p may keep, where rounding may decide, and the mass of so many.
  let [fewest, most, mass] = [0, 0, 0];
  const masses = probabilities.map((p) => {
    if (mass < topP - SLACK) fewest++;
    if (mass < topP + SLACK) most++;
    mass += p;
    return mass;
  });
  if (topP === 1) fewest = most = tokens.length;
  for (let r = 0; r < draws; r++) {
    const at = rank.get(drawn.tokens[r]!);
    expect(at).toBeDefined();
    expect(at).toBeLessThan(most);
    let nearest = Infinity;
    for (let n = Math.max(fewest, at! + 1); n <= most; n++) {
      nearest = Math.min(nearest, Math.abs(drawn.logProbs[r]! - Math.log(probabilities[at!]! / masses[n - 1]!)));
    }
    // The sum's error, and the rounding of a log-probability of up to 16.
    expect(nearest).toBeLessThan(SLACK + 1e-6);
  }
  return { drawn, kept: tokens.slice(0, most), probabilities };
}

const VOCABULARIES = [1, 7, 255, 256, 257, 2048, 131_072];

const ROWS: Record<string, (vocab: number) => Float32Array> = {
  normal: (vocab) => randomFloats(new Random(vocab), vocab, 2),
  'nearly flat': (vocab) => randomFloats(new Random(vocab), vocab, 1e-3),
  peaked: (vocab) => randomFloats(new Random(vocab), vocab, 9),
  'all equal': (vocab) => new Float32Array(vocab).fill(-3.25),
  descending: (vocab) => Float32Array.from({ length: vocab }, (_, v) => -v / 64),
  ascending: (vocab) => Float32Array.from({ length: vocab }, (_, v) => v / 64),
  steps: (vocab) => Float32Array.from({ length: vocab }, (_, v) => (v * 7919) % 5),
  'one spike, last': (vocab) => new Float32Array(vocab).fill(0).with(vocab - 1, 30),
  'one low, first': (vocab) => new Float32Array(vocab).fill(0).with(0, -30),
  subnormal: (vocab) => Float32Array.from({ length: vocab }, (_, v) => ((v * 31) % 17) * 1e-44),
  'zeros of both signs': (vocab) => Float32Array.from({ length: vocab }, (_, v) => (v % 3 ? -0 : 0)),
  'mostly −∞': (vocab) =>
    randomFloats(new Random(vocab), vocab, 2).map((z, v) => (v % 97 === vocab % 97 || v === vocab - 1 ? z : -Infinity)),
  // The first thresholds come from a sample of every so many vectors: here it sees nothing of the rest, or more of it.
  'little in the sample': (vocab) =>
    randomFloats(new Random(vocab), vocab, 2).map((z, v) => (v % 64 < 16 ? z - 20 : z)),
  'much in the sample': (vocab) => randomFloats(new Random(vocab), vocab, 2).map((z, v) => (v % 64 < 16 ? z + 6 : z)),
  'far from 0': (vocab) => randomFloats(new Random(vocab), vocab, 4).map((z) => z + 3000),
};

const CUTS: Record<string, Cut> = {
  plain: { temperature: 0.9 },
  'top-k 50': { topK: 50 },
  'top-k 1': { topK: 1 },
  'top-k 1000': { topK: 1000, temperature: 1.3 },
  'top-p 0.9': { topP: 0.9 },
  'tiny top-p': { topP: 1e-9 },
  'top-p 1 − 1e-7': { topP: 1 - 1e-7 },
  'top-p 0.5, hot': { topP: 0.5, temperature: 1e6 },
  'top-k 300, top-p 0.7': { topK: 300, topP: 0.7 },
};

describe('sampleGuided draws from the exact set with exact probabilities', () => {
  for (const [name, make] of Object.entries(ROWS)) {
    it.each(Object.entries(CUTS))(`${name}: %s`, (_, cut) => {
      for (const vocab of VOCABULARIES) check(make(vocab), cut);
    });
  }
});

describe('sampleGuided keeps the lower tokens of ties', () => {
  const draws = 600;
  it.each([600, 131_072])('top-k in a tie that goes on over blocks, vocabulary %i', (vocab) => {
    // 7 at the top, spread out, then all others alike: 43 of these are left.
    const row = new Float32Array(vocab).fill(0.5);
    for (let v = 0; v < 7; v++) row[v * 80 + 79] = 1;
    const { drawn, kept, probabilities } = check(row, { topK: 50 }, draws);
    expect(kept).toHaveLength(50);
    const counts = kept.map((token) => drawn.tokens.filter((t) => t === token).length);
    expect(counts.reduce((a, b) => a + b, 0)).toBe(draws);
    expect(chiSquareP(counts, probabilities)).toBeGreaterThan(1e-4);
  });

  it('top-p among equal logits', () => {
    const { drawn } = check(new Float32Array(4096).fill(2), { topP: 100 / 4096 }, draws);
    expect(Math.max(...drawn.tokens)).toBe(99);
    expect(new Set(drawn.tokens).size).toBeGreaterThan(90);
  });

  it('top-p among logits that differ by less than their weights can show', () => {
    // At this temperature every weight is 1; the larger logits go first all the same.
    const row = Float32Array.from({ length: 1000 }, (_, v) => v % 10);
    const { drawn } = check(row, { topP: 0.1, temperature: 1e12 }, draws);
    for (const token of drawn.tokens) expect(token % 10).toBe(9);
    expect(new Set(drawn.tokens).size).toBe(new Set(drawn.tokens.filter((t) => t % 10 === 9)).size);
  });
});

describe('the error of sums over 131,072 tokens', () => {
  it.each([
    ['equal', new Float32Array(131_072)],
    ['normal', randomFloats(new Random(3), 131_072, 1)],
    ['growing', Float32Array.from({ length: 131_072 }, (_, v) => v / 131_072)],
  ])('is below 1e-6 of the sum: %s logits', (_, row) => {
    // A log-probability is a logit less the logarithm of the sum.
    const { logProbs, tokens } = sampleGuided(row, null, { vocab: row.length, seed: 3 });
    const best = row.reduce((a, b) => Math.max(a, b));
    const sum = row.reduce((total, z) => total + Math.exp(z - best), 0);
    const exact = row[tokens[0]!]! - best - Math.log(sum);
    expect(Math.abs(logProbs[0]! - Math.fround(exact))).toBeLessThanOrEqual(1e-6);
  });
});
