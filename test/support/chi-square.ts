/** ln Γ(x) for x > 0: Stirling's series after moving x above 20. */
function logGamma(x: number): number {
  let shift = 0;
  let y = x;
  while (y < 20) shift -= Math.log(y++);
  const inverse = 1 / (y * y);
  const series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / y;
  return shift + (y - 0.5) * Math.log(y) - y + 0.5 * Math.log(2 * Math.PI) + series;
}

/** The regularised upper incomplete gamma function Q(a, x). */
export function upperGamma(a: number, x: number): number {
  if (x <= 0) return 1;
  const front = Math.exp(a * Math.log(x) - x - logGamma(a));
  if (x < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let n = 1; n < 10_000 && term > sum * 1e-16; n++) {
      term *= x / (a + n);
      sum += term;
    }
    return 1 - front * sum;
  }
  // The continued fraction from its far end.
  let tail = 0;
  for (let n = 2_000; n > 0; n--) tail = (n * (n - a)) / (x + 2 * n + 1 - a - tail);
  return front / (x + 1 - a - tail);
}

/**
 * p-value of Pearson's chi-square test of counts against probabilities. A count where the probability is 0 gives 0.
 * Cells that expect fewer than 5 are put together.
 */
export function chiSquareP(counts: ArrayLike<number>, probabilities: ArrayLike<number>): number {
  const total = Array.from(counts).reduce((a, b) => a + b, 0);
  let statistic = 0;
  let cells = 0;
  let [restCount, restExpected] = [0, 0];
  for (let v = 0; v < counts.length; v++) {
    const expected = probabilities[v]! * total;
    if (expected === 0 && counts[v]! > 0) return 0;
    if (expected < 5) {
      restCount += counts[v]!;
      restExpected += expected;
      continue;
    }
    statistic += (counts[v]! - expected) ** 2 / expected;
    cells++;
  }
  if (restExpected >= 1) {
    statistic += (restCount - restExpected) ** 2 / restExpected;
    cells++;
  }
  return cells < 2 ? 1 : upperGamma((cells - 1) / 2, statistic / 2);
}
