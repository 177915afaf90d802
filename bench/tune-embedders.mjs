// node bench/tune-embedders.mjs PATH [--only symbolic,audio,adherence] [--seed N] [--json FILE]
//
// How well the embedders of the tunes know held-out tunes after their training, and how long that took: retrieval@1 of the
// other half of a tune by the symbolic and by the audio embedder, and of a tune's prompt by the two towers that measure
// adherence; beside each what chance would give, and what a generation costs. PATH is a file or folder of tunes. Any number
// of a recipe can be given after its part's name: --symbolic-steps 100 --audio-temperature 0.05.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  readTunes,
  TUNE_RECIPE,
  TuneEmbedder,
  TuneTask,
  tuneAdherenceRetrieval,
  tuneAdherenceTrainer,
  tuneAudioEmbedder,
  tuneAudioTrainer,
  tuneEmbedderTrainer,
  tuneRetrieval,
} from './internals.mjs';
import { describeMachine } from './machine.mjs';

/** Each part's recipe, its trainer, how its result is asked, and what it embeds generations by. */
const PARTS = {
  symbolic: {
    recipe: TUNE_RECIPE.embedder,
    trainer: tuneEmbedderTrainer,
    retrieval: (task, { encoder }) => tuneRetrieval(task, new TuneEmbedder(task, encoder)),
    embed: (task, { encoder }, tokens) => new TuneEmbedder(task, encoder).embed(tokens),
  },
  audio: {
    recipe: TUNE_RECIPE.audio,
    trainer: tuneAudioTrainer,
    retrieval: (task, { encoder }) => tuneRetrieval(task, tuneAudioEmbedder(task, encoder)),
    embed: (task, { encoder }, tokens) => tuneAudioEmbedder(task, encoder).embed(tokens),
  },
  adherence: {
    recipe: TUNE_RECIPE.adherence,
    trainer: tuneAdherenceTrainer,
    retrieval: (task, { towers }) => tuneAdherenceRetrieval(task, towers),
    embed: (_, { towers }, tokens) => towers.embedMusic(tokens),
  },
};
const numbersOf = ({ recipe }) => Object.keys(recipe).filter((name) => typeof recipe[name] === 'number');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'string' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: Object.keys(PARTS).join() },
    ...Object.fromEntries(
      Object.entries(PARTS).flatMap(([name, part]) =>
        numbersOf(part).map((number) => [`${name}-${number}`, { type: 'string' }]),
      ),
    ),
  },
});
const [path] = positionals;
const chosen = values.only.split(',');
if (path === undefined || positionals.length > 1 || chosen.some((name) => !(name in PARTS))) {
  console.error('usage: node bench/tune-embedders.mjs PATH [--only symbolic,audio,adherence] [--json FILE]');
  process.exit(2);
}

const { tunes } = await readTunes(path);
const task = new TuneTask({ tunes, seed: Number(values.seed) });
const generations = task.heldOutRows
  .slice(0, 128)
  .map(({ tokens }) => tokens.filter((token) => token !== task.stopToken).subarray(0, TUNE_RECIPE.maxTokens));
const results = {};
for (const name of chosen) {
  const part = PARTS[name];
  const recipe = { ...part.recipe };
  for (const number of numbersOf(part)) {
    const given = values[`${name}-${number}`];
    if (given !== undefined) recipe[number] = Number(given);
  }
  const begin = performance.now();
  const trainer = part.trainer(task, recipe);
  let loss = 0;
  for await (const step of trainer.run({ steps: recipe.steps })) {
    loss = step.step === 1 ? step.loss : 0.95 * loss + 0.05 * step.loss;
  }
  const seconds = (performance.now() - begin) / 1000;
  const { retrievalAt1, candidates } = await part.retrieval(task, trainer.options);
  await part.embed(task, trainer.options, generations.slice(0, 8));
  const embedding = performance.now();
  await part.embed(task, trainer.options, generations);
  const millisecondsEach = (performance.now() - embedding) / generations.length;
  results[name] = { recipe, seconds, loss, retrievalAt1, candidates, chance: 1 / candidates, millisecondsEach };
  console.log(
    `${name}: ${recipe.steps} steps in ${seconds.toFixed(0)} s, loss ${loss.toFixed(3)}; ` +
      `retrieval@1 ${retrievalAt1.toFixed(3)} among ${candidates} (chance ${(1 / candidates).toFixed(3)}); ` +
      `${millisecondsEach.toFixed(2)} ms to embed a generation of up to ${TUNE_RECIPE.maxTokens} tokens`,
  );
  trainer.dispose();
}
if (values.json !== undefined) {
  writeFileSync(
    values.json,
    `${JSON.stringify({ machine: describeMachine(), seed: Number(values.seed), results }, null, 1)}\n`,
  );
}
