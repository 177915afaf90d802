// npm @huggingface/transformers (transformers.js): its logits processor for guidance, and its sampler, which draws for
// one row at a time and selects the top k by an operator of the ONNX runtime. It has no top-p.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { SCALE } from './comparisons.mjs';

export const name = 'transformers.js';

export async function load() {
  const main = createRequire(import.meta.url).resolve('@huggingface/transformers');
  // The sampler is not exported; `generate` uses it.
  const source = (file) => import(pathToFileURL(join(dirname(main), '../src', file)).href);
  const { Tensor } = await source('utils/tensor.js');
  const { ClassifierFreeGuidanceLogitsProcessor } = await source('generation/logits_process.js');
  const { LogitsSampler } = await source('generation/logits_sampler.js');

  const guidance = ({ rows, vocab, cond, uncond }) => {
    const processor = new ClassifierFreeGuidanceLogitsProcessor(SCALE);
    const both = new Float32Array(2 * rows * vocab);
    both.set(cond);
    both.set(uncond, rows * vocab);
    const logits = new Tensor('float32', both, [2 * rows, vocab]);
    const ids = Array.from({ length: rows }, () => [0n]);
    return () => processor(ids, logits);
  };
  const sampling = (top_k) => (inputs) => {
    const { rows, vocab } = inputs;
    const guided = guidance(inputs);
    const sampler = LogitsSampler.getSampler({ do_sample: true, num_beams: 1, num_return_sequences: 1, top_k });
    return async () => {
      const { data } = guided();
      const tokens = new Int32Array(rows);
      for (let r = 0; r < rows; r++) {
        const row = new Tensor('float32', data.subarray(r * vocab, (r + 1) * vocab), [vocab]);
        const [[token]] = await sampler(row);
        tokens[r] = Number(token);
      }
      return tokens;
    };
  };
  return {
    about: 'ClassifierFreeGuidanceLogitsProcessor; LogitsSampler, row by row',
    cases: {
      guidedLogits: (inputs) => {
        const once = guidance(inputs);
        return () => once().data;
      },
      sampleGuided: sampling(0),
      'sampleGuided, top-k 50': sampling(50),
    },
  };
}
