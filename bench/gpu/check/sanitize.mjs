// Every operation once, on small shapes: a short program to run under compute-sanitizer.
//
//   compute-sanitizer --tool memcheck node bench/gpu/check/sanitize.mjs
import { randomInt } from 'node:crypto';
import { stage } from '../stage.mjs';
import { casesOf } from './cases.mjs';
import { filled, placed } from './inputs.mjs';

await stage(async ({ gpu, seed = randomInt(2 ** 31), report }) => {
  report.note(`random inputs from --seed ${seed}`);
  for (const { name, inputs, run, dtypes = ['float32', 'bfloat16'] } of casesOf(true)) {
    for (const dtype of dtypes) {
      await report.check(`${name} ${dtype}`, async () => {
        const tensors = placed(gpu, filled(inputs, dtype, seed));
        const outputs = run(tensors, dtype);
        await Promise.all(outputs.map((tensor) => tensor.read()));
        await gpu.synchronize();
        for (const tensor of [...Object.values(tensors), ...outputs]) tensor.dispose();
        // Fresh memory for the next one: what is read beyond a tensor is then more likely to be nobody's.
        await gpu.trimMemory();
      });
    }
  }
});
