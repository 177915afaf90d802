// Whole distillation steps: rollouts of the student, both branches of the frozen teacher, the student's forward and
// backward pass, the update.
import { Trainer, TransformerLM } from '../../cfgdistill.mjs';
import { sequences } from '../../data.mjs';
import { stage } from '../stage.mjs';
import { model, shapeText, workload } from './shapes.mjs';
import { timedOnHost } from './timing.mjs';

await stage(async ({ gpu, small, report }) => {
  const { prompts, samples, prompt, answer } = workload(small).distillation;
  const config = model(small);
  await report.measure(
    { what: 'distillation step', shape: shapeText([prompts, samples, prompt, answer]), dtype: 'bfloat16' },
    async () => {
      const [base, student] = [1, 1].map(
        (seed) => new TransformerLM(config, { device: gpu, seed, compute: 'bfloat16' }),
      );
      const trainer = new Trainer({
        student,
        teacher: { model: base, guidance: { scale: 3, negative: new Int32Array(prompt).fill(1) } },
        promptsPerStep: prompts,
        samplesPerPrompt: samples,
        maxTokens: answer,
        optimizer: { learningRate: 1e-5 },
      });
      const steps = trainer.run(sequences(prompts, prompt, config.vocabularySize, 3), { steps: 10_000 });
      gpu.memory({ resetPeak: true });
      try {
        const time = await timedOnHost(() => steps.next(), { warmUp: 4, rounds: 5 });
        return { ...time, tokens: prompts * samples * answer, peak: gpu.memory().peak };
      } finally {
        await steps.return();
        trainer.dispose();
        base.dispose();
        student.dispose();
      }
    },
  );
});
