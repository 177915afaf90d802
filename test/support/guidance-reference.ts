/** Guidance, drawing and divergences in float64, written from their formulas alone. */

export type Divergence = 'reverse' | 'forward' | 'jsd';

/** One row of guided logits; −∞ in either branch stays −∞. */
export function guide(cond: ArrayLike<number>, uncond: ArrayLike<number> | null, scale: number): number[] {
  return Array.from(cond, (c, v) => {
    if (!uncond) return c;
    const u = uncond[v]!;
    return c === -Infinity || u === -Infinity ? -Infinity : u + scale * (c - u);
  });
}

/** softmax(logits / temperature); −∞ has probability 0. */
export function softmax(logits: ArrayLike<number>, temperature = 1): number[] {
  const all = Array.from(logits);
  const top = all.reduce((highest, z) => Math.max(highest, z), -Infinity);
  const weights = all.map((z) => (z === -Infinity ? 0 : Math.exp((z - top) / temperature)));
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / total);
}

export function logSoftmax(logits: ArrayLike<number>, temperature = 1): number[] {
  const all = Array.from(logits);
  const top = all.reduce((highest, z) => Math.max(highest, z), -Infinity);
  const total = all.reduce((sum, z) => sum + (z === -Infinity ? 0 : Math.exp((z - top) / temperature)), 0);
  return all.map((z) => (z - top) / temperature - Math.log(total));
}

/** The distribution that is drawn from: temperature, top-k, renormalised, top-p; ties in favour of lower tokens. */
export function drawDistribution(
  logits: ArrayLike<number>,
  { temperature = 1, topK, topP }: { temperature?: number; topK?: number; topP?: number },
): number[] {
  const order = Array.from(logits, (_, v) => v).sort((a, b) => logits[b]! - logits[a]! || a - b);
  if (temperature === 0) return Array.from(logits, (_, v) => (v === order[0] ? 1 : 0));
  let p = softmax(logits, temperature);
  const keep = (kept: readonly number[]) => {
    const mass = kept.reduce((sum, v) => sum + p[v]!, 0);
    p = p.map((q, v) => (kept.includes(v) ? q / mass : 0));
  };
  const candidates = topK === undefined ? order : order.slice(0, topK);
  keep(candidates);
  if (topP !== undefined && topP < 1) {
    let mass = 0;
    let count = 0;
    while (count < candidates.length && mass < topP * (1 - 1e-9)) mass += p[candidates[count++]!]!;
    keep(candidates.slice(0, count));
  }
  return p;
}

export interface RowCase {
  student: ArrayLike<number>;
  cond: ArrayLike<number>;
  uncond: ArrayLike<number> | null;
  scale: number;
  temperature: number;
  divergence: Divergence;
  jsdWeight: number;
  weight: number;
  token: number;
  coefficient: number;
}

/** Divergence, entropy and loss of one row. */
export function distillRow(row: RowCase): { divergence: number; entropy: number; loss: number } {
  const teacher = guide(row.cond, row.uncond, row.scale);
  const support = teacher.map((g, v) => g > -Infinity && row.student[v]! > -Infinity);
  const logP = logSoftmax(
    Array.from(row.student, (z, v) => (support[v] ? z : -Infinity)),
    row.temperature,
  );
  const logQ = logSoftmax(
    teacher.map((g, v) => (support[v] ? g : -Infinity)),
    row.temperature,
  );
  const w = row.jsdWeight;
  let divergence = 0;
  let entropy = 0;
  for (let v = 0; v < teacher.length; v++) {
    if (!support[v]) continue;
    const [lp, lq] = [logP[v]!, logQ[v]!];
    const [p, q] = [Math.exp(lp), Math.exp(lq)];
    if (p > 0) entropy -= p * lp;
    if (row.divergence === 'reverse') divergence += p > 0 ? p * (lp - lq) : 0;
    else if (row.divergence === 'forward') divergence += q > 0 ? q * (lq - lp) : 0;
    else {
      const m = (1 - w) * p + w * q;
      if (p > 0) divergence += (1 - w) * p * (lp - Math.log(m));
      if (q > 0) divergence += w * q * (lq - Math.log(m));
    }
  }
  const policy = row.coefficient === 0 ? 0 : -row.coefficient * logP[row.token]!;
  return { divergence, entropy, loss: row.weight * divergence + policy };
}

/** ∂loss/∂student of one row by central differences of step `h`; tokens outside the support stay 0. */
export function distillRowGradient(row: RowCase, h = 1e-4): number[] {
  const student = Float64Array.from(row.student);
  const at = (v: number, z: number) => {
    const moved = student.slice();
    moved[v] = z;
    return distillRow({ ...row, student: moved }).loss;
  };
  return Array.from(student, (z, v) => (z === -Infinity ? 0 : (at(v, z + h) - at(v, z - h)) / (2 * h)));
}
