import { mergePathCurves, Random } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { Scene, scene } from './claims-scene.ts';

const curves = ({ judgements }: Scene) => mergePathCurves(judgements, { random: new Random(1), resamples: 500 });

describe('mergePathCurves', () => {
  it('runs from β = 0 to the diverse end by rising λ, with the points’ own intervals', () => {
    const points = scene()
      .add('merged', { beta: 5, lambda: 0.75 }, [0.47, 0.74])
      .add('merged', { beta: 5, lambda: 0.25 }, [0.58, 0.66])
      .add('merged', { beta: 5, lambda: 0.25, topP: 0.9 }, [0.9, 0.1])
      .add('merged', { beta: 5, lambda: 1.5 }, [0.1, 0.9])
      .add('merged', {}, [0.1, 0.1]);
    const [curve, ...more] = curves(points);
    expect(more).toEqual([]);
    const close = (actual: readonly number[], expected: readonly number[]) => {
      expect(actual.length).toBe(expected.length);
      expected.forEach((value, i) => {
        expect(actual[i]).toBeCloseTo(value, 10);
      });
    };
    expect(curve).toMatchObject({ beta: 5, lambda: [0, 0.25, 0.75, 1] });
    close(curve!.quality, [0.62, 0.58, 0.47, 0.4]);
    close(curve!.diversity, [0.63, 0.66, 0.74, 0.78]);
    expect(curve!.interval.quality).toEqual([0.62, 0.58, 0.47, 0.4].map((value) => [value, value]));
    expect(curve!.interval.diversity).toEqual([0.63, 0.66, 0.74, 0.78].map((value) => [value, value]));
    // The lowest merge is better than the lower end.
    expect(curve!.barrier).toMatchObject({ seen: false, lambda: 0.75 });
    expect(curve!.barrier.depth).toBeCloseTo(-0.07, 10);
    expect(curve!.barrier.interval[0]).toBeLessThan(-0.07);
    expect(curve!.barrier.interval[1]).toBeGreaterThan(-0.07);
  });

  it('sees a barrier where the failure sign does, and says how deep it is', () => {
    const depths: [quality: number, seen: boolean][] = [
      [0.3, true],
      [0.395, false],
      [0.45, false],
    ];
    for (const [quality, seen] of depths) {
      const points = scene()
        .add('merged', { beta: 5, lambda: 0.5 }, [quality, 0.7])
        .add('merged', { beta: 5, lambda: 0.25 }, [0.55, 0.66]);
      const [{ barrier }] = curves(points) as [ReturnType<typeof curves>[number]];
      expect(barrier.seen).toBe(seen);
      expect(points.signs()[2]!.seen).toBe(seen);
      expect(barrier.lambda).toBe(0.5);
      expect(barrier.depth).toBeCloseTo(0.4 - quality, 10);
      expect(barrier.interval[0]).toBeLessThanOrEqual(barrier.depth);
      expect(barrier.interval[1]).toBeGreaterThanOrEqual(barrier.depth);
      if (seen) expect(barrier.interval[0]).toBeGreaterThan(0);
    }
  });

  it('measures depth from whichever end is lower, also below 0', () => {
    const points = new Scene()
      .add('distilled', { beta: 0 }, [-0.3, 0.6])
      .add('distilled', { beta: 2 }, [0.1, 0.8])
      .add('merged', { beta: 2, lambda: 0.5 }, [-0.5, 0.7]);
    const [{ barrier }] = curves(points) as [ReturnType<typeof curves>[number]];
    expect(barrier).toMatchObject({ seen: true, lambda: 0.5 });
    expect(barrier.depth).toBeCloseTo(0.2, 10);
  });

  it('has a curve for each diverse end that was judged, and none without ends or merges', () => {
    const points = scene()
      .add('distilled', { beta: 2 }, [0.5, 0.7])
      .add('merged', { beta: 5, lambda: 0.5 }, [0.5, 0.7])
      .add('merged', { beta: 2, lambda: 0.5 }, [0.55, 0.66])
      .add('merged', { beta: 9, lambda: 0.5 }, [0.2, 0.9]);
    expect(curves(points).map(({ beta }) => beta)).toEqual([2, 5]);
    expect(curves(scene())).toEqual([]);
    expect(curves(new Scene().add('merged', { beta: 5, lambda: 0.5 }, [0.5, 0.7]))).toEqual([]);
  });
});
