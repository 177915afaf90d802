import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CheckpointError, ValueError } from '../../lib/errors.ts';
import { withHeldOut } from '../../lib/tasks/tunes/held-out.ts';
import { LineSplitter } from '../../lib/tasks/tunes/lines.ts';
import { writeMidi } from '../../lib/tasks/tunes/midi/write.ts';
import { readTunes } from '../../lib/tasks/tunes/read-tunes.ts';
import { splitOf, titleCluster } from '../../lib/tasks/tunes/split.ts';
import { uniqueIds } from '../../lib/tasks/tunes/unique-ids.ts';
import { haveLabelledTunes, LABELLED_TUNES, tuneOf } from './scene.ts';

const abc = (number: number, title: string, body = 'CDEF|') => `X:${number}\nT:${title}\nL:1/8\nK:C\n${body}\n\n`;
const line = (fields: object) => `${JSON.stringify({ key: 'C', mode: 'major', notes: '60:12', ...fields })}\n`;

describe('reading files and folders of tunes', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tunes-'));
  });
  afterEach(() => rm(folder, { recursive: true }));
  const put = async (name: string, content: string | Uint8Array) => {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeFile(join(folder, name), content);
    return join(folder, name);
  };

  it('takes every format, in the order of paths', async () => {
    await put('b/two.ABC', abc(1, 'One') + abc(2, 'Two'));
    await put('b.abc', abc(1, 'Uno'));
    await put('a.mid', await writeMidi(tuneOf('60:12', { title: 'Melody' })));
    await put('c.MIDI', await writeMidi(tuneOf('60:12')));
    await put('d.jsonl', line({ id: 'own', split: 'validation' }) + line({}));
    await put('e.jsonl.gz', gzipSync(line({ title: 'Packed' })));
    await put('f.txt', abc(1, 'no'));
    await put('.hidden.abc', abc(1, 'no'));
    await symlink(folder, join(folder, 'loop'));
    const progress: object[] = [];
    const { tunes, problems } = await readTunes(folder, { onProgress: (step) => progress.push(step) });
    expect(problems).toEqual([]);
    expect(tunes.map(({ id }) => id)).toEqual(['a', 'b#1', 'b/two#1', 'b/two#2', 'c', 'own', 'd#2', 'e#1']);
    expect(tunes.find(({ id }) => id === 'own')!.split).toBe('validation');
    expect(progress).toHaveLength(6);
    expect(progress.at(-1)).toEqual({ files: 6, done: 6, tunes: 8 });
    expect((await readTunes(folder)).tunes).toEqual(tunes);
  });

  it('reads a single file', async () => {
    const { tunes } = await readTunes(await put('one.abc', abc(3, 'Kesh, The')));
    expect(tunes).toMatchObject([{ id: 'one#3', title: 'Kesh, The', split: splitOf('kesh') }]);
  });

  it('plays repeats out where that is asked, and tells of a tune that would never end', async () => {
    const many = Array.from({ length: 40 }, () => '|:C:|').join('');
    await put('a.abc', abc(1, 'Twice', '|:CDEF:|GABc|]'));
    await put('b.jsonl', line({ id: 'long', notes: `${'60:12 '.repeat(60_000)}:|` }) + line({ id: 'many', abc: many }));
    const asWritten = await readTunes(folder);
    expect(asWritten.problems).toEqual([]);
    const { tunes, problems } = await readTunes(folder, { unroll: true });
    expect(tunes.map(({ id }) => id)).toEqual(['a#1', 'many']);
    const pitches = tunes[0]!.elements.flatMap((e) => (e.kind === 'note' ? [e.pitch] : []));
    expect(pitches).toEqual([60, 62, 64, 65, 60, 62, 64, 65, 67, 69, 71, 72]);
    expect(tunes[0]!.split).toBe(asWritten.tunes[0]!.split);
    expect(problems).toMatchObject([{ file: expect.stringMatching(/b\.jsonl$/), lost: true }]);
    expect(problems[0]!.message).toMatch(/tune long: .*100,?000/);
  });

  it('lets ABC’s accidentals be read as is asked', async () => {
    const path = await put('one.abc', abc(1, '', '^FfF'));
    const second = async (accidentals?: 'octave') =>
      (await readTunes(path, accidentals ? { accidentals } : {})).tunes[0]!.elements[1];
    expect(await second()).toMatchObject({ pitch: 78 });
    expect(await second('octave')).toMatchObject({ pitch: 77 });
    await expect(readTunes(path, { accidentals: 'x' as 'octave' })).rejects.toThrow('accidentals: expected one of');
  });

  it('tells of what is bad, and keeps the rest', async () => {
    const bad = await put('a.abc', abc(1, 'One') + abc(2, 'Two', 'C [[['));
    const midi = await put('b.mid', 'no midi');
    const json = await put('c.jsonl', `${line({})}nothing\n`);
    const packed = gzipSync(
      line({ id: 'kept' }) + Array.from({ length: 5000 }, (_, i) => line({ title: `${i * 7919}` })).join(''),
    );
    const cut = await put('d.jsonl.gz', packed.subarray(0, packed.length - 20));
    const plain = await put('e.jsonl.gz', 'not packed');
    const { tunes, problems } = await readTunes(folder);
    expect(tunes.slice(0, 3).map(({ id }) => id)).toEqual(['a#1', 'c#1', 'kept']);
    expect(problems.map(({ file, line: at }) => [file, at])).toEqual([
      [bad, 11],
      [midi, undefined],
      [json, 2],
      [cut, undefined],
      [plain, undefined],
    ]);
    expect(problems[3]!.message).toContain('expected gzip data: unexpected end of file');
    expect(problems[4]!.message).toContain('expected gzip data: incorrect header check');
    expect(problems.every(({ file, message, lost }) => lost && message.startsWith(file))).toBe(true);
  });

  it('is an error without any tune', async () => {
    const failure = async (path: string) => {
      try {
        await readTunes(path);
      } catch (error) {
        return error as Error;
      }
      throw new Error('no error');
    };
    expect(await failure(folder)).toBeInstanceOf(CheckpointError);
    expect((await failure(folder)).message).toContain('expected tunes, got no file that ends in .abc');
    const empty = await failure(await put('a.abc', abc(1, 'One', 'C €')));
    expect(empty).toBeInstanceOf(CheckpointError);
    expect(empty.message).toContain('a.abc: expected tunes, got none; ');
    expect(empty.message).toContain('a.abc:5:3: X:1 "One"');
    expect((await failure(join(folder, 'nowhere'))).message).toContain('cannot be read: there is no such file');
    const text = await failure(await put('a.txt', 'text'));
    expect(text).toBeInstanceOf(ValueError);
    expect(text.message).toContain(
      'path: expected a folder, or a file that ends in .abc, .mid, .midi, .jsonl, .jsonl.gz',
    );
  });

  it('stops when it is told to', async () => {
    await put('a.abc', abc(1, 'One'));
    await put('b.jsonl', line({}));
    const reason = new Error('enough');
    await expect(readTunes(folder, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const onProgress = () => controller.abort(reason);
    await expect(readTunes(folder, { signal: controller.signal, onProgress })).rejects.toBe(reason);
  });

  it('reads what lies in Latin-1, with any ends of lines', async () => {
    const latin = Buffer.from('X:1\rT:Caf\xe9\rK:C\rC|\r\rX:2\r\nT:Two\r\nK:C\r\nD|', 'latin1');
    const { tunes } = await readTunes(await put('old.abc', latin));
    expect(tunes.map(({ title }) => title)).toEqual(['Café', 'Two']);
  });

  it('passes over a line without end', async () => {
    const { tunes, problems } = await readTunes(
      await put('long.abc', `${abc(1, 'One')}X:2\nK:C\n${'C'.repeat(2 ** 24)}`),
    );
    expect(tunes).toHaveLength(1);
    expect(problems[0]!.message).toContain('expected a line of at most 1048576 characters, got 8388608');
  });

  it.skipIf(!haveLabelledTunes)('reads the labelled tunes as they are split', async () => {
    const { tunes, problems } = await readTunes(LABELLED_TUNES);
    expect(problems).toEqual([]);
    expect(tunes).toHaveLength(2508);
    expect(tunes.filter(({ split }) => split === 'validation')).toHaveLength(265);
    expect(new Set(tunes.map(({ id }) => id)).size).toBe(2508);
  });
});

describe('splits', () => {
  it('are those of the title, whatever its form', () => {
    for (const title of ['The Kesh', 'Kesh, The', 'KESH', ' the  kesh! ', 'Késh'])
      expect(titleCluster(title)).toBe('kesh');
    expect(titleCluster("Paddy's Jig")).toBe('paddys jig');
    expect(titleCluster('Аннушка № 2')).toBe('аннушка no 2');
    expect(titleCluster('The')).toBe('the');
    expect(titleCluster('?!')).toBe('');
  });

  it('hold a tenth out, always the same', () => {
    const held = Array.from({ length: 10_000 }, (_, index) => splitOf(`tune ${index}`)).filter(
      (s) => s === 'validation',
    );
    expect(held.length).toBeGreaterThan(900);
    expect(held.length).toBeLessThan(1100);
    // SHA-256 begins with ca978112 for a and with 18ac3e73 for d; a tenth of 2³² is 19999999.
    expect([splitOf('a'), splitOf('d')]).toEqual(['train', 'validation']);
  });
});

describe('parts', () => {
  it('of lines are put together whatever the chunks', () => {
    const text = Buffer.from('á\r\nb\n\nc\rd€\n');
    for (let size = 1; size <= text.length; size++) {
      const lines: string[] = [];
      const splitter = new LineSplitter((one) => lines.push(one));
      for (let at = 0; at < text.length; at += size) splitter.push(text.subarray(at, at + size));
      splitter.end();
      expect(lines).toEqual(['á', 'b', '', 'c', 'd€']);
    }
  });

  it('of ids make them unique', () => {
    const identify = uniqueIds('~');
    expect(['a', 'a', 'a~2', 'a', 'b', 'a~2'].map(identify)).toEqual(['a', 'a~2', 'a~2~2', 'a~3', 'b', 'a~2~3']);
    const many = uniqueIds('~');
    expect(new Set(Array.from({ length: 50_000 }, () => many('x'))).size).toBe(50_000);
  });
});

describe('withHeldOut', () => {
  const tunes = (count: number, heldOut: number) =>
    Array.from({ length: count }, (_, i) => ({
      ...tuneOf('60:12', { title: `Tune ${i}` }),
      split: i < heldOut ? ('validation' as const) : ('train' as const),
    }));
  const held = (given: ReturnType<typeof tunes>) =>
    withHeldOut(given).tunes.flatMap(({ title, split }) => (split === 'validation' ? [title] : []));

  it('leaves a split that serves, and fewer than six tunes, as they are', () => {
    for (const given of [tunes(6, 2), tunes(40, 4), tunes(5, 0), tunes(5, 5)]) {
      expect(withHeldOut(given)).toEqual({ tunes: given, heldOut: null });
    }
  });

  it('holds out a tenth, at least two, by title and not by place', () => {
    expect(withHeldOut(tunes(6, 0)).heldOut).toBe(2);
    expect(withHeldOut(tunes(6, 6)).heldOut).toBe(2);
    const forty = tunes(40, 1);
    expect(withHeldOut(forty).heldOut).toBe(4);
    expect(held(forty)).toHaveLength(4);
    expect(held(forty.toReversed()).sort()).toEqual(held(forty).sort());
  });
});
