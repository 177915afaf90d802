/** A type of elements in 16 bits: the sign, an exponent and `fraction` bits; `lowest` is the exponent of its smallest normal number. */
interface Half {
  readonly fraction: number;
  readonly lowest: number;
  readonly largest: number;
}

export const HALVES = {
  bf16: { fraction: 7, lowest: -126, largest: (2 - 2 ** -7) * 2 ** 127 },
  f16: { fraction: 10, lowest: -14, largest: 65504 },
} as const satisfies Record<string, Half>;

/** The nearest number of the type, ties to even; beyond the largest by half a step or more, infinite. */
export function rounded(x: number, { fraction, lowest, largest }: Half): number {
  if (!Number.isFinite(x) || x === 0) return x;
  const exponent = Math.max(lowest, Math.floor(Math.log2(Math.abs(x))));
  const step = 2 ** (exponent - fraction);
  const [quotient, down] = [x / step, Math.floor(x / step)]; // exact: a power of two
  const rest = quotient - down;
  const up = rest > 0.5 || (rest === 0.5 && Math.abs(down) % 2 === 1);
  const result = (up ? down + 1 : down) * step;
  return Math.abs(result) > largest ? Math.sign(x) * Infinity : result;
}

/** The number that 16 bits stand for. */
export function numberOf(bits: number, { fraction, lowest }: Half): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits & 0x7fff) >> fraction;
  const rest = bits & (2 ** fraction - 1);
  if (exponent === 2 ** (15 - fraction) - 1) return rest ? Number.NaN : sign * Infinity;
  if (exponent === 0) return sign * rest * 2 ** (lowest - fraction);
  return sign * (1 + rest / 2 ** fraction) * 2 ** (lowest + exponent - 1);
}
