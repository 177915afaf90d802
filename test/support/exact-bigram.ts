/** Float64 arithmetic on a prompted bigram, written without the library: every sequence with its probability. */

export interface ExactBigram {
  vocab: number;
  /** [vocab · vocab] each. */
  table: Float64Array;
  promptTable: Float64Array;
}

export interface Setting {
  prompt: number;
  negative: number;
  scale: number;
  temperature: number;
  stop: number;
  maxTokens: number;
}

export interface Sequence {
  tokens: number[];
  probability: number;
}

export function softmax(logits: readonly number[]): number[] {
  const top = Math.max(...logits);
  const weights = logits.map((z) => Math.exp(z - top));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / sum);
}

function logits(model: ExactBigram, prompt: number, previous: number): number[] {
  const { vocab, table, promptTable } = model;
  return Array.from({ length: vocab }, (_, v) => table[previous * vocab + v]! + promptTable[prompt * vocab + v]!);
}

/** The student's distribution after a token. */
export function studentAfter(model: ExactBigram, { prompt, temperature }: Setting, previous: number): number[] {
  return softmax(logits(model, prompt, previous).map((z) => z / temperature));
}

/** The guided teacher's. With no tokens yet the last token is the prompt, which differs between the branches. */
export function teacherAfter(model: ExactBigram, setting: Setting, previous: number | null): number[] {
  const { prompt, negative, scale, temperature } = setting;
  const cond = logits(model, prompt, previous ?? prompt);
  const uncond = logits(model, negative, previous ?? negative);
  return softmax(cond.map((c, v) => (uncond[v]! + scale * (c - uncond[v]!)) / temperature));
}

/** Every generation and its probability under the student. */
export function sequences(model: ExactBigram, setting: Setting): Sequence[] {
  const done: Sequence[] = [];
  const grow = (tokens: number[], probability: number): void => {
    if (tokens.length === setting.maxTokens || tokens.at(-1) === setting.stop) {
      done.push({ tokens, probability });
      return;
    }
    const p = studentAfter(model, setting, tokens.at(-1) ?? setting.prompt);
    for (let v = 0; v < model.vocab; v++) grow([...tokens, v], probability * p[v]!);
  };
  grow([], 1);
  return done;
}

/** Σ_n KL(student ‖ guided teacher) along a sequence. */
export function sequenceKl(
  student: ExactBigram,
  teacher: ExactBigram,
  setting: Setting,
  tokens: readonly number[],
): number {
  let total = 0;
  for (let n = 0; n < tokens.length; n++) {
    const previous = n === 0 ? null : tokens[n - 1]!;
    const p = studentAfter(student, setting, previous ?? setting.prompt);
    const q = teacherAfter(teacher, setting, previous);
    for (let v = 0; v < p.length; v++) total += p[v]! * Math.log(p[v]! / q[v]!);
  }
  return total;
}

/** Central differences of `of` in every parameter: [table, promptTable] in one array. */
export function numericalGradient(student: ExactBigram, of: (model: ExactBigram) => number, step = 1e-5): Float64Array {
  const size = student.table.length;
  const moved = (index: number, by: number): ExactBigram => {
    const copy = { ...student, table: student.table.slice(), promptTable: student.promptTable.slice() };
    const [array, at] = index < size ? [copy.table, index] : [copy.promptTable, index - size];
    array[at] = array[at]! + by;
    return copy;
  };
  return Float64Array.from({ length: 2 * size }, (_, i) => (of(moved(i, step)) - of(moved(i, -step))) / (2 * step));
}
