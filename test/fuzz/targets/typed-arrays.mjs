// The kernels on typed arrays, called at the binding, behind the library's own checks.
import { join } from 'node:path';
import { Bytes } from '../bytes.mjs';
import { Memory } from '../memory.mjs';
import { list, number, SENTINEL, vocabulary, word } from '../values.mjs';

const DTYPES = ['float32', 'bfloat16', 'float16'];

/** [rows, vocab] and the elements' type. */
function logits(input) {
  return { rows: input.integer(0, 4), vocab: vocabulary(input), dtype: input.pick(DTYPES) };
}

const perRow = (input, memory, rows) =>
  input.bit() ? memory.floats(rows) : number(input, input.pick([3, 0, 1, -2.5]));
const optional = (input, make) => (input.bit() ? make() : input.pick([undefined, null]));

/** Arguments of each kernel: mostly right ones. */
const ARGUMENTS = {
  guidedLogitsNow(input, memory) {
    const { rows, vocab, dtype } = logits(input);
    const array = () => memory.floats(rows * vocab, dtype);
    return [array(), array(), perRow(input, memory, rows), number(input, vocab), array(), word(input, [dtype])];
  },
  sampleGuidedNow(input, memory) {
    const { rows, vocab, dtype } = logits(input);
    const array = () => memory.floats(rows * vocab, dtype);
    return [
      ...[array(), optional(input, array), perRow(input, memory, rows), number(input, vocab)],
      number(input, input.pick([1, 0, 0.5, 2, 1e-3])),
      optional(input, () => number(input, 1 + input.byte())),
      optional(input, () => number(input, input.pick([0.9, 1, 0.5, 1e-3, 0.999999]))),
      number(input, input.uint32()),
      input.bit() ? memory.ints(rows, 0, 1000) : number(input, input.byte()),
      ...[memory.ints(rows), memory.floats(rows), word(input, [dtype])],
      optional(input, () => memory.words((input.bit() ? rows : 1) * Math.ceil(vocab / 32))),
    ];
  },
  distillationLossNow(input, memory) {
    const { rows, vocab, dtype } = logits(input);
    const array = (type = dtype) => memory.floats(rows * vocab, type);
    const policy = input.bit();
    const gradDtype = input.bit() ? dtype : 'float32';
    return [
      ...[array(), array(), optional(input, array), number(input, vocab), perRow(input, memory, rows)],
      number(input, input.pick([1, 0.5, 2, 1e-6])),
      word(input, ['reverse', 'forward', 'jsd']),
      number(input, 0.5),
      optional(input, () => memory.floats(rows)),
      policy ? memory.ints(rows, 0, vocab - 1) : undefined,
      policy !== input.rarely() ? memory.floats(rows) : undefined,
      ...[memory.floats(rows), memory.floats(rows), array(gradDtype), word(input, [dtype]), word(input, [gradDtype])],
    ];
  },
  diversityRewardNow(input, memory) {
    const [prompts, samples, dimensions] = [input.integer(1, 4), input.integer(2, 9), input.integer(1, 40)];
    const dtype = input.pick(DTYPES);
    return [
      memory.floats(prompts * samples * dimensions, dtype),
      ...[number(input, prompts), number(input, samples), number(input, dimensions)],
      optional(input, () => memory.floats(prompts)),
      ...[memory.floats(prompts * samples), memory.floats(prompts * samples), memory.floats(prompts)],
      word(input, [dtype]),
    ];
  },
  sumNow: (input, memory) => [memory.floats(input.byte() + 3 * input.byte())],
  lerpNow(input, memory) {
    const length = input.byte() + 3 * input.byte();
    const dtype = input.pick(DTYPES);
    const array = () => memory.floats(length, dtype);
    return [array(), array(), number(input, input.pick([0.5, 0, 1, -1, 2])), array(), word(input, [dtype])];
  },
  slerpNow: (input, memory) => ARGUMENTS.lerpNow(input, memory),
  scalarProductsNow(input, memory) {
    const length = input.byte() + 3 * input.byte();
    const dtype = input.pick(DTYPES);
    return [memory.floats(length, dtype), memory.floats(length, dtype), word(input, [dtype])];
  },
  weightedAverageNow(input, memory) {
    const [length, count] = [input.byte() + 3 * input.byte(), input.integer(1, 5)];
    const dtype = input.pick(DTYPES);
    const arrays = Array.from({ length: count }, () => memory.floats(length, dtype));
    const weights = arrays.map(() => number(input, input.pick([1, 2, 0.5, 0, -1])));
    const misuse = () => memory.detach();
    return [
      ...[list(input, arrays, misuse), list(input, weights, misuse), memory.floats(length, dtype)],
      word(input, [dtype]),
    ];
  },
  weightedSumNow: (input, memory) => ARGUMENTS.weightedAverageNow(input, memory),
};

export async function makeTarget({ addon, errors, folder }) {
  const names = Object.keys(addon).filter((name) => name.endsWith('Now'));
  const forgotten = names.filter((name) => !ARGUMENTS[name]);
  if (forgotten.length > 0) throw new Error(`kernels that are not fuzzed: ${forgotten.join(', ')}`);
  const { float32ToBf16, float32ToF16 } = await import(join(folder, 'lib/models/safetensors/floats.js'));
  const store = { float32: (value) => value, bfloat16: float32ToBf16, float16: float32ToF16 };
  return {
    refused: (error) => error === SENTINEL || (error instanceof errors.CfgDistillError && error.message.length < 2000),
    run(bytes) {
      const input = new Bytes(bytes);
      const name = input.pick(names);
      const memory = new Memory(input, store);
      const values = ARGUMENTS[name](input, memory);
      if (input.rarely()) values.length = input.integer(0, values.length);
      try {
        addon[name](...values);
      } finally {
        memory.verify();
      }
    },
  };
}
