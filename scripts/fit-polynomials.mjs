// Where the coefficients of the polynomials in native/cpu come from: best approximations (Remez's exchange algorithm) in
// the sense of the relative error of the function that is computed with them. Prints them rounded to float32, lowest
// power first, with the largest relative error before that rounding; how good the functions are in float32 arithmetic is
// what bench/math.mjs measures.

/** x of A x = b, by elimination with partial pivoting. */
function solve(matrix, right) {
  const a = matrix.map((row, i) => [...row, right[i]]);
  const n = a.length;
  for (let i = 0; i < n; i++) {
    let pivot = i;
    for (let r = i + 1; r < n; r++) if (Math.abs(a[r][i]) > Math.abs(a[pivot][i])) pivot = r;
    [a[i], a[pivot]] = [a[pivot], a[i]];
    for (let r = i + 1; r < n; r++) {
      const factor = a[r][i] / a[i][i];
      for (let c = i; c <= n; c++) a[r][c] -= factor * a[i][c];
    }
  }
  const x = new Array(n).fill(0);
  for (let i = n - 1; i >= 0; i--) {
    let sum = a[i][n];
    for (let c = i + 1; c < n; c++) sum -= a[i][c] * x[c];
    x[i] = sum / a[i][i];
  }
  return x;
}

/** The largest and smallest of a function between its sign changes. */
function extrema(f, from, to) {
  const steps = 20000;
  const found = [];
  for (let i = 0; i <= steps; i++) {
    const x = from + ((to - from) * i) / steps;
    const y = f(x);
    if (y === 0) continue;
    const last = found.at(-1);
    if (!last || Math.sign(last.y) !== Math.sign(y)) found.push({ x, y });
    else if (Math.abs(y) > Math.abs(last.y)) found[found.length - 1] = { x, y };
  }
  return found;
}

/**
 * Coefficients c of Σ c_j x^j that minimise the largest |weight(x) · (Σ c_j x^j − target(x))| on [from, to].
 *
 * @returns {{ coefficients: number[], error: number }}
 */
export function bestPolynomial({ degree, target, weight, from, to }) {
  const terms = degree + 1;
  let points = Array.from({ length: terms + 1 }, (_, i) => {
    return (from + to) / 2 - ((to - from) / 2) * Math.cos((Math.PI * (i + 0.4)) / (terms + 1));
  });
  for (let round = 0; round < 50; round++) {
    const rows = points.map((x, i) => {
      return [...Array.from({ length: terms }, (_, j) => weight(x) * x ** j), i % 2 ? -1 : 1];
    });
    const coefficients = solve(
      rows,
      points.map((x) => weight(x) * target(x)),
    ).slice(0, terms);
    const deviation = (x) => weight(x) * (coefficients.reduceRight((sum, c) => sum * x + c, 0) - target(x));
    const found = extrema(deviation, from, to);
    while (found.length > terms + 1) {
      if (Math.abs(found[0].y) < Math.abs(found.at(-1).y)) found.shift();
      else found.pop();
    }
    if (found.length <= terms) throw new Error('the deviation has too few extrema');
    points = found.map(({ x }) => x);
    const sizes = found.map(({ y }) => Math.abs(y));
    if (Math.max(...sizes) < 1.001 * Math.min(...sizes)) return { coefficients, error: Math.max(...sizes) };
  }
  throw new Error('no convergence');
}

/** (e^x − 1 − x) / x², by its series where the difference would cancel. */
const expRemainder = (x) => {
  let sum = 0;
  for (let k = 12, term; k >= 0; k--) {
    term = 1;
    for (let i = 1; i <= k + 2; i++) term /= i;
    sum = sum * x + term;
  }
  return sum;
};
/** (artanh(√u) / √u − 1) / u, by its series. */
const artanhRemainder = (u) => {
  let sum = 0;
  for (let k = 20; k >= 0; k--) sum = sum * u + 1 / (2 * k + 3);
  return sum;
};

// The rounding to an integer that reduces the argument can miss the nearest one by a little.
const HALF = 0.5002;
const FITS = {
  'exp: (e^r - 1 - r) / r^2, |r| <= ln 2 / 2': {
    degree: 4,
    target: expRemainder,
    weight: (r) => r ** 2 / Math.exp(r),
    from: -HALF * Math.LN2,
    to: HALF * Math.LN2,
  },
  'exp_scaled: (2^r - 1) / r, |r| <= 1/2': {
    degree: 5,
    target: (r) => Math.LN2 * (1 + r * Math.LN2 * expRemainder(r * Math.LN2)),
    weight: (r) => Math.abs(r) / 2 ** r,
    from: -HALF,
    to: HALF,
  },
  'log: (artanh s / s - 1) / s^2 in powers of s^2, |s| <= (sqrt 2 - 1) / (sqrt 2 + 1)': {
    degree: 2,
    target: artanhRemainder,
    weight: (u) => u,
    from: 0,
    to: ((Math.SQRT2 - 1) / (Math.SQRT2 + 1)) ** 2,
  },
};

for (const [name, fit] of Object.entries(FITS)) {
  const { coefficients, error } = bestPolynomial(fit);
  console.log(
    `${name}\n  ${coefficients.map((c) => Math.fround(c).toPrecision(9)).join('  ')}\n  error ${error.toExponential(2)}`,
  );
}
