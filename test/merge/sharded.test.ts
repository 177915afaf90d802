import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CheckpointError, ValueError } from '../../lib/errors.ts';
import { averageCheckpoints, type MergeOptions, mergeCheckpoints } from '../../lib/merge.ts';
import { loadSafetensors, type StoredTensor, saveSafetensors } from '../../lib/models/safetensors.ts';
import { mixedTensors, snapshot, type Tensors, valuesOf, writeSharded } from '../support/checkpoints.ts';

let folder: string;
const at = (name: string): string => join(folder, name);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cfgdistill-sharded-'));
});
afterEach(() => rm(folder, { recursive: true }));

const INDEX = 'model.safetensors.index.json';
const [a, b] = [mixedTensors(1), mixedTensors(2)];
const names = Object.keys(a);

/** The tensors in this many shards, the i-th tensor in shard i · step modulo the number. */
function split(tensors: Tensors, count: number, step = 1): Tensors[] {
  const shards: Tensors[] = Array.from({ length: count }, () => ({}));
  names.forEach((name, i) => {
    shards[(i * step) % count]![name] = tensors[name]!;
  });
  return shards;
}

async function tensorsOf(path: string): Promise<Record<string, StoredTensor>> {
  const files = readdirSync(path).filter((name) => name.endsWith('.safetensors'));
  const parts = await Promise.all(files.map(async (name) => (await loadSafetensors(join(path, name))).tensors));
  return Object.fromEntries(parts.flatMap((tensors) => [...tensors]));
}

function expectMiddle(merged: Record<string, StoredTensor>): void {
  expect(Object.keys(merged).sort()).toEqual([...names].sort());
  for (const name of names) {
    if (a[name]!.dtype === 'I32') continue;
    const [x, y] = [valuesOf(a[name]!), valuesOf(b[name]!)];
    const unit = { F32: 2 ** -24, F16: 2 ** -11, BF16: 2 ** -8 }[a[name]!.dtype as 'F32'];
    // Sums of two are exact or nearly so in float32: one rounding is left.
    valuesOf(merged[name]!).forEach((value, i) => {
      const exact = (x[i]! + y[i]!) / 2;
      expect(Math.abs(value - exact)).toBeLessThanOrEqual(Math.abs(exact) * unit * 1.01);
    });
  }
}

describe('sharded checkpoints', () => {
  it('give folders sharded as the first is, from whatever the second is', async () => {
    const quality = writeSharded(at('q'), split(a, 3), { format: 'pt' }, { total_parameters: 7 });
    await saveSafetensors(at('single'), Object.entries(b));
    const others = [writeSharded(at('same'), split(b, 3)), writeSharded(at('other'), split(b, 4, 3)), at('single')];
    for (const [i, diverse] of others.entries()) {
      const output = at(`out/${i}-{weight}`);
      const merged = await mergeCheckpoints({ quality, diverse, weights: [0, 0.5, 1], output, memoryBytes: 20480 });
      expect(merged.map(({ path }) => basename(path))).toEqual([`${i}-0`, `${i}-0.5`, `${i}-1`]);
      for (const { path } of merged) {
        expect(readdirSync(path).sort()).toEqual(readdirSync(quality).sort());
        for (const name of readdirSync(quality).filter((name) => name !== INDEX)) {
          const [own, like] = [await loadSafetensors(join(path, name)), await loadSafetensors(join(quality, name))];
          expect([...own.tensors.keys()].sort()).toEqual([...like.tensors.keys()].sort());
          expect(own.metadata.format).toBe('pt');
          expect(JSON.parse(own.metadata.merged_from!)).toMatchObject({ quality, diverse });
        }
      }
      expect(await tensorsOf(at(`out/${i}-0`))).toEqual(a);
      expect(await tensorsOf(at(`out/${i}-1`))).toEqual({ ...b, steps: a.steps });
      expectMiddle(await tensorsOf(at(`out/${i}-0.5`)));
    }
    const index = JSON.parse(readFileSync(at(`out/0-0.5/${INDEX}`), 'utf8'));
    const given = JSON.parse(readFileSync(join(quality, INDEX), 'utf8'));
    expect(index.weight_map).toEqual(given.weight_map);
    expect(index.metadata).toMatchObject(given.metadata);
    expect(JSON.parse(index.metadata.merged_from)).toEqual({ quality, diverse: others[0], weight: 0.5 });
  });

  it('are read by their index or folder, merged again, and into one file where the first is one', async () => {
    const quality = writeSharded(at('q'), split(a, 2));
    const diverse = writeSharded(at('d'), split(b, 2));
    await mergeCheckpoints({
      quality: join(quality, INDEX),
      diverse: join(diverse, INDEX),
      weights: [0.5],
      output: at('m'),
    });
    await averageCheckpoints({ checkpoints: [at('m'), at('m')], output: at('again') });
    expectMiddle(await tensorsOf(at('again')));
    await mkdir(at('f'));
    await saveSafetensors(at('f/anything.safetensors'), Object.entries(a));
    await averageCheckpoints({ checkpoints: [at('f'), diverse], output: at('one.safetensors') });
    expectMiddle(Object.fromEntries((await loadSafetensors(at('one.safetensors'))).tensors));
  });

  it('take an empty folder, and refuse one that holds anything, an input and a file', async () => {
    const quality = writeSharded(at('q'), split(a, 2));
    const diverse = writeSharded(at('d'), split(b, 2));
    await mkdir(at('empty'));
    await mergeCheckpoints({ quality, diverse, weights: [0.5], output: at('empty') });
    writeFileSync(at('file'), 'x');
    await symlink(quality, at('link'));
    const refused = async (options: Partial<MergeOptions>, message: RegExp) => {
      const before = await snapshot(folder);
      const merging = mergeCheckpoints({ quality, diverse, weights: [0.5], output: at('new'), ...options });
      await expect(merging).rejects.toThrow(ValueError);
      await expect(merging).rejects.toThrow(message);
      expect(await snapshot(folder)).toEqual(before);
    };
    await refused(
      { output: at('empty') },
      /^output: expected a new or empty folder, .* got the folder .*empty; nothing/,
    );
    await refused({ output: at('file') }, /^output: expected a new or empty folder, .* got the file .*file; nothing/);
    for (const own of [quality, diverse, at('link'), `${folder}/./q/`, at('q/model-00001-of-00002.safetensors')]) {
      await refused({ output: own }, /^output: expected a file of its own, got the input /);
    }
    await refused({ output: join(quality, INDEX) }, /^output: expected a file of its own, got the input/);
    await saveSafetensors(at('single'), Object.entries(a));
    await refused(
      { quality: at('single'), diverse: quality, output: at('q/model-00001-of-00002.safetensors') },
      /got the input /,
    );
    await refused(
      { quality: at('single'), diverse: quality, output: at('empty') },
      /^output: expected a file, got the folder/,
    );
    await refused({ weights: [0, 1], output: at('link/../{weight}/../x') }, /^output: expected '\{weight\}' in it/);
  });

  it('report what one has and the other has not, by name', async () => {
    const { empty: _, scale: __, ...fewer } = b;
    const quality = writeSharded(at('q'), split(a, 2));
    const merging = (x: string, y: string) =>
      mergeCheckpoints({ quality: x, diverse: y, weights: [0.5], output: at('m') });
    await saveSafetensors(at('fewer'), Object.entries(fewer));
    await expect(merging(quality, at('fewer'))).rejects.toThrow(
      `${at('fewer')}: expected tensors 'empty' and 'scale' like ${quality}, got none`,
    );
    await expect(merging(at('fewer'), quality)).rejects.toThrow(
      `${quality}: expected the same tensors like ${at('fewer')}, got further ones, 'empty' and 'scale'`,
    );
    const many = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`t${i}`, a.scale!]));
    await saveSafetensors(at('many'), Object.entries({ ...a, ...many }));
    await expect(merging(at('many'), quality)).rejects.toThrow(/tensors 't0', 't1', 't2', 't3', 't4' and 4 more like/);
  });

  it('report tied tensors that one stores and the other names in its metadata', async () => {
    const head = { 'lm_head.weight': a['blocks.0.norm']!, 'embed.weight': a['blocks.0.norm']! };
    const { 'lm_head.weight': _, ...tied } = head;
    await saveSafetensors(at('both'), Object.entries(head));
    await saveSafetensors(at('tied'), Object.entries(tied), { 'lm_head.weight': 'embed.weight' });
    const told = /: there 'lm_head\.weight' is tied to 'embed\.weight', as its metadata says, while .*both stores both/;
    const merging = (x: string, y: string) =>
      mergeCheckpoints({ quality: at(x), diverse: at(y), weights: [0.5], output: at('m') });
    await expect(merging('both', 'tied')).rejects.toThrow(told);
    await expect(merging('tied', 'both')).rejects.toThrow(told);
    await merging('tied', 'tied');
    expect((await loadSafetensors(at('m'))).metadata['lm_head.weight']).toBe('embed.weight');
  });
});

describe('pickles', () => {
  const convert = /expected safetensors, got a PyTorch file \(pickle\).*convert it to safetensors/;
  it.each(['model.bin', 'model.pt', 'model.pth', 'model.ckpt', 'model.pkl', 'MODEL.PT'])('refuses %s', async (name) => {
    writeFileSync(at(name), Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(40, 1)]));
    await saveSafetensors(at('good'), Object.entries(a));
    for (const ends of [
      { quality: at(name), diverse: at('good') },
      { quality: at('good'), diverse: at(name) },
    ]) {
      const merging = mergeCheckpoints({ ...ends, weights: [0.5], output: at('m') });
      await expect(merging).rejects.toThrow(CheckpointError);
      await expect(merging).rejects.toThrow(convert);
    }
    writeFileSync(at(name), 'neither a pickle nor anything else');
    await expect(averageCheckpoints({ checkpoints: [at(name)], output: at('m') })).rejects.toThrow(convert);
  });

  it('refuses folders and indices of them, and says that a missing one is missing', async () => {
    await mkdir(at('p'));
    writeFileSync(at('p/pytorch_model.bin'), 'PK\x03\x04____');
    await expect(averageCheckpoints({ checkpoints: [at('p')], output: at('m') })).rejects.toThrow(convert);
    const index = 'pytorch_model.bin.index.json';
    writeFileSync(at(`p/${index}`), JSON.stringify({ weight_map: { a: 'pytorch_model-00001-of-00001.bin' } }));
    await expect(averageCheckpoints({ checkpoints: [at(`p/${index}`)], output: at('m') })).rejects.toThrow(convert);
    await expect(averageCheckpoints({ checkpoints: [at('none.pt')], output: at('m') })).rejects.toThrow(/no such file/);
    await mkdir(at('nothing'));
    await expect(averageCheckpoints({ checkpoints: [at('nothing')], output: at('m') })).rejects.toThrow(
      /nothing: expected a folder with one index \(….safetensors.index.json\) or else one .safetensors file, got none$/,
    );
    await saveSafetensors(at('bytes.bin'), Object.entries(a));
    await averageCheckpoints({ checkpoints: [at('bytes.bin')], output: at('named.bin') });
    expect(Object.fromEntries((await loadSafetensors(at('named.bin'))).tensors)).toEqual(a);
  });
});
