// node bench/tunes.mjs PATH [--steps N] [--json FILE] [any number of the recipe: --width 128 --dropout 0.1 …]
//
// How well the base model of the tunes predicts held-out tunes: bits per joint token of whole tunes, 256 tokens of context,
// and how long it took to learn that. PATH is a file or folder of tunes.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { bitsPerToken } from './cfgdistill.mjs';
import { readTunes, TUNE_BASE, TuneTask, tuneBaseTrainer } from './internals.mjs';
import { describeMachine } from './machine.mjs';

const numbers = Object.keys(TUNE_BASE);
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'string' },
    seed: { type: 'string', default: '1' },
    keys: { type: 'string', default: '4' },
    every: { type: 'string', default: '250' },
    ...Object.fromEntries(numbers.map((name) => [name, { type: 'string' }])),
  },
});
const [path] = positionals;
if (path === undefined || positionals.length > 1) {
  console.error('usage: node bench/tunes.mjs PATH [--steps N] [--json FILE]');
  process.exit(2);
}
const recipe = { ...TUNE_BASE };
for (const name of numbers) if (values[name] !== undefined) recipe[name] = Number(values[name]);

const { tunes, problems } = await readTunes(path);
const task = new TuneTask({ tunes, seed: Number(values.seed), keysPerTune: Number(values.keys) });
const count = (rows) => rows.reduce((sum, { tokens }) => sum + tokens.length, 0);
console.log(`${tunes.length} tunes, ${problems.length} problems; ${task.trainingRows.length} rows for training of`);
console.log(`${count(task.trainingRows)} tokens, ${task.heldOutRows.length} held out of ${count(task.heldOutRows)};`);
console.log(`${task.answerTokens} kinds of music tokens, ${task.vocabularySize} in all`);
console.log(JSON.stringify(recipe));

const trainer = tuneBaseTrainer(task, recipe);
const { model } = trainer.options;
const curve = [];
let [seconds, tokens, loss] = [0, 0, 0];
let begin = performance.now();
for await (const step of trainer.run({ steps: recipe.steps })) {
  tokens += step.tokens;
  loss = step.step === 1 ? step.loss : 0.98 * loss + 0.02 * step.loss;
  if (step.step % Number(values.every) !== 0 && step.step !== recipe.steps) continue;
  seconds += (performance.now() - begin) / 1000; // without the time that measuring takes
  const bits = await bitsPerToken(model, task.heldOutRows);
  curve.push({ step: step.step, seconds, trainingBits: loss / Math.LN2, bits });
  console.log(
    `step ${step.step}: ${(loss / Math.LN2).toFixed(3)} bits in training, ${bits.toFixed(4)} held out, ` +
      `${seconds.toFixed(0)} s, ${(tokens / seconds).toFixed(0)} tokens/s`,
  );
  begin = performance.now();
}
const { bits } = curve.at(-1);
if (values.json !== undefined) {
  writeFileSync(
    values.json,
    `${JSON.stringify({ machine: describeMachine(), recipe, seconds, bits, curve }, null, 1)}\n`,
  );
}
trainer.dispose();
