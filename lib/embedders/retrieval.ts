import { ShapeError, ValueError } from '../errors.ts';

/**
 * Retrieval@1: the share of queries whose nearest candidate by cosine is their own. Ties count as misses. Candidates that
 * are no query's own are distractors.
 *
 * @param queries [n, dimensions]
 * @param candidates [m, dimensions]
 * @param own each query's candidate, [n]; several may have the same. Default: the one of the query's index, so that m ≥ n
 * @throws ShapeError for lengths that are no such matrices, ValueError for an own candidate that is none
 */
export function retrievalAt1(
  queries: Float32Array,
  candidates: Float32Array,
  dimensions: number,
  own?: ArrayLike<number>,
): number {
  const n = queries.length / dimensions;
  const m = candidates.length / dimensions;
  if (!Number.isInteger(n) || !Number.isInteger(m) || n < 1 || m < (own ? 1 : n)) {
    throw new ShapeError(
      `candidates: expected [m, ${dimensions}] with m at least the number of queries, got ${candidates.length} and ${queries.length} elements`,
      'candidates',
    );
  }
  if (own && own.length !== n)
    throw new ShapeError(`own: expected one for each of ${n} queries, got ${own.length}`, 'own');
  const unit = (all: Float32Array, i: number): Float32Array => {
    const row = all.slice(i * dimensions, (i + 1) * dimensions);
    const length = Math.hypot(...row) || 1;
    return row.map((x) => x / length);
  };
  const targets = Array.from({ length: m }, (_, j) => unit(candidates, j));
  let hits = 0;
  for (let i = 0; i < n; i++) {
    const query = unit(queries, i);
    const score = (j: number): number =>
      query.reduce((sum, x, d) => sum + x * ((targets[j] as Float32Array)[d] as number), 0);
    const target = own ? (own[i] as number) : i;
    if (!(Number.isInteger(target) && target >= 0 && target < m)) {
      throw new ValueError(`own[${i}]: expected an integer from 0 to ${m - 1}, got ${target}`, 'own');
    }
    const right = score(target);
    let best = true;
    for (let j = 0; j < m && best; j++) if (j !== target && score(j) >= right) best = false;
    if (best) hits++;
  }
  return hits / n;
}
