// A stranger's program, as an ES module. Prints one line.
import assert from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as library from 'cfgdistill';
import { guidedLogits, Sampler, ShapeError, TransformerLM } from 'cfgdistill';
import { loadChordDatabase } from 'cfgdistill/tasks/chords';

const guided = guidedLogits(Float32Array.of(1, 2), Float32Array.of(0, 0), 3, { vocab: 2 });
assert.deepStrictEqual([...guided], [3, 6]);
assert.throws(() => guidedLogits(new Float32Array(3), new Float32Array(4), 3, { vocab: 2 }), ShapeError);

const folder = mkdtempSync(join(tmpdir(), 'cfgdistill-consumer-'));
const model = new TransformerLM({ vocabularySize: 16, depth: 1, width: 16, heads: 2, maxPositions: 8 }, { seed: 1 });
await model.save(join(folder, 'model.safetensors'));
const read = await TransformerLM.load(join(folder, 'model.safetensors'));
rmSync(folder, { recursive: true });
const sampler = new Sampler(read, { temperature: 1, stopToken: 0, seed: 3 });
const drawn = [];
for await (const { tokens } of sampler.generate([Int32Array.of(2)], { samplesPerPrompt: 1, maxTokens: 4 }))
  drawn.push([...tokens]);
assert(loadChordDatabase().voicings.length > 1000);

const required = createRequire(import.meta.url)('cfgdistill');
for (const [name, value] of Object.entries(library)) assert.strictEqual(required[name], value, name);
console.log(`esm ${process.version} ${JSON.stringify(drawn[0])}`);
