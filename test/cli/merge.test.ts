import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadSafetensors, saveSafetensors } from '../../lib/models/safetensors.ts';
import { mixedTensors, valuesOf, writeSharded } from '../support/checkpoints.ts';
import { json, run, temporaryFolder } from './command.ts';

const { folder, remove } = temporaryFolder();
const [a, b] = [mixedTensors(1), mixedTensors(2)];
const scaleOf = async (name: string) => valuesOf((await loadSafetensors(join(folder, name))).tensors.get('scale')!)[0]!;
const [x, y] = [valuesOf(a.scale!)[0]!, valuesOf(b.scale!)[0]!];

beforeAll(async () => {
  await saveSafetensors(join(folder, 'a.safetensors'), Object.entries(a));
  await saveSafetensors(join(folder, 'b.safetensors'), Object.entries(b));
  const { scale, ...others } = a;
  writeSharded(join(folder, 'sharded'), [{ scale: scale! }, others]);
});
afterAll(remove);

it('takes a method, weights by name and a bound of memory', async () => {
  const layers = ['--layer', 'blocks.*=0', '--layer', 'scale=0.25', '--layer', 'sc*=1'];
  const ends = ['--quality', 'a.safetensors', '--diverse', 'b.safetensors'];
  const result = await json(
    folder,
    'merge',
    ...ends,
    '--weights',
    '0.5',
    ...layers,
    '--method',
    'slerp',
    '--memory',
    '1',
  );
  expect(result.files).toEqual([{ weight: 0.5, path: 'merged-0.5.safetensors' }]);
  expect(await scaleOf('merged-0.5.safetensors')).toBeCloseTo(0.75 * x + 0.25 * y, 6);
  const { tensors, metadata } = await loadSafetensors(join(folder, 'merged-0.5.safetensors'));
  expect(tensors.get('blocks.0.norm')).toEqual(a['blocks.0.norm']);
  expect(JSON.parse(metadata.merged_from!)).toMatchObject({ method: 'slerp', layers: [{ weight: 0 }, {}, {}] });
  await json(folder, 'merge', '--average', 'a.safetensors', 'b.safetensors', '--layer', 'scale=1,3');
  expect(await scaleOf('averaged.safetensors')).toBeCloseTo(0.25 * x + 0.75 * y, 6);
});

it('gives folders for what is sharded, and shows how far it is', async () => {
  const { code, stdout, stderr } = await run(
    folder,
    'merge',
    '--quality',
    'sharded',
    '--diverse',
    'b.safetensors',
    '--weights',
    '0,0.5',
  );
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'merged-0\nmerged-0.5\n' });
  expect(stderr).toContain('Merging');
  expect(readdirSync(join(folder, 'merged-0.5')).sort()).toEqual(readdirSync(join(folder, 'sharded')).sort());
  expect(await scaleOf('merged-0.5/model-00001-of-00002.safetensors')).toBeCloseTo((x + y) / 2, 6);
});
