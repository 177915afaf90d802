import { expect } from 'vitest';
import { judgeClaims } from '../lib/evaluation/claims.ts';
import { findFailureSigns } from '../lib/evaluation/failure-signs.ts';
import type { PointJudgement } from '../lib/evaluation/judgement.ts';
import type { Family, PointParameters } from '../lib/evaluation/types.ts';
import { Random } from '../lib/random.ts';

const PROMPTS = 129;

/** Values around a mean that they have exactly; `spread` is the standard deviation of one prompt's value. */
function around(mean: number, spread: number, random: Random): Float64Array {
  const noise = Float64Array.from({ length: PROMPTS }, () => (random.uniform() - 0.5) * Math.sqrt(12) * spread);
  const offset = noise.reduce((sum, value) => sum + value, 0) / PROMPTS;
  return noise.map((value) => mean + value - offset);
}

/** [quality, diversity, independent diversity]; the last follows diversity when left out. */
export type Means = [quality: number, diversity: number, independent?: number];

export class Scene {
  readonly judgements: PointJudgement[] = [];
  readonly #random = new Random(11);
  readonly #spread: number;

  // Differences of two points have a standard error of about spread · √(2 / 129) = spread / 8.
  constructor(spread = 0.08) {
    this.#spread = spread;
  }

  add(family: Family, parameters: PointParameters, [quality, diversity, independent = diversity * 0.6]: Means): this {
    const passesPerToken = family === 'guidance' ? 2 : 1;
    this.judgements.push({
      point: {
        name: [family, ...Object.entries(parameters).flat()].join(' '),
        family,
        parameters,
        quality,
        diversity,
        independentDiversity: independent,
        distinctValid: 4,
        passesPerToken,
        tokensPerSecond: 1000,
        interval: { quality: [quality, quality], diversity: [diversity, diversity] },
      },
      perPrompt: {
        quality: around(quality, this.#spread, this.#random),
        diversity: around(diversity, this.#spread, this.#random),
        independentDiversity: around(independent, this.#spread, this.#random),
      },
    });
    return this;
  }

  claim(letter: string) {
    const found = judgeClaims(this.judgements, { random: new Random(1), teacherScale: 2, resamples: 500 });
    expect(found.map(({ claim }) => claim.slice(0, 3))).toEqual(['(a)', '(b)', '(c)', '(d)', '(e)']);
    for (const { why, figures } of found) {
      expect(why).toMatch(/^[A-Z].*\.$/);
      expect(Object.values(figures).flat().every(Number.isFinite)).toBe(true);
    }
    return found.find(({ claim }) => claim.startsWith(`(${letter})`))!;
  }

  signs(kl: Float64Array = falling()) {
    return findFailureSigns(this.judgements, [{ beta: 0, kl }], {
      random: new Random(1),
      teacherScale: 2,
      resamples: 500,
    });
  }
}

export const BASE: Means = [0.33, 0.79];
export const GUIDED: Means = [0.61, 0.64];

/** The points that everything but merges needs, with some of them changed. */
export function scene(
  { base = BASE, guided = GUIDED, zero = [0.62, 0.63], five = [0.4, 0.78], spread = 0.08 } = {} as {
    base?: Means;
    guided?: Means;
    zero?: Means;
    five?: Means;
    spread?: number;
  },
): Scene {
  return new Scene(spread)
    .add('base', {}, base)
    .add('guidance', { scale: 1.5 }, [0.5, 0.7])
    .add('guidance', { scale: 2 }, guided)
    .add('guidance', { scale: 3 }, [0.5, 0.58])
    .add('distilled', { beta: 5 }, five)
    .add('distilled', { beta: 0 }, zero)
    .add('distilled', { beta: 0, temperature: 0.7 }, [0.9, 0.1])
    .add('nucleus', { topP: 0.8 }, [0.61, 0.71]);
}

export const falling = () => Float64Array.from({ length: 200 }, (_, step) => 1.2 * (1 - step / 220));
export const plateau = () => Float64Array.from({ length: 200 }, (_, step) => 0.9 + 0.3 * Math.exp(-step / 10));
