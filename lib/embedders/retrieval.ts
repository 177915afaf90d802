import { ShapeError } from '../errors.ts';

/**
 * Retrieval@1: the share of queries whose nearest candidate by cosine is their own, the one of the same index. Ties
 * count as misses. Candidates beyond the queries are distractors.
 *
 * @param queries [n, dimensions]
 * @param candidates [m, dimensions], m ≥ n
 */
export function retrievalAt1(queries: Float32Array, candidates: Float32Array, dimensions: number): number {
  const n = queries.length / dimensions;
  const m = candidates.length / dimensions;
  if (!Number.isInteger(n) || !Number.isInteger(m) || n < 1 || m < n) {
    throw new ShapeError(
      `candidates: expected [m, ${dimensions}] with m at least the number of queries, got ${candidates.length} and ${queries.length} elements`,
      'candidates',
    );
  }
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
    const own = score(i);
    let best = true;
    for (let j = 0; j < m && best; j++) if (j !== i && score(j) >= own) best = false;
    if (best) hits++;
  }
  return hits / n;
}
