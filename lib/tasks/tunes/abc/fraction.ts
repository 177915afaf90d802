/** A positive fraction in lowest terms. */
export interface Fraction {
  readonly n: number;
  readonly d: number;
}

export const ONE: Fraction = { n: 1, d: 1 };

export function fraction(n: number, d: number): Fraction {
  const divisor = gcd(n, d);
  return { n: n / divisor, d: d / divisor };
}

/** Reduces crosswise before it multiplies, so that products of reduced factors grow no more than they must. */
export function times(a: Fraction, b: Fraction): Fraction {
  const left = gcd(a.n, b.d);
  const right = gcd(b.n, a.d);
  return { n: (a.n / left) * (b.n / right), d: (a.d / right) * (b.d / left) };
}

export function gcd(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}
