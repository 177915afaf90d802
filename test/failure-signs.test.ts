import { describe, expect, it } from 'vitest';
import { ShapeError, ValueError } from '../lib/errors.ts';
import { judgeClaims } from '../lib/evaluation/claims.ts';
import { findFailureSigns, lastQuarter } from '../lib/evaluation/failure-signs.ts';
import { Random } from '../lib/random.ts';
import { BASE, falling, type Means, plateau, Scene, scene } from './claims-scene.ts';

describe('failure signs', () => {
  it('sees none where there is none, and says what it checked', () => {
    const signs = scene().add('merged', { beta: 5, lambda: 0.5 }, [0.51, 0.705]).signs();
    expect(signs.map(({ seen }) => seen)).toEqual([false, false, false]);
    expect(signs.map(({ figures }) => figures.checked)).toEqual([1, 1, 1]);
  });

  it('sees a KL that plateaus only while quality stays below guidance', () => {
    const low = { zero: [0.4, 0.63] as Means };
    expect(scene(low).signs(plateau())[0]!.seen).toBe(true);
    expect(scene(low).signs(falling())[0]!.seen).toBe(false);
    expect(scene().signs(plateau())[0]!.seen).toBe(false);
    expect(scene(low).signs(plateau().map((kl, step) => kl + step / 100))[0]!.seen).toBe(true);
  });

  it('sees rewarded diversity that rises without the independent one', () => {
    expect(scene({ zero: [0.62, 0.63, 0.4], five: [0.4, 0.78, 0.4] }).signs()[1]!.seen).toBe(true);
    expect(scene({ zero: [0.62, 0.63, 0.4], five: [0.4, 0.78, 0.3] }).signs()[1]!.seen).toBe(true);
    expect(scene({ zero: [0.62, 0.63, 0.4], five: [0.4, 0.63, 0.4] }).signs()[1]!.seen).toBe(false);
  });

  it('sees a barrier only where quality is below both ends', () => {
    const barrier = scene().add('merged', { beta: 5, lambda: 0.5 }, [0.3, 0.7]).signs()[2]!;
    expect(barrier.seen).toBe(true);
    expect((barrier.figures.aboveLowerEnd as number[])[0]).toBeCloseTo(-0.1, 10);
    expect(scene().add('merged', { beta: 5, lambda: 0.5 }, [0.45, 0.7]).signs()[2]!.seen).toBe(false);
    expect(scene().add('merged', { beta: 5, lambda: 0.5 }, [0.395, 0.7]).signs()[2]!.seen).toBe(false);
  });

  it('says when it could not look', () => {
    const options = { random: new Random(1), teacherScale: 2 };
    const signs = findFailureSigns(new Scene().add('base', {}, BASE).judgements, [], options);
    expect(signs.map(({ seen, figures }) => [seen, figures.checked])).toEqual(Array(3).fill([false, 0]));
  });

  it('measures how a curve ends', () => {
    const { start, end, fall } = lastQuarter(Float64Array.from({ length: 100 }, (_, step) => 2 - step / 100));
    expect(start).toBeCloseTo(1.98, 10);
    expect(end).toBeCloseTo(1.13, 10);
    expect(fall).toBeCloseTo(0.24 / 1.98, 10);
    expect(() => lastQuarter(new Float64Array(10).fill(Number.NaN))).toThrow(ValueError);
  });
});

describe('what points are refused', () => {
  it('refuses points judged on different prompts, none at all, and a bad margin', () => {
    const options = { random: new Random(1), teacherScale: 2 };
    const { judgements } = scene();
    expect(() => judgeClaims([], options)).toThrow(ValueError);
    expect(() => judgeClaims(judgements, { ...options, margin: -1 })).toThrow(/margin/);
    judgements[1]!.perPrompt.diversity = new Float64Array(5);
    expect(() => judgeClaims(judgements, options)).toThrow(ShapeError);
  });
});
