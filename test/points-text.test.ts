import type { Hypervolume, MergePathCurve, Point } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { hypervolumesTable, measuresTable, mergePathsText, pointsTable } from '../lib/cli/points.ts';

const point = (more: Partial<Point>): Point => ({
  name: 'base',
  family: 'base',
  parameters: {},
  quality: -0.0504,
  diversity: 0.7,
  independentDiversity: 0.5,
  distinctValid: 4,
  passesPerToken: 1,
  tokensPerSecond: 0,
  interval: { quality: [-0.1, -0.0001], diversity: [0.6, 0.8] },
  ...more,
});

/** The cells of a printed table's rows. */
function cells(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('│'))
    .map((line) =>
      line
        .split('│')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

describe('the points as text', () => {
  it('shows a quality below 0 with its sign, and none before zero', () => {
    expect(cells(pointsTable([point({})])).at(-1)).toEqual([
      'base',
      'base',
      '−0.050 [−0.100, 0.000]',
      '0.700 [0.600, 0.800]',
      '0.500',
      '4.00',
      '1',
      '–',
    ]);
  });

  it('has a table of further measures only where there are some', () => {
    expect(measuresTable([point({})])).toBeNull();
    const points = [point({ measures: { fullBars: 0.5, length: 72 } }), point({ name: 'other' })];
    expect(cells(measuresTable(points)!)).toEqual([
      ['name', 'fullBars', 'length'],
      ['base', '0.500', '72.000'],
      ['other', '–', '–'],
    ]);
  });

  it('tells hypervolumes with their intervals', () => {
    const hypervolumes: Hypervolume[] = [
      { family: 'top-k', value: 0.38, interval: [0.35, 0.41], points: 3 },
      { family: 'all', value: 0.5, interval: [0.45, 0.55], points: 12 },
    ];
    expect(cells(hypervolumesTable(hypervolumes))).toEqual([
      ['family', 'points', 'hypervolume [95 %]'],
      ['top-k', '3', '0.380 [0.350, 0.410]'],
      ['all', '12', '0.500 [0.450, 0.550]'],
    ]);
  });

  it('tells a merge path by λ, and its barrier', () => {
    const path: MergePathCurve = {
      beta: 5,
      lambda: [0, 0.5, 1],
      quality: [0.6, 0.3, 0.4],
      diversity: [0.6, 0.7, 0.8],
      interval: {
        quality: [
          [0.5, 0.7],
          [0.2, 0.4],
          [0.3, 0.5],
        ],
        diversity: [
          [0.5, 0.7],
          [0.6, 0.8],
          [0.7, 0.9],
        ],
      },
      barrier: { seen: true, lambda: 0.5, depth: 0.1, interval: [0.05, 0.15] },
    };
    const text = mergePathsText([path, { ...path, beta: 2, barrier: { ...path.barrier, seen: false, depth: -0.1 } }]);
    expect(cells(text).slice(0, 4)).toEqual([
      ['λ', 'quality [95 %]', 'diversity [95 %]'],
      ['0', '0.600 [0.500, 0.700]', '0.600 [0.500, 0.700]'],
      ['0.5', '0.300 [0.200, 0.400]', '0.700 [0.600, 0.800]'],
      ['1', '0.400 [0.300, 0.500]', '0.800 [0.700, 0.900]'],
    ]);
    expect(text).toContain('From β = 0 (λ = 0) to β = 5 (λ = 1)');
    expect(text).toContain(
      'Barrier: seen; the lower end’s quality is 0.100 [0.050, 0.150] above the lowest merge’s (λ = 0.5).',
    );
    expect(text).toContain('Barrier: not seen; the lower end’s quality is −0.100');
  });
});
