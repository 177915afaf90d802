import { ShapeError, ValueError } from '../errors.ts';
import { Random } from '../random.ts';

/** Directions that are sought at once: more than the two that are wanted, so that these are found in few rounds. */
const BLOCK = 8;
const MOST_ROUNDS = 500;
/** Relative change of both variances in a round, below which they are found. */
const TOLERANCE = 1e-12;

/**
 * Places rows in the plane by principal component analysis: the coordinates along the two directions in which the rows
 * vary most. Distances in the plane are never larger than between the rows. The same rows have the same places at all
 * times: signs are such that the direction's largest component is positive.
 *
 * Subspace iteration with a Rayleigh–Ritz step (Halko, Martinsson and Tropp, arXiv 0909.4061), in float64.
 *
 * @param embeddings [n, dimensions]
 * @param dimensions at least 1
 * @returns [n, 2], centred; a direction in which nothing varies is all 0
 * @throws ShapeError when the embeddings are no whole number of rows
 * @throws ValueError when `dimensions` is no integer of at least 1, or a value is not finite
 */
export function mapOf(embeddings: Float32Array, dimensions: number): Float32Array {
  const rows = centred(embeddings, dimensions);
  const n = rows.length;
  const places = new Float32Array(2 * n);
  if (n < 2) return places;
  let basis = firstBasis(Math.min(BLOCK, n, dimensions), dimensions);
  let found = [0, 0];
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const { directions, variances } = ritz(rows, basis);
    const largest = [variances[0] ?? 0, variances[1] ?? 0];
    const moved = Math.max(...largest.map((value, axis) => Math.abs(value - found[axis]!)));
    found = largest;
    basis = directions;
    if (moved <= TOLERANCE * largest[0]!) break;
    basis = orthonormal(basis.map((direction) => timesGram(rows, direction)));
  }
  basis.slice(0, 2).forEach((direction, axis) => {
    const sign = Math.sign(direction.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0)) || 1;
    rows.forEach((row, i) => {
      places[2 * i + axis] = sign * dot(row, direction) || 0;
    });
  });
  return places;
}

function centred(embeddings: Float32Array, dimensions: number): Float64Array[] {
  if (!(Number.isInteger(dimensions) && dimensions >= 1)) {
    throw new ValueError(`dimensions: expected an integer of at least 1, got ${dimensions}`, 'dimensions');
  }
  if (embeddings.length % dimensions !== 0) {
    throw new ShapeError(
      `embeddings: expected rows of ${dimensions} values, got ${embeddings.length} values in all`,
      'embeddings',
    );
  }
  const wrong = embeddings.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) {
    throw new ValueError(`embeddings[${wrong}]: expected a finite number, got ${embeddings[wrong]}`, 'embeddings');
  }
  const n = embeddings.length / dimensions;
  const mean = new Float64Array(dimensions);
  embeddings.forEach((value, i) => {
    mean[i % dimensions]! += value / n;
  });
  return Array.from({ length: n }, (_, row) =>
    Float64Array.from(mean, (value, column) => embeddings[row * dimensions + column]! - value),
  );
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** `into` += factor · `from`. */
function add(into: Float64Array, from: Float64Array, factor: number): void {
  for (let i = 0; i < into.length; i++) into[i]! += factor * from[i]!;
}

/** Orthonormal directions to begin with, the same every time. */
function firstBasis(count: number, dimensions: number): Float64Array[] {
  const random = new Random(0).fork('projection');
  return orthonormal(
    Array.from({ length: count }, () => Float64Array.from({ length: dimensions }, () => random.uniform() - 0.5)),
  );
}

/** Gram–Schmidt, twice for accuracy; what depends on the directions before it is left out. */
function orthonormal(directions: readonly Float64Array[]): Float64Array[] {
  const kept: Float64Array[] = [];
  for (const direction of directions) {
    const before = Math.sqrt(dot(direction, direction));
    for (let pass = 0; pass < 2; pass++) for (const other of kept) add(direction, other, -dot(direction, other));
    const length = Math.sqrt(dot(direction, direction));
    if (length > 1e-10 * before) kept.push(direction.map((value) => value / length));
  }
  return kept;
}

/** Xᵀ X v for the rows X. */
function timesGram(rows: readonly Float64Array[], direction: Float64Array): Float64Array {
  const product = new Float64Array(direction.length);
  for (const row of rows) add(product, row, dot(row, direction));
  return product;
}

/** The best directions within the span of a basis, by falling variance. */
function ritz(
  rows: readonly Float64Array[],
  basis: readonly Float64Array[],
): { directions: Float64Array[]; variances: number[] } {
  const products = basis.map((direction) => timesGram(rows, direction));
  const matrix = basis.map((direction) => products.map((product) => dot(direction, product)));
  const vectors = jacobi(matrix);
  const order = basis.map((_, i) => i).sort((a, b) => matrix[b]![b]! - matrix[a]![a]!);
  const directions = order.map((column) => {
    const direction = new Float64Array(basis[0]!.length);
    basis.forEach((old, row) => add(direction, old, vectors[row]![column]!));
    return direction;
  });
  return { directions, variances: order.map((i) => matrix[i]![i]!) };
}

/** Makes a small symmetric matrix diagonal, in place, by Jacobi's rotations; returns the eigenvectors as columns. */
function jacobi(matrix: number[][]): number[][] {
  const size = matrix.length;
  const vectors = matrix.map((_, i) => matrix.map((_, j) => (i === j ? 1 : 0)));
  const rotate = (m: number[][], i: number, j: number, k: number, l: number, c: number, s: number): void => {
    const [a, b] = [m[i]![j]!, m[k]![l]!];
    m[i]![j] = c * a - s * b;
    m[k]![l] = s * a + c * b;
  };
  for (let sweep = 0; sweep < 30; sweep++) {
    for (let p = 0; p < size; p++) {
      for (let q = p + 1; q < size; q++) {
        const off = matrix[p]![q]!;
        if (off === 0) continue;
        const theta = (matrix[q]![q]! - matrix[p]![p]!) / (2 * off);
        const t = (Math.sign(theta) || 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1);
        const s = t * c;
        for (let k = 0; k < size; k++) rotate(matrix, k, p, k, q, c, s);
        for (let k = 0; k < size; k++) rotate(matrix, p, k, q, k, c, s);
        for (let k = 0; k < size; k++) rotate(vectors, k, p, k, q, c, s);
      }
    }
  }
  return vectors;
}
