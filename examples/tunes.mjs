// From tunes to tunes: reads melodies, trains a small model on them, asks it for a tune whose bars are all full, and
// writes that as ABC, MIDI and sound.
//
//   node examples/tunes.mjs [FILE OR FOLDER of .abc, .mid, .jsonl] [PROMPT]
//
// Without arguments it learns three scales and arpeggios that are written here, which is enough to see that it works.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BaseTrainer, Sampler, TransformerLM } from 'cfgdistill';
import { performTune, synthesise, writeWav } from 'cfgdistill/audio';
import { FullBars, readAbc, readTunes, TuneTask, unroll, writeAbc, writeMidi } from 'cfgdistill/tasks/tunes';

const STUDIES = `X:1
T:Up and down
R:study
M:4/4
L:1/8
K:G
GABc defg|agfe dcBA|G2B2 d2g2|d2B2 G4|]

X:2
T:By thirds
R:study
M:4/4
L:1/8
K:D
DFEG FAGB|AcBd cedf|d2A2 F2D2|E2A2 D4|]

X:3
T:In threes
R:dance
M:6/8
L:1/8
K:A
A2c e2c|d2f a3|agf edc|B2G A3|]
`;

const [path, prompt = 'a study in 4/4, D major'] = process.argv.slice(2);
const { tunes, problems } = path === undefined ? readAbc(STUDIES) : await readTunes(path);
for (const { message } of problems) console.warn(message);
const task = new TuneTask({ tunes, seed: 1 });

const model = new TransformerLM(
  {
    vocabularySize: task.vocabularySize,
    depth: 2,
    width: 64,
    heads: 4,
    maxPositions: task.maxPromptTokens + task.maxTokens,
  },
  { seed: 1 },
);
const trainer = new BaseTrainer({
  model,
  rows: task.trainingRows,
  noPrompt: task.noPrompt,
  batchSize: 16,
  optimizer: { learningRate: 3e-3 },
});
for await (const { step, loss } of trainer.run({ steps: 120 })) {
  if (step % 40 === 0) console.log(`step ${step}: ${(loss / Math.LN2).toFixed(2)} bits per token`);
}

const { meter } = task.tuneOf(prompt, []);
const bars = new FullBars(task.vocabulary, [meter]);
const sampler = new Sampler(model, {
  guidance: { scale: 1.5, negative: task.noPrompt },
  stopToken: task.stopToken,
  constraint: bars.automaton,
  seed: 1,
});
for await (const { tokens } of sampler.generate([task.encodePrompt(prompt)], { maxTokens: 120 })) {
  const tune = task.tuneOf(prompt, tokens);
  const folder = mkdtempSync(join(tmpdir(), 'cfgdistill-tunes-'));
  writeFileSync(join(folder, 'tune.abc'), writeAbc(tune));
  writeFileSync(join(folder, 'tune.mid'), await writeMidi(tune, { quartersPerMinute: 120 }));
  const notes = performTune(unroll(tune), { beatsPerMinute: 120 });
  await writeWav(join(folder, 'tune.wav'), synthesise(notes, { sampleRate: 44_100 }), { sampleRate: 44_100 });
  console.log(writeAbc(tune));
  console.log(`tune.abc, tune.mid and tune.wav are in ${folder}`);
}
trainer.dispose();
