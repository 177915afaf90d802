// Every operation on the GPU against the CPU backend, on fresh random inputs, in memory that held NaN before.
//
//   node bench/gpu/check/operations.mjs --json FILE [--small] [--seed N] [--match matmul]

import { randomInt } from 'node:crypto';
import { native } from '../../internals.mjs';
import { stage } from '../stage.mjs';
import { casesOf } from './cases.mjs';
import { compare } from './compare.mjs';
import { filled, placed } from './inputs.mjs';

// Functions of the addon that are no operations on tensors.
const OTHERS =
  /^(setErrorClasses|setOption|isa|threads|createTensor|device.*|cuda.*|synchronize|memory|setMemoryLimit|trimMemory|.*Program|.*Timer|.*Now|NativeTensor)$/;

async function results(device, values, { run, dtype }) {
  const tensors = placed(device, values);
  const outputs = run(tensors, dtype);
  const read = outputs.map(async (tensor) => {
    return { shape: tensor.shape(), dtype: tensor.dtype(), data: await tensor.read() };
  });
  try {
    const all = await Promise.all(read);
    await device.synchronize(); // rejects for an operation that failed and left no trace in what was read
    return all;
  } finally {
    for (const tensor of [...Object.values(tensors), ...outputs]) tensor.dispose();
  }
}

/** Leaves NaN in the memory that tensors of these sizes get next. */
function poison(device, sizes) {
  const blocks = sizes.flatMap((bytes) => {
    const length = Math.max(1, Math.ceil(bytes / 4));
    return [0, 1].map(() => native.createTensor(device.id, 'float32', [length]));
  });
  for (const block of blocks) {
    native.fill(block, Number.NaN);
    block.dispose();
  }
}

const bytesOf = ({ data }) => data.byteLength;

await stage(async ({ cpu, gpu, small, seed = randomInt(2 ** 31), match, report }) => {
  report.note(`random inputs from --seed ${seed}`);
  const before = new Map(Object.entries(native));
  const called = new Set();
  // The cases call `native` itself; which operations they reach is seen by wrapping them for the while.
  for (const [name, operation] of before) {
    if (typeof operation !== 'function' || OTHERS.test(name)) continue;
    native[name] = (...given) => {
      called.add(name);
      return operation(...given);
    };
  }
  let number = 0;
  for (const { name, inputs, run, dtypes = ['float32', 'bfloat16'], ...limits } of casesOf(small).filter((c) =>
    c.name.includes(match),
  )) {
    for (const dtype of dtypes) {
      await report.check(`${name} ${dtype}`, async () => {
        const values = filled(inputs, dtype, seed + number++);
        const expected = await results(cpu, values, { run, dtype });
        poison(gpu, [...expected, ...values].map(bytesOf));
        const { error, faults } = compare(await results(gpu, values, { run, dtype }), expected, limits);
        if (faults.length > 0) throw new Error(faults.join('; '));
        return { error };
      });
    }
  }
  if (match) return;
  await report.check('every operation was checked', () => {
    const missed = [...before.keys()].filter((name) => !OTHERS.test(name) && !called.has(name));
    if (missed.length > 0) throw new Error(`not checked: ${missed.join(', ')}`);
  });
});
