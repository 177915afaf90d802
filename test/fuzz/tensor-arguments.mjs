// Arguments of each operation on tensors: mostly right ones.
import { number, vocabulary, word } from './values.mjs';

const I32 = 'int32';
const F32 = 'float32';
const COMPUTED = ['float32', 'bfloat16'];
const STORED = ['float32', 'bfloat16', 'float16'];
const ALL = ['float32', 'bfloat16', 'float16', 'int32'];
const KINDS = ['gelu', 'gelu-tanh', 'silu'];

/** Of masks of tokens. */
const BITS = [-(2 ** 31), 2 ** 31 - 1];
const words = (vocab) => Math.ceil(vocab / 32);

const flag = (g) => (g.input.rarely(32) ? g.pick([0, 'true', null, undefined]) : g.input.bit());
const optional = (g, make) => (g.input.bit() ? make() : g.pick([undefined, null]));
const rowsOf = (g) => g.input.integer(0, 4);
const width = (g) => g.pick([1, 2, 3, 4, 7, 8, 9, 16, 17, 33, 64, 70]);
const numberOf = (g, ...valid) => number(g.input, g.pick(valid));

const range = (g, rows, positions) => [g.tensor(I32, [rows], [0, positions]), g.tensor(I32, [rows], [0, positions])];
const draw = (g) => [
  numberOf(g, 1, 0, 0.5, 2),
  optional(g, () => numberOf(g, 1, 5, 50)),
  optional(g, () => numberOf(g, 0.9, 1, 0.1)),
  numberOf(g, 0, 1, 2 ** 40),
];
const perRow = (g, rows) => (g.input.bit() ? g.tensor(F32, [rows]) : numberOf(g, 3, 0, 1, -1));

function attention(g) {
  const [rows, positions, heads] = [rowsOf(g), g.input.integer(0, 9), g.input.integer(1, 3)];
  return { rows, positions, heads, headDim: g.pick([2, 4, 8, 1, 3, 16, 17, 32]), type: g.pick(COMPUTED) };
}

function backwardOf(g, { rows, heads, headDim, type }, queries) {
  const out = () => g.tensor(type, [rows, queries, heads * headDim]);
  return [out(), g.tensor(F32, [rows, heads, queries]), out()];
}

export const ARGUMENTS = {
  guidedLogits(g) {
    const [rows, vocab, type] = [rowsOf(g), vocabulary(g.input), g.pick(COMPUTED)];
    return [g.tensor(type, [rows, vocab]), g.tensor(type, [rows, vocab]), perRow(g, rows)];
  },
  sampleGuided(g) {
    const [rows, vocab, type] = [rowsOf(g), vocabulary(g.input), g.pick(COMPUTED)];
    const logits = () => g.tensor(type, [rows, vocab]);
    const offset = () => (g.input.bit() ? g.tensor(I32, [rows], [0, 99]) : numberOf(g, 0, 7));
    const allowed = () => g.tensor(I32, g.input.bit() ? [rows, words(vocab)] : [words(vocab)], BITS);
    return [logits(), optional(g, logits), perRow(g, rows), ...draw(g), offset(), optional(g, allowed)];
  },
  decodeSample(g) {
    const [rows, vocab, branches] = [g.input.integer(1, 3), vocabulary(g.input), g.input.integer(1, 2)];
    const [capacity, states] = [g.input.integer(1, 6), g.input.integer(1, 3)];
    const automaton = () => [
      g.tensor(I32, [rows], [0, states - 1]),
      ...[g.tensor(I32, [states, words(vocab)], BITS), g.tensor(I32, [states, vocab], [-1, states - 1])],
    ];
    return [
      g.tensor(g.pick(COMPUTED), [branches * rows, vocab]),
      ...[
        g.tensor(F32, [rows]),
        g.tensor(I32, [rows], [0, 9]),
        ...draw(g),
        optional(g, () => numberOf(g, 0, 1, vocab)),
      ],
      ...[g.tensor(I32, [1], [0, capacity - 1]), g.tensor(I32, [rows], [0, 1]), g.tensor(I32, [1], [1, rows])],
      ...[g.tensor(I32, [branches * rows], [0, vocab - 1]), g.tensor(I32, [rows, capacity], [0, vocab - 1])],
      g.tensor(F32, [rows, capacity]),
      ...(g.input.bit() ? automaton() : []),
    ];
  },
  distillationLoss(g) {
    const [rows, vocab, type] = [rowsOf(g), vocabulary(g.input), g.pick(COMPUTED)];
    const logits = () => g.tensor(type, [rows, vocab]);
    const policy = g.input.bit();
    return [
      ...[logits(), logits(), optional(g, logits), perRow(g, rows), numberOf(g, 1, 0.5, 2)],
      ...[word(g.input, ['reverse', 'forward', 'jsd']), numberOf(g, 0.5), optional(g, () => g.tensor(F32, [rows]))],
      policy ? g.tensor(I32, [rows], [0, vocab - 1]) : undefined,
      policy ? g.tensor(F32, [rows]) : undefined,
    ];
  },
  diversityReward(g) {
    const [prompts, samples] = [g.input.integer(1, 3), g.input.integer(2, 9)];
    const embeddings = g.tensor(g.pick(COMPUTED), [prompts, samples, width(g)]);
    return [embeddings, optional(g, () => g.tensor(F32, [prompts]))];
  },
  lerp(g) {
    const [shape, type] = [g.shape(), g.pick(STORED)];
    return [g.tensor(type, shape), g.tensor(type, shape), numberOf(g, 0.5, 0, 1, -2)];
  },
  slerp: (g) => ARGUMENTS.lerp(g),
  slerpFactors: (g) => [
    g.list([numberOf(g, 1, 4), numberOf(g, 0, 0.5, -1), numberOf(g, 1, 4)]),
    numberOf(g, 0.5, 0, 1),
  ],
  weightedAverage(g) {
    const [shape, type, count] = [g.shape(), g.pick(STORED), g.input.integer(1, 4)];
    const tensors = Array.from({ length: count }, () => g.tensor(type, shape));
    const weights = tensors.map(() => numberOf(g, 1, 2, 0.5, 0, -1));
    return [g.list(tensors), g.list(weights)];
  },
  fill: (g) => [g.tensor(g.pick(ALL), g.shape()), numberOf(g, 0, 1, -3, 1e30)],
  add(g) {
    const [shape, type] = [g.shape(), g.pick(COMPUTED)];
    return [g.tensor(type, shape), g.tensor(type, shape)];
  },
  accumulate: (g) => [...ARGUMENTS.add(g), numberOf(g, 1, 0.5, -1)],
  scale: (g) => [g.tensor(g.pick(COMPUTED), g.shape()), numberOf(g, 2, 0, -1)],
  sumRows: (g) => [g.tensor(g.pick(COMPUTED), [rowsOf(g) * width(g), width(g)])],
  sumAll: (g) => [g.tensor(F32, g.shape())],
  repeatRows: (g) => [g.tensor(g.pick(ALL), g.shape()), numberOf(g, 1, 2, 3)],
  dropout: (g) => [g.tensor(g.pick(COMPUTED), g.shape()), numberOf(g, 0.1, 0, 0.9), numberOf(g, 1), numberOf(g, 0, 3)],
  cast: (g) => [g.tensor(g.pick(STORED), g.shape()), word(g.input, STORED)],
  rowPositions: (g) => [g.tensor(I32, [rowsOf(g)], [0, 9]), g.tensor(I32, [1], [0, 9])],
  advance: (g) => [g.tensor(I32, [1], [0, 9]), numberOf(g, 1, -1)],
  matmul(g) {
    const [m, k, n] = [rowsOf(g) * g.input.integer(1, 5), width(g), width(g)];
    const [ta, tb, type, wide] = [g.input.bit(), g.input.bit(), g.pick(COMPUTED), g.input.bit()];
    return [
      ...[g.tensor(type, ta ? [k, m] : [m, k]), g.tensor(type, tb ? [n, k] : [k, n]), ta, tb],
      ...[optional(g, () => g.tensor(F32, [n])), optional(g, () => g.tensor(wide ? F32 : type, [m, n]))],
      wide || g.pick([false, undefined]),
    ];
  },
  attentionForward(g) {
    const { rows, positions, heads, headDim, type } = attention(g);
    return [g.tensor(type, [rows, positions, 3, heads, headDim]), ...range(g, rows, positions), flag(g)];
  },
  attentionBackward(g) {
    const shape = attention(g);
    const { rows, positions, heads, headDim, type } = shape;
    const qkv = g.tensor(type, [rows, positions, 3, heads, headDim]);
    return [qkv, ...range(g, rows, positions), flag(g), ...backwardOf(g, shape, positions)];
  },
  crossAttentionForward(g) {
    const { rows, positions, heads, headDim, type } = attention(g);
    const q = g.tensor(type, [rows, g.input.integer(0, 5), heads, headDim]);
    return [q, g.tensor(type, [rows, positions, 2, heads, headDim]), ...range(g, rows, positions)];
  },
  crossAttentionBackward(g) {
    const shape = attention(g);
    const { rows, positions, heads, headDim, type } = shape;
    const queries = g.input.integer(0, 5);
    const q = g.tensor(type, [rows, queries, heads, headDim]);
    const kv = g.tensor(type, [rows, positions, 2, heads, headDim]);
    return [q, kv, ...range(g, rows, positions), ...backwardOf(g, shape, queries)];
  },
  cacheWrite(g) {
    const { rows, positions, heads, headDim, type } = attention(g);
    const capacity = positions + g.input.integer(0, 4);
    const cache = g.tensor(type, [2, rows, heads, capacity, headDim]);
    return [g.tensor(type, [rows, positions, 3, heads, headDim]), cache, g.tensor(I32, [1], [0, capacity - positions])];
  },
  attentionDecode(g) {
    const { rows, heads, headDim, type } = attention(g);
    const capacity = g.input.integer(1, 70);
    const cache = g.tensor(type, [2, rows, heads, capacity, headDim]);
    const qkv = g.tensor(type, [rows, 1, 3, heads, headDim]);
    return [qkv, cache, g.tensor(I32, [rows], [0, capacity - 1]), g.tensor(I32, [1], [0, capacity - 1])];
  },
  rotary(g) {
    const { rows, positions, heads, headDim, type } = attention(g);
    const qkv = g.tensor(type, [rows, positions, 3, heads, headDim]);
    return [qkv, g.tensor(I32, [rows, positions], [0, 99]), numberOf(g, 10000, 1), flag(g)];
  },
  layerNormForward(g) {
    const n = width(g);
    const x = g.tensor(g.pick(COMPUTED), [rowsOf(g), n]);
    return [x, g.tensor(F32, [n]), optional(g, () => g.tensor(F32, [n])), numberOf(g, 1e-5)];
  },
  layerNormBackward(g) {
    const [rows, n, type] = [rowsOf(g), width(g), g.pick(COMPUTED)];
    const x = () => g.tensor(type, [rows, n]);
    return [x(), x(), g.tensor(F32, [n]), g.tensor(F32, [rows]), g.tensor(F32, [rows]), flag(g)];
  },
  rmsNormForward(g) {
    const n = width(g);
    return [g.tensor(g.pick(COMPUTED), [rowsOf(g), n]), g.tensor(F32, [n]), numberOf(g, 1e-5)];
  },
  rmsNormBackward(g) {
    const [rows, n, type] = [rowsOf(g), width(g), g.pick(COMPUTED)];
    const x = () => g.tensor(type, [rows, n]);
    return [x(), x(), g.tensor(F32, [n]), g.tensor(F32, [rows])];
  },
  l2NormalizeForward: (g) => [g.tensor(F32, [rowsOf(g), width(g)])],
  l2NormalizeBackward(g) {
    const [rows, n] = [rowsOf(g), width(g)];
    return [g.tensor(F32, [rows, n]), g.tensor(F32, [rows, n]), g.tensor(F32, [rows])];
  },
  embeddingForward(g) {
    const vocab = vocabulary(g.input);
    const table = g.tensor(F32, [vocab, width(g)]);
    return [table, g.tensor(I32, g.shape(), [0, vocab - 1]), optional(g, () => word(g.input, COMPUTED))];
  },
  embeddingBackward(g) {
    const [shape, vocab] = [g.shape(), vocabulary(g.input)];
    const ids = g.tensor(I32, shape, [0, vocab - 1]);
    return [g.tensor(g.pick(COMPUTED), [...shape, width(g)]), ids, number(g.input, vocab)];
  },
  maskedMeanForward(g) {
    const [rows, positions] = [rowsOf(g), g.input.integer(0, 9)];
    return [g.tensor(g.pick(COMPUTED), [rows, positions, width(g)]), ...range(g, rows, positions)];
  },
  maskedMeanBackward(g) {
    const [rows, positions] = [rowsOf(g), g.input.integer(0, 9)];
    const grad = g.tensor(F32, [rows, width(g)]);
    return [grad, ...range(g, rows, positions), number(g.input, positions), optional(g, () => word(g.input, COMPUTED))];
  },
  activationForward: (g) => [word(g.input, KINDS), g.tensor(g.pick(COMPUTED), g.shape())],
  activationBackward: (g) => [word(g.input, KINDS), ...ARGUMENTS.add(g)],
  gatedForward: (g) => [word(g.input, KINDS), g.tensor(g.pick(COMPUTED), [rowsOf(g), 2 * width(g)])],
  gatedBackward(g) {
    const [rows, n, type] = [rowsOf(g), width(g), g.pick(COMPUTED)];
    return [word(g.input, KINDS), g.tensor(type, [rows, 2 * n]), g.tensor(type, [rows, n])];
  },
  crossEntropy(g) {
    const [rows, vocab] = [rowsOf(g), vocabulary(g.input)];
    const logits = g.tensor(g.pick(COMPUTED), [rows, vocab]);
    const targets = g.tensor(I32, [rows], [-1, vocab - 1]);
    return [logits, targets, optional(g, () => g.tensor(F32, [rows])), numberOf(g, 1, 0.5)];
  },
  globalNorm: (g) => [g.list(Array.from({ length: g.input.integer(1, 3) }, () => g.tensor(F32, g.shape())))],
  adamw(g) {
    const shapes = Array.from({ length: g.input.integer(1, 3) }, () => g.shape());
    const tensors = () => g.list(shapes.map((shape) => g.tensor(F32, shape)));
    return [
      ...[tensors(), tensors(), tensors(), tensors(), g.list(shapes.map(() => numberOf(g, 0, 0.1)))],
      ...[numberOf(g, 1e-3, 0), numberOf(g, 0.9, 0), numberOf(g, 0.999), numberOf(g, 1e-8), numberOf(g, 1, 1000)],
      ...[optional(g, () => g.tensor(F32, [1])), numberOf(g, 1, Infinity), optional(g, () => g.tensor(F32, [2]))],
    ];
  },
};
