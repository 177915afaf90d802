// The fused kernels over typed arrays, in a training loop that is not the library's: a table of logits learns to answer
// in one pass like a guided teacher does in two. The loss comes with its gradient, so any autograd (here: none) can use it.
import { distillationLoss, guidedLogits, sampleGuided } from 'cfgdistill';

const rows = 64;
const vocab = 2048;
const scale = 3;

// Some teacher: conditional and unconditional logits of 64 contexts.
const wave = (row, token, speed) => 2 * Math.sin(0.37 * speed * token + row) + Math.cos(0.11 * token * (1 + (row % 5)));
const fill = (speed) =>
  Float32Array.from({ length: rows * vocab }, (_, i) => wave(Math.floor(i / vocab), i % vocab, speed));
const cond = fill(1);
const uncond = fill(0.9);

// The student starts as the conditional branch, as a finetuned copy of the teacher would.
const student = cond.slice();
const grad = new Float32Array(student.length); // reused by every step
const weights = new Float32Array(rows).fill(1 / rows);
for (let step = 0; step <= 300; step++) {
  const { loss } = distillationLoss(student, cond, uncond, { vocab, scale, weights, out: grad });
  if (step % 100 === 0) console.log(`step ${step}: KL(student ‖ guided teacher) = ${loss.toFixed(4)} nats per row`);
  for (let i = 0; i < student.length; i++) student[i] -= 200 * grad[i];
}

// One pass of the student draws like two passes of the teacher.
const options = { vocab, temperature: 0.99, topK: 50, seed: 1 };
const guided = sampleGuided(cond, uncond, { ...options, scale });
const distilled = sampleGuided(student, null, options);
const same = guided.tokens.filter((token, r) => token === distilled.tokens[r]).length;
console.log(`with the same seed ${same} of ${rows} draws agree`);

// Views are honoured: guide only the last row, in place.
const last = cond.subarray((rows - 1) * vocab);
guidedLogits(last, uncond.subarray((rows - 1) * vocab), scale, { vocab, out: last });
console.log(`guided in place: ${last.length} logits`);
