import type { Family, Point, PointParameters } from '../../evaluation/types.ts';

/** How each family is called, in the order in which families are listed. */
export const FAMILY_NAMES: Readonly<Record<Family, string>> = {
  base: 'Base model',
  guidance: 'CFG',
  temperature: 'Temperature',
  'top-k': 'Top-k',
  nucleus: 'Nucleus',
  distilled: 'Distilled',
  merged: 'Merged',
  'off-policy': 'Distilled off-policy',
};

/** The parameters that place a point in its family; any other is a strategy on top of a trained model. */
const OWN_PARAMETERS: Readonly<Record<Family, readonly (keyof PointParameters)[]>> = {
  base: [],
  guidance: ['scale'],
  temperature: ['temperature'],
  'top-k': ['topK'],
  nucleus: ['topP'],
  distilled: ['beta'],
  merged: ['beta', 'lambda'],
  'off-policy': ['beta'],
};

/** Whether a point has no sampling strategy on top of what its family stands for. */
export function isPlain(point: Point): boolean {
  return Object.keys(point.parameters).every((key) =>
    OWN_PARAMETERS[point.family].includes(key as keyof PointParameters),
  );
}

/** Points to be connected, in order; `points` are indices. */
export interface Sweep {
  family: Family;
  points: number[];
}

/** The models between a quality-focused and a diversity-focused one, by rising λ, both ends included where known. */
export interface MergePath {
  beta: number | null;
  stops: { lambda: number; point: number }[];
}

/** The families that occur, in the order of the list. */
export function familiesOf(points: readonly Point[]): { family: Family; name: string }[] {
  const present = new Set(points.map((point) => point.family));
  return (Object.keys(FAMILY_NAMES) as Family[])
    .filter((family) => present.has(family))
    .map((family) => ({ family, name: FAMILY_NAMES[family] }));
}

/** Plain points of one family, by a parameter's rising value. */
function sweep(points: readonly Point[], family: Family, key: keyof PointParameters): [value: number, index: number][] {
  return points
    .flatMap((point, index): [number, number][] => {
      const value = point.parameters[key];
      return point.family === family && isPlain(point) && value !== undefined ? [[value, index]] : [];
    })
    .sort((a, b) => a[0] - b[0]);
}

/** The connected lines of the figure: each strategy from the base on (which is where it does nothing), and the merges. */
export function sweepsOf(points: readonly Point[]): Sweep[] {
  const base = points.findIndex((point) => point.family === 'base');
  const strategies: [family: Family, key: keyof PointParameters, off: number][] = [
    ['guidance', 'scale', 1],
    ['temperature', 'temperature', 1],
    ['top-k', 'topK', Number.POSITIVE_INFINITY],
    ['nucleus', 'topP', 1],
  ];
  const sweeps = strategies.map(([family, key, off]): Sweep => {
    const values = sweep(points, family, key);
    if (base >= 0 && values.length > 0) values.push([off, base]);
    return { family, points: values.sort((a, b) => a[0] - b[0]).map(([, index]) => index) };
  });
  for (const family of ['distilled', 'off-policy'] as const) {
    sweeps.push({ family, points: sweep(points, family, 'beta').map(([, index]) => index) });
  }
  for (const path of mergePaths(points)) {
    sweeps.push({ family: 'merged', points: path.stops.map(({ point }) => point) });
  }
  return sweeps.filter((line) => line.points.length > 1);
}

/** One path for each diverse end: the merged points of that β, with the models of β = 0 and of β as λ = 0 and λ = 1. */
export function mergePaths(points: readonly Point[]): MergePath[] {
  const distilled = new Map(sweep(points, 'distilled', 'beta'));
  const paths = new Map<number | null, MergePath['stops']>();
  for (const [lambda, point] of sweep(points, 'merged', 'lambda')) {
    const beta = points[point]!.parameters.beta ?? null;
    const stops = paths.get(beta) ?? [];
    stops.push({ lambda, point });
    paths.set(beta, stops);
  }
  return [...paths].map(([beta, stops]) => {
    const ends = [distilled.get(0), beta === null ? undefined : distilled.get(beta)];
    ends.forEach((point, lambda) => {
      if (point !== undefined && stops.every((stop) => stop.lambda !== lambda)) stops.push({ lambda, point });
    });
    return { beta, stops: stops.sort((a, b) => a.lambda - b.lambda) };
  });
}

/** The base, the best guided point and the distilled models: what the merges are to be compared with. */
export function galleryRows(points: readonly Point[]): number[] {
  const base = points.findIndex((point) => point.family === 'base');
  const guided = best(points, (point) => (point.family === 'guidance' ? point.quality : Number.NaN));
  return [base, guided, ...sweep(points, 'distilled', 'beta').map(([, index]) => index)].filter((index) => index >= 0);
}

/** Index of the plain point with the highest score (NaN takes no part), or −1. */
export function best(points: readonly Point[], score: (point: Point) => number): number {
  let winner = -1;
  let highest = Number.NEGATIVE_INFINITY;
  points.forEach((point, index) => {
    const value = isPlain(point) ? score(point) : Number.NaN;
    if (value > highest) [winner, highest] = [index, value];
  });
  return winner;
}
