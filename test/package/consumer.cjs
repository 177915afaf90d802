// A stranger's program, in CommonJS; consumer.mjs is the same as an ES module. Prints one line.
const assert = require('node:assert');
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const library = require('cfgdistill');
const chords = require('cfgdistill/tasks/chords');

const { guidedLogits, sampleGuided, Sampler, ShapeError, Tensor, TransformerLM } = library;

async function main() {
  const guided = guidedLogits(Float32Array.of(1, 2), Float32Array.of(0, 0), 3, { vocab: 2 });
  assert.deepStrictEqual([...guided], [3, 6]);
  assert.throws(() => guidedLogits(new Float32Array(3), new Float32Array(4), 3, { vocab: 2 }), ShapeError);
  assert.strictEqual(sampleGuided(guided, null, { vocab: 2, temperature: 0, seed: 1 }).tokens[0], 1);

  const folder = mkdtempSync(join(tmpdir(), 'cfgdistill-consumer-'));
  const model = new TransformerLM({ vocabularySize: 16, depth: 1, width: 16, heads: 2, maxPositions: 8 }, { seed: 1 });
  await model.save(join(folder, 'model.safetensors'));
  const read = await TransformerLM.load(join(folder, 'model.safetensors'));
  const drawn = [];
  const prompts = [Int32Array.of(2), Int32Array.of(3)];
  for (const one of [model, read]) {
    const sampler = new Sampler(one, { temperature: 1, stopToken: 0, seed: 3 });
    for await (const { tokens } of sampler.generate(prompts, { samplesPerPrompt: 2, maxTokens: 4 }))
      drawn.push([...tokens]);
  }
  rmSync(folder, { recursive: true });
  assert.deepStrictEqual(drawn.slice(0, 4), drawn.slice(4));
  assert(chords.loadChordDatabase().voicings.length > 1000);

  // Asked for both ways, there is one library: one class of each name, one addon, one state.
  const imported = await import('cfgdistill');
  assert.deepStrictEqual(Object.keys(imported).sort(), Object.keys(library).sort());
  for (const [name, value] of Object.entries(library)) assert.strictEqual(imported[name], value, name);
  const importedChords = await import('cfgdistill/tasks/chords');
  assert.deepStrictEqual(Object.keys(importedChords).sort(), Object.keys(chords).sort());
  using(Tensor.from(Float32Array.of(1, 2), [1, 2]), (tensor) => assert(tensor instanceof imported.Tensor));
  assert.throws(() => imported.guidedLogits(new Float32Array(3), guided, 3, { vocab: 2 }), ShapeError);
  console.log(`cjs ${process.version} ${JSON.stringify(drawn[0])}`);
}

function using(tensor, body) {
  body(tensor);
  tensor.dispose();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
