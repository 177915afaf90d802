import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CheckpointError, ValueError } from '../lib/errors.ts';
import { claimOutputFolder, OUTPUT_MARKER, openFile, readExactly, readJson, writeFileAtomic } from '../lib/files.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cfgdistill-files-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('writeFileAtomic', () => {
  it('writes strings, bytes and chunks, and leaves nothing else behind', async () => {
    await writeFileAtomic(join(folder, 'a'), 'äb');
    await writeFileAtomic(join(folder, 'b'), new Uint8Array([1, 2, 3]));
    await writeFileAtomic(join(folder, 'c'), [new Uint8Array([4]), 'x', new Uint8Array(0)]);
    async function* chunks() {
      yield 'one ';
      yield new Uint8Array([0x74, 0x77, 0x6f]);
    }
    await writeFileAtomic(join(folder, 'd'), chunks());
    expect(await readFile(join(folder, 'a'), 'utf8')).toBe('äb');
    expect([...(await readFile(join(folder, 'b')))]).toEqual([1, 2, 3]);
    expect([...(await readFile(join(folder, 'c')))]).toEqual([4, 0x78]);
    expect(await readFile(join(folder, 'd'), 'utf8')).toBe('one two');
    expect((await readdir(folder)).sort()).toEqual(['a', 'b', 'c', 'd']);
  });

  it('writes only the bytes of a view', async () => {
    await writeFileAtomic(join(folder, 'a'), new Uint8Array([1, 2, 3, 4]).subarray(1, 3));
    expect([...(await readFile(join(folder, 'a')))]).toEqual([2, 3]);
  });

  it('takes a name as long as the system allows', async () => {
    const name = 'n'.repeat(255);
    await writeFileAtomic(join(folder, name), 'x');
    expect(await readdir(folder)).toEqual([name]);
  });

  it('keeps the old content and no temporary when the source fails midway', async () => {
    const path = join(folder, 'a');
    await writeFileAtomic(path, 'old');
    const failure = new Error('the source broke');
    async function* broken() {
      yield 'new';
      throw failure;
    }
    await expect(writeFileAtomic(path, broken())).rejects.toBe(failure);
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(folder)).toEqual(['a']);
  });

  it('shows the old content until the whole of the new is there', async () => {
    const path = join(folder, 'a');
    await writeFileAtomic(path, 'old');
    const seen: string[] = [];
    async function* slow() {
      yield 'new ';
      seen.push(await readFile(path, 'utf8'));
      yield 'content';
    }
    await writeFileAtomic(path, slow());
    expect(seen).toEqual(['old']);
    expect(await readFile(path, 'utf8')).toBe('new content');
  });

  it('removes the temporary when the rename fails', async () => {
    const path = join(folder, 'sub');
    await mkdir(join(path, 'inner'), { recursive: true });
    await expect(writeFileAtomic(path, 'x')).rejects.toThrow(CheckpointError);
    expect(await readdir(folder)).toEqual(['sub']);
  });

  it('names the path and the folder that is missing', async () => {
    const path = join(folder, 'none', 'a.json');
    const error = await writeFileAtomic(path, 'x').catch((e: unknown) => e);
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error).toMatchObject({ code: 'ERR_CHECKPOINT', argument: path });
    expect((error as Error).message).toBe(
      `${path}: cannot be written: the folder ${join(folder, 'none')} does not exist`,
    );
  });
});

describe('reading', () => {
  it('names a missing file', async () => {
    const path = join(folder, 'none.json');
    await expect(readJson(path)).rejects.toThrow(`${path}: cannot be read: there is no such file`);
    await expect(openFile(path)).rejects.toThrow(CheckpointError);
  });

  it('refuses a folder where a file is expected', async () => {
    await expect(openFile(folder)).rejects.toThrow(/expected a file, got a folder/);
    await expect(readJson(folder)).rejects.toThrow(/it is a folder/);
  });

  it('reads JSON, and names the file that holds something else', async () => {
    await writeFile(join(folder, 'good.json'), '{"a":[1]}');
    await writeFile(join(folder, 'bad.json'), '{"a":');
    expect(await readJson(join(folder, 'good.json'))).toEqual({ a: [1] });
    await expect(readJson(join(folder, 'bad.json'))).rejects.toThrow(/bad\.json: expected JSON/);
  });

  it('reads an exact range, and says where a file ended early', async () => {
    const path = join(folder, 'a');
    await writeFile(path, new Uint8Array([1, 2, 3, 4, 5]));
    const { handle, size } = await openFile(path);
    try {
      expect(size).toBe(5);
      const bytes = new Uint8Array(3);
      await readExactly(handle, bytes, 1, path);
      expect([...bytes]).toEqual([2, 3, 4]);
      await expect(readExactly(handle, new Uint8Array(4), 3, path)).rejects.toThrow(/7 bytes or more.*ended at 5/);
    } finally {
      await handle.close();
    }
  });
});

describe('claimOutputFolder', () => {
  const marker = { kind: 'demo', seed: 3 };

  it('makes an absent folder with its parents, then recognises it and keeps its marker', async () => {
    const path = join(folder, 'x', 'y');
    expect(await claimOutputFolder(path, marker)).toBeNull();
    expect(await readdir(path)).toEqual([OUTPUT_MARKER]);
    await writeFile(join(path, 'report.json'), '{}');
    expect(await claimOutputFolder(path, { kind: 'demo', seed: 4 })).toEqual(marker);
    expect(await readJson(join(path, OUTPUT_MARKER))).toEqual(marker);
  });

  it('takes an empty folder, also through a link', async () => {
    await mkdir(join(folder, 'empty'));
    await symlink(join(folder, 'empty'), join(folder, 'link'));
    expect(await claimOutputFolder(join(folder, 'link'), marker)).toBeNull();
    expect(await readJson(join(folder, 'empty', OUTPUT_MARKER))).toEqual(marker);
  });

  it('counts what a killed claim left as empty', async () => {
    await writeFile(join(folder, '.cfgdistill-0123456789abcdef.tmp'), '{"ki');
    expect(await claimOutputFolder(folder, marker)).toBeNull();
  });

  it.each([
    ['something else', 'notes.txt', 'mine', /holds "notes\.txt"; nothing/],
    ['another kind of output', OUTPUT_MARKER, '{"kind":"trainer"}', /belongs to a "trainer" run/],
    ['a marker that is not JSON', OUTPUT_MARKER, '{', /cannot be understood/],
    ['a marker without a kind', OUTPUT_MARKER, '[1]', /not one of this program's/],
  ])('refuses a folder that holds %s and leaves it alone', async (_, name, content, message) => {
    await writeFile(join(folder, name), content);
    const error = await claimOutputFolder(folder, marker).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ValueError);
    expect((error as ValueError).argument).toBe('output');
    expect((error as Error).message).toMatch(message);
    expect(await readdir(folder)).toEqual([name]);
    expect(await readFile(join(folder, name), 'utf8')).toBe(content);
  });

  it('refuses a file, and a path below a file', async () => {
    await writeFile(join(folder, 'file'), 'mine');
    await expect(claimOutputFolder(join(folder, 'file'), marker)).rejects.toThrow(ValueError);
    await expect(claimOutputFolder(join(folder, 'file', 'sub'), marker)).rejects.toThrow(ValueError);
    expect(await readFile(join(folder, 'file'), 'utf8')).toBe('mine');
  });
});
