import { describe, expect, it } from 'vitest';
import { judgeClaims } from '../lib/evaluation/claims.ts';
import { attainableQuality } from '../lib/evaluation/sweep.ts';
import { Random } from '../lib/random.ts';
import { BASE, GUIDED, type Means, Scene, scene } from './claims-scene.ts';

describe('(a) β = 0 has the quality of guidance', () => {
  it('holds when the difference is small and not shown', () => {
    const { holds, figures, why } = scene().claim('a');
    expect(holds).toBe(true);
    expect(figures).toMatchObject({ scale: 2, margin: 0.03, distilledPasses: 1, guidedPasses: 2 });
    expect(figures.difference).toBeCloseTo(0.01, 10);
    expect(why).toContain('rules out a loss of more than 0.03');
  });

  it('holds when β = 0 is better', () => {
    expect(scene({ zero: [0.75, 0.6] }).claim('a').holds).toBe(true);
  });

  it('holds when a loss is shown but lies wholly within the margin', () => {
    const { holds, why } = scene({ zero: [0.6, 0.63], spread: 0.02 }).claim('a');
    expect(holds).toBe(true);
    expect(why).toContain('by its whole interval');
  });

  it('fails when the loss exceeds the margin, also where noise would hide it', () => {
    const { holds, why } = scene({ zero: [0.55, 0.63] }).claim('a');
    expect(holds).toBe(false);
    expect(why).toContain('−0.060');
    expect(scene({ zero: [0.55, 0.63], spread: 0.6 }).claim('a').holds).toBe(false);
  });

  it('fails when a loss is shown and might exceed the margin', () => {
    const { holds, why } = scene({ zero: [0.585, 0.63] }).claim('a');
    expect(holds).toBe(false);
    expect(why).toContain('shown to be lower');
  });

  it('fails when the model needs more than one pass', () => {
    const points = scene();
    points.judgements.find(({ point }) => point.name === 'distilled beta 0')!.point.passesPerToken = 2;
    const { holds, why } = points.claim('a');
    expect(holds).toBe(false);
    expect(why).toContain('2 passes per token');
  });

  it('is not tested without β = 0, or without guidance at the teacher’s scale', () => {
    const noStudent = new Scene().add('guidance', { scale: 2 }, GUIDED).claim('a');
    expect(noStudent).toMatchObject({ holds: false, figures: {} });
    expect(noStudent.why).toBe('Not tested: no model distilled with β = 0 was judged.');
    const noTeacher = new Scene()
      .add('guidance', { scale: 3 }, GUIDED)
      .add('distilled', { beta: 0 }, GUIDED)
      .claim('a');
    expect(noTeacher.why).toBe('Not tested: guidance at the teacher’s scale γ = 2 was not judged.');
  });
});

describe('(b) guidance and β = 0 are less diverse', () => {
  it('holds when both losses are shown', () => {
    expect(scene().claim('b').holds).toBe(true);
  });

  it('fails for either alone, and names it', () => {
    const student = scene({ zero: [0.62, 0.785] }).claim('b');
    expect(student.holds).toBe(false);
    expect(student.why).toContain('For β = 0 a loss of diversity is not shown.');
    expect(scene({ guided: [0.61, 0.785] }).claim('b').why).toContain('For guidance a loss');
    expect(scene({ guided: [0.61, 0.85], zero: [0.6, 0.9] }).claim('b').why).toContain('For guidance and β = 0 a loss');
  });

  it('is not tested without the base', () => {
    const without = new Scene().add('guidance', { scale: 2 }, GUIDED).add('distilled', { beta: 0 }, GUIDED);
    expect(without.claim('b').why).toBe('Not tested: the base was not judged.');
  });
});

describe('(c) larger β is more diverse, at a cost', () => {
  it('holds when both are shown, over any number of β in any order', () => {
    const { holds, figures } = scene().add('distilled', { beta: 2 }, [0.5, 0.7]).claim('c');
    expect(holds).toBe(true);
    expect(figures.beta).toEqual([0, 2, 5]);
  });

  it('fails when diversity does not rise, or when there is no cost', () => {
    expect(scene({ five: [0.4, 0.64] }).claim('c').why).toContain('a gain in diversity is not shown');
    const free = scene({ five: [0.62, 0.78] }).claim('c');
    expect(free.holds).toBe(false);
    expect(free.why).toContain('a cost in quality is not shown');
  });

  it('fails when a step between neighbours is shown to go the other way', () => {
    const { holds, why } = scene().add('distilled', { beta: 2 }, [0.3, 0.85]).claim('c');
    expect(holds).toBe(false);
    expect(why).toContain('diversity falls from β = 2 to 5 and quality rises from β = 2 to 5');
  });

  it('is not tested with one β', () => {
    const { holds, why } = new Scene().add('base', {}, BASE).add('distilled', { beta: 0 }, GUIDED).claim('c');
    expect(holds).toBe(false);
    expect(why).toContain('fewer than two values of β');
  });
});

describe('(d) merges lie on or above the line', () => {
  // At diversity 0.705 the line between the ends [0.62, 0.63] and [0.4, 0.78] has quality 0.51.
  it('holds on the line and above it', () => {
    const { holds, figures } = scene()
      .add('merged', { beta: 5, lambda: 0.5 }, [0.51, 0.705])
      .add('merged', { beta: 5, lambda: 0.25 }, [0.7, 0.66])
      .claim('d');
    expect(holds).toBe(true);
    expect(figures.lambda).toEqual([0.25, 0.5]);
    expect((figures.height as number[])[1]).toBeCloseTo(0, 10);
    expect((figures.low as number[])[0]).toBeGreaterThan(0);
  });

  it('fails when one merge is shown below, and names it', () => {
    const { holds, why } = scene()
      .add('merged', { beta: 5, lambda: 0.25 }, [0.7, 0.66])
      .add('merged', { beta: 5, lambda: 0.5 }, [0.45, 0.705])
      .claim('d');
    expect(holds).toBe(false);
    expect(why).toMatch(/Shown to lie below it: −0\.060 \[.*\] \(β = 5, λ = 0\.5\)\.$/);
  });

  it('goes straight on beyond an end: less diverse than the quality end must be better than it', () => {
    expect(scene().add('merged', { beta: 5, lambda: 0.1 }, [0.62, 0.55]).claim('d').holds).toBe(false);
    expect(scene().add('merged', { beta: 5, lambda: 0.9 }, [0.38, 0.8]).claim('d').holds).toBe(true);
  });

  it('leaves out the ends themselves and merges with a strategy on top', () => {
    const points = scene()
      .add('merged', { beta: 5, lambda: 0 }, [0.1, 0.63])
      .add('merged', { beta: 5, lambda: 1 }, [0.1, 0.78])
      .add('merged', { beta: 5, lambda: 0.5, topP: 0.9 }, [0.1, 0.7]);
    expect(points.claim('d').why).toBe('Not tested: no merge strictly between two ends was judged.');
    expect(points.add('merged', { beta: 5, lambda: 0.5 }, [0.52, 0.705]).claim('d').holds).toBe(true);
  });

  it('is not tested without an end, or between ends that do not differ in diversity', () => {
    expect(scene().add('merged', { beta: 9, lambda: 0.5 }, [0.5, 0.7]).claim('d').why).toContain(
      'an end was not judged',
    );
    const level = scene({ five: [0.4, 0.632] })
      .add('merged', { beta: 5, lambda: 0.5 }, [0.5, 0.63])
      .claim('d');
    expect(level.holds).toBe(false);
    expect(level.why).toContain('not shown to differ in diversity');
  });
});

describe('attainableQuality', () => {
  const curve = [
    { diversity: 0.8, quality: 0.3 },
    { diversity: 0.6, quality: 0.7 },
    { diversity: 0.5, quality: 0.4 },
  ];

  it('interpolates, and never falls below what more diversity offers', () => {
    expect(attainableQuality(curve, 0.7)).toBeCloseTo(0.5, 12);
    expect(attainableQuality(curve, 0.8)).toBeCloseTo(0.3, 12);
    expect(attainableQuality(curve, 0.6)).toBeCloseTo(0.7, 12);
    expect(attainableQuality(curve, 0.55)).toBeCloseTo(0.7, 12);
    expect(attainableQuality(curve, 0.1)).toBeCloseTo(0.7, 12);
  });

  it('stands at the most diverse node beyond it, whatever the order', () => {
    expect(attainableQuality(curve, 0.9)).toBe(0.3);
    expect(attainableQuality([...curve].reverse(), 0.9)).toBe(0.3);
    expect(attainableQuality([curve[1]!], 0.9)).toBe(0.7);
  });

  it('takes the better branch of a curve that turns back', () => {
    const turning = [
      { diversity: 0.5, quality: 0.1 },
      { diversity: 0.8, quality: 0.4 },
      { diversity: 0.5, quality: 0.9 },
    ];
    expect(attainableQuality(turning, 0.65)).toBeCloseTo(0.65, 12);
  });
});

describe('(e) the trained front lies above the sweep', () => {
  it('holds when it is above somewhere and nowhere below', () => {
    const { holds, figures, why } = scene().add('merged', { beta: 5, lambda: 0.5 }, [0.62, 0.705]).claim('e');
    expect(holds).toBe(true);
    expect(why).toContain('shown to lie above the sweep');
    expect(why).toContain('Passes per token: 1 trained, 2 under guidance.');
    expect((figures.low as number[]).length).toBe((figures.diversity as number[]).length);
  });

  it('fails when level everywhere, and says so', () => {
    const { holds, why } = scene({ zero: [0.61, 0.64], five: [0.35, 0.78] }).claim('e');
    expect(holds).toBe(false);
    expect(why).toContain('nowhere shown to lie below the sweep, but nowhere above it either');
  });

  it('fails when above in one place and below in another', () => {
    const mixed = new Scene()
      .add('base', {}, BASE)
      .add('guidance', { scale: 1.5 }, [0.6, 0.7])
      .add('guidance', { scale: 2 }, [0.8, 0.6])
      .add('distilled', { beta: 0 }, [0.6, 0.6])
      .add('distilled', { beta: 5 }, [0.55, 0.77])
      .claim('e');
    expect(mixed.holds).toBe(false);
    expect(mixed.why).toMatch(/shown to lie below the sweep: .* It lies above it elsewhere: /);
  });

  it('fails when the sweep reaches a quality at low diversity that no trained model has', () => {
    const { holds } = new Scene()
      .add('base', {}, BASE)
      .add('guidance', { scale: 2 }, GUIDED)
      .add('guidance', { scale: 3 }, [0.9, 0.4])
      .add('distilled', { beta: 0 }, [0.7, 0.64])
      .claim('e');
    expect(holds).toBe(false);
  });

  it('does not count as above what a more diverse guidance point beats', () => {
    // At diversity 0.56 the sweep itself has fallen to about 0.5, but γ = 2 offers 0.61 at 0.64.
    expect(scene({ zero: [0.58, 0.56], five: [0.36, 0.77] }).claim('e').holds).toBe(false);
  });

  it('ignores strategies on top of trained models', () => {
    const level = { zero: [0.61, 0.64], five: [0.35, 0.78] } as { zero: Means; five: Means };
    expect(scene(level).add('distilled', { beta: 5, topP: 0.8 }, [0.9, 0.7]).claim('e').holds).toBe(false);
  });

  it('rarely holds by chance when everything lies on the sweep', () => {
    let held = 0;
    for (let seed = 0; seed < 60; seed++) {
      const random = new Random(1000 + seed);
      const level = new Scene();
      level
        .add('base', {}, [0.3, 0.8])
        .add('guidance', { scale: 1.5 }, [0.45, 0.7])
        .add('guidance', { scale: 2 }, [0.6, 0.6]);
      level.add('distilled', { beta: 0 }, [0.6, 0.6]).add('distilled', { beta: 5 }, [0.36, 0.76]);
      level.add('merged', { beta: 5, lambda: 0.3 }, [0.525, 0.65]).add('merged', { beta: 5, lambda: 0.6 }, [0.45, 0.7]);
      for (const { perPrompt } of level.judgements) {
        for (const values of Object.values(perPrompt)) {
          values.forEach((value, prompt) => {
            values[prompt] = value + (random.uniform() - 0.5) * 0.3;
          });
        }
      }
      const claims = judgeClaims(level.judgements, { random, teacherScale: 2, resamples: 500 });
      if (claims[4]!.holds) held++;
    }
    // By design at most about 1 time in 20.
    expect(held).toBeLessThanOrEqual(5);
  });

  it('is not tested without base, sweep or trained models', () => {
    const trained = () => new Scene().add('distilled', { beta: 0 }, GUIDED);
    expect(trained().claim('e').why).toBe('Not tested: the base was not judged.');
    expect(trained().add('base', {}, BASE).claim('e').why).toBe('Not tested: no guidance scale was judged.');
    const untrained = new Scene().add('base', {}, BASE).add('guidance', { scale: 2 }, GUIDED);
    expect(untrained.claim('e').why).toBe('Not tested: no distilled or merged model was judged.');
  });
});
