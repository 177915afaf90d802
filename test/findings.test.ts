import { compareRollouts, findings, hypervolumes, mergePathCurves, Random } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { judgeClaims } from '../lib/evaluation/claims.ts';
import { findFailureSigns } from '../lib/evaluation/failure-signs.ts';
import { falling, type Scene, scene } from './claims-scene.ts';

const options = () => ({ random: new Random(7), teacherScale: 2 });
const curves = [{ beta: 0, kl: falling() }];
const merged = (points = scene()) => points.add('merged', { beta: 5, lambda: 0.5 }, [0.51, 0.705]);

describe('findings', () => {
  it('are those of each alone, and the same again with the same seed', () => {
    const { judgements } = merged().add('off-policy', { beta: 0 }, [0.58, 0.65]);
    const found = findings(judgements, curves, options());
    expect(found).toEqual({
      claims: judgeClaims(judgements, options()),
      failureSigns: findFailureSigns(judgements, curves, options()),
      hypervolumes: hypervolumes(judgements, options()),
      mergePaths: mergePathCurves(judgements, options()),
      ...compareRollouts(judgements, options()),
    });
    expect(JSON.parse(JSON.stringify(found))).toEqual(found);
  });

  it('of claims and signs are the same whatever was distilled off-policy', () => {
    const without = findings(merged().judgements, curves, options());
    const beside = merged()
      .add('off-policy', { beta: 0 }, [0.99, 0.99])
      .add('off-policy', { beta: 5 }, [0.01, 0.01])
      .add('off-policy', { beta: 0, topP: 0.9 }, [0.9, 0.9]);
    const { claims, failureSigns, mergePaths } = findings(beside.judgements, curves, options());
    expect({ claims, failureSigns, mergePaths }).toEqual({
      claims: without.claims,
      failureSigns: without.failureSigns,
      mergePaths: without.mergePaths,
    });
  });

  it('do not depend on the unit of quality, nor on its zero', () => {
    // Sampling in tenths from −0.5: a cosine may be below 0, and small.
    const rescaled = (points: Scene) => {
      for (const { point, perPrompt } of points.judgements) {
        point.quality = point.quality / 8 - 0.5;
        perPrompt.quality = perPrompt.quality.map((value) => value / 8 - 0.5);
      }
      return points;
    };
    const cases = [
      () => merged(),
      () => scene({ zero: [0.55, 0.63] }).add('merged', { beta: 5, lambda: 0.5 }, [0.3, 0.7]),
      () => scene({ zero: [0.4, 0.63], five: [0.6, 0.6] }),
    ];
    for (const make of cases) {
      const plain = findings(make().judgements, curves, { ...options(), margin: 0.04 });
      const other = findings(rescaled(make()).judgements, curves, { ...options(), margin: 0.005 });
      expect(other.claims.map(({ holds }) => holds)).toEqual(plain.claims.map(({ holds }) => holds));
      expect(other.failureSigns.map(({ seen }) => seen)).toEqual(plain.failureSigns.map(({ seen }) => seen));
      expect(other.mergePaths.map(({ barrier }) => barrier.seen)).toEqual(
        plain.mergePaths.map(({ barrier }) => barrier.seen),
      );
      for (const { why } of other.claims) expect(why).not.toMatch(/NaN|Infinity|undefined/);
    }
  });
});

describe('compareRollouts', () => {
  it('pairs the student’s point with the teacher’s at equal β, and says how they differ', () => {
    const { judgements } = scene()
      .add('off-policy', { beta: 0, topP: 0.9 }, [0.9, 0.2])
      .add('off-policy', { beta: 0 }, [0.5, 0.7])
      .add('off-policy', { beta: 3 }, [0.1, 0.1]);
    const { rollouts, notes } = compareRollouts(judgements, options());
    expect(rollouts).toEqual([
      { source: 'student', point: 'distilled beta 0' },
      { source: 'teacher', point: 'off-policy beta 0' },
    ]);
    expect(notes).toHaveLength(1);
    expect(notes[0]).toMatch(
      /β = 0: quality changes by −0\.120 \[−0\.1\d+, −0\.\d+\] and diversity by \+0\.070 \[\+0\.0/,
    );
  });

  it('of none is none', () => {
    expect(compareRollouts(scene().judgements, options())).toEqual({ rollouts: [], notes: [] });
  });
});
