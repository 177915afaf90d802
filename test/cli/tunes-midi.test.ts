import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readAbc, writeMidi } from 'cfgdistill/tasks/tunes';
import { afterAll, expect, it } from 'vitest';
import type { Point } from '../../lib/evaluation/types.ts';
import { TREE_TUNES } from '../support/tree-tunes.ts';
import { json, run, TINY_BASE, TINY_EMBEDDER, temporaryFolder } from './command.ts';
import { PLAIN } from './tunes-scene.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);

it('goes from a folder of MIDI files to tunes and their front', async () => {
  const data = join(folder, 'midi');
  mkdirSync(data);
  // By their files' names Willow, Alder and Maple are held out: the names of MIDI tracks decide nothing.
  for (const tune of readAbc(TREE_TUNES.join('\n')).tunes) {
    writeFileSync(join(data, `${tune.title.replace('The ', '')}.mid`), await writeMidi(tune));
  }
  writeFileSync(join(data, 'broken.mid'), 'MThd and no more');
  const tunes = ['--task', 'tunes', '--data', 'midi'];
  const learnt = ['--steps', '40', '--learning-rate', '0.01'];
  const base = await json(folder, 'train-base', ...tunes, ...TINY_BASE, ...learnt);
  expect(base.data).toMatchObject({ items: TREE_TUNES.length, problems: { count: 1, lost: 1 } });
  const { heldOut } = base.data as { heldOut: number };
  expect(heldOut).toBe(3);

  await json(folder, 'train-embedder', ...tunes, ...TINY_EMBEDDER, '--steps', '2');
  const second = ['--seed', '1', '--steps', '3', '--output', 'second.safetensors'];
  await json(folder, 'train-embedder', ...tunes, ...TINY_EMBEDDER, ...second);
  await json(folder, 'train-adherence', ...tunes, ...TINY_EMBEDDER, '--steps', '2');
  const few = ['--steps', '2', '--prompts-per-step', '2', '--samples-per-prompt', '2', '--max-tokens', '16'];
  const distill = ['distill', '--data', 'midi', '--base', 'base.safetensors', ...few];
  await json(folder, ...distill, '--output', 'quality.safetensors');
  const reward = ['--embedder', 'embedder.safetensors', '--beta', '2'];
  await json(folder, ...distill, ...reward, '--output', 'diverse.safetensors');
  const ends = ['--quality', 'quality.safetensors', '--diverse', 'diverse.safetensors'];
  await json(folder, 'merge', ...ends, '--weights', '0.5');

  const model = ['sample', '--model', 'merged-0.5.safetensors', '--prompt', 'a tune in 6/8, D major'];
  const sampled = await run(folder, ...model, '--full-bars', '--samples', '2', '--output', 'heard', '--quiet');
  expect(sampled).toMatchObject({ code: 0, stderr: '' });
  expect(readdirSync(join(folder, 'heard'))).toHaveLength(6);

  const models = ['quality', 'diverse', 'merged-0.5'].flatMap((name) => ['--model', `${name}.safetensors`]);
  const judges = [
    ...['--embedder', 'embedder.safetensors', '--independent', 'second.safetensors'],
    ...['--adherence', 'adherence.safetensors'],
  ];
  const given = ['--data', 'midi', '--base', 'base.safetensors', ...models, ...judges, ...PLAIN];
  const { points, mergePaths } = await json(folder, 'evaluate', ...given);
  expect((points as Point[]).map(({ name }) => name)).toEqual(['base', 'CFG γ 3', 'quality', 'diverse', 'merged-0.5']);
  expect(mergePaths).toMatchObject([{ beta: 2, lambda: [0, 0.5, 1] }]);
}, 120_000);
