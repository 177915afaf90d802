// Whole steps of next-token training, as a user writes them: host time from step to step.
import { BaseTrainer, TransformerLM } from '../../cfgdistill.mjs';
import { sequences } from '../../data.mjs';
import { stage } from '../stage.mjs';
import { model, shapeText, workload } from './shapes.mjs';
import { timedOnHost } from './timing.mjs';

await stage(async ({ gpu, small, report }) => {
  const { rows, positions } = workload(small).training;
  const shape = shapeText([rows, positions]);
  for (const dtype of ['bfloat16', 'float32']) {
    await report.measure({ what: 'training step', shape, dtype }, async () => {
      const config = model(small);
      const lm = new TransformerLM(config, { device: gpu, seed: 1, ...(dtype === 'bfloat16' && { compute: dtype }) });
      // A prompt of one token and as many answer tokens as positions: every position predicts.
      const prompts = sequences(4 * rows, 1, config.vocabularySize, 1);
      const answers = sequences(4 * rows, positions, config.vocabularySize, 2);
      const trainer = new BaseTrainer({
        model: lm,
        rows: prompts.map((prompt, i) => ({ prompt, tokens: answers[i] })),
        noPrompt: Int32Array.of(0),
        promptDropout: 0,
        batchSize: rows,
        optimizer: { learningRate: 1e-4, weightDecay: 0.1 },
      });
      const steps = trainer.run({ steps: 10_000 });
      gpu.memory({ resetPeak: true });
      try {
        const time = await timedOnHost(() => steps.next(), { warmUp: 4 });
        return { ...time, tokens: rows * positions, peak: gpu.memory().peak };
      } finally {
        await steps.return();
        trainer.dispose();
        lm.dispose();
        await gpu.trimMemory();
      }
    });
  }
});
