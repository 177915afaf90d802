import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadSafetensors, saveSafetensors } from 'cfgdistill';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TREE_TUNES, writeTreeTunes } from '../support/tree-tunes.ts';
import { json, TINY_BASE, TINY_EMBEDDER, temporaryFolder } from './command.ts';
import { inProcess } from './in-process.ts';
import { BOTH, DISTILL, trainTunes } from './tunes-scene.ts';

const { folder, remove } = temporaryFolder();
const home = process.cwd();
afterAll(() => {
  process.chdir(home);
  remove();
});
const at = (...names: string[]): string => join(folder, ...names);

describe('what is refused', () => {
  const refuses = async (code: number, message: RegExp, ...args: string[]): Promise<void> => {
    const before = readdirSync(folder).sort();
    const ended = await inProcess(args);
    expect(ended.stderr).toMatch(message);
    expect(ended).toMatchObject({ code, stdout: '' });
    expect(readdirSync(folder).sort()).toEqual(before);
  };
  const sample = ['sample', '--model', 'base.safetensors', '--prompt'];
  const jig = 'a jig in 6/8, D major';

  beforeAll(async () => {
    await trainTunes(folder);
    mkdirSync(at('empty'));
    writeTreeTunes(at('other'));
    writeFileSync(at('other', 'more.abc'), (TREE_TUNES[1] as string).replace('The Elm', 'The Fig'));
    writeTreeTunes(at('long-notes'));
    writeFileSync(at('long-notes', 'long.abc'), 'X:1\nT:Pear\nM:4/4\nL:1/8\nK:C\nC7D|E7F|\n');
    const data = new Uint8Array(4);
    await saveSafetensors(at('foreign.safetensors'), [['x', { dtype: 'F32', shape: [1], data }]]);
    await json(folder, 'train-base', ...TINY_BASE, '--steps', '1', '--output', 'chords.safetensors');
    const long = ['--task', 'tunes', '--data', 'long-notes', ...TINY_BASE, '--steps', '1'];
    await json(folder, 'train-base', ...long, '--output', 'long.safetensors');
    const { tensors, metadata } = await loadSafetensors(at('audio.safetensors'));
    const { audio: _, format: __, ...rest } = metadata;
    await saveSafetensors(at('deaf.safetensors'), tensors, { ...rest, format: 'cfgdistill', audio: '{}' });
    process.chdir(folder);
  }, 120_000);

  it.each<[RegExp, string[]]>([
    [
      /^cfgdistill: --data: task 'tunes' expects a file or a folder of .*, got none\n$/,
      ['train-base', '--task', 'tunes', '--output', 'x'],
    ],
    [/--data: task 'tunes' expects .*, got none/, ['distill', '--base', 'base.safetensors']],
    [
      /--data: task 'chords' has data of its own and takes none, got '.*abc'/,
      ['train-base', '--data', 'abc', '-o', 'x'],
    ],
    [
      /--kind: task 'chords' has embedders of kind symbolic, got audio/,
      ['train-embedder', '--kind', 'audio', '--output', 'x'],
    ],
    [/--task: expected one whose quality a model measures \(tunes\), got 'chords'/, ['train-adherence', '-o', 'x']],
    [
      /--beta: expected 2 weights, one per --embedder, got 5\n/,
      [...DISTILL, ...BOTH, '--beta', '5', '--output', 'x.safetensors'],
    ],
    [/--beta: expected 1 weight, got 0,0\n/, [...DISTILL, '--beta', '0,0', '-o', 'x']],
    [/--embedder: expected a checkpoint of .* with --beta 0,1, got none/, [...DISTILL, '--beta', '0,1', '-o', 'x']],
    [/--max-tokens: expected at most 256, got 257/, [...DISTILL, '--max-tokens', '257', '--output', 'x.safetensors']],
    [
      /--max-tokens: expected at most \d+, which the model has room for, got 9999/,
      [...sample, jig, '--max-tokens', '9999'],
    ],
    [
      /--full-bars: expected a metre such as 6\/8 in every prompt, got none in 'a jig'/,
      [...sample, 'a jig', '--full-bars'],
    ],
    [
      /--full-bars: meters: no notes of the vocabulary fill a bar of 1\/32/,
      [...sample, 'a jig in 1/32', '--full-bars'],
    ],
    [/--full-bars: meters: .*bars of whole ticks, got '1\/64'/, [...sample, 'a jig in 1/64', '--full-bars']],
    [/--prompt: 'a jig in 6\/7': meter: expected a metre as "6\/8"/, [...sample, 'a jig in 6/7']],
    [/--prompt: ' ': expected "a <type>/, [...sample, ' ']],
    [
      /--full-bars: task 'chords' has no bars/,
      ['sample', '-m', 'chords.safetensors', '-p', 'guitar C major', '--full-bars'],
    ],
    [/--output: task 'chords' has no files/, ['sample', '-m', 'chords.safetensors', '-p', 'guitar C major', '-o', 'x']],
    [
      /--adherence: task 'tunes' expects a checkpoint of train-adherence, got none/,
      ['evaluate', '--base', 'base.safetensors', '--embedder', 'embedder.safetensors', '--data', 'abc'],
    ],
    [
      /--independent: task 'tunes' expects another checkpoint of train-embedder, got none/,
      [
        ...['evaluate', '--base', 'base.safetensors', '--embedder', 'embedder.safetensors', '--data', 'abc'],
        ...['--adherence', 'adherence.safetensors'],
      ],
    ],
  ])('with 2: %s', (message, args) => refuses(2, message, ...args));

  it.each<[RegExp, string[]]>([
    [/none: cannot be read: there is no such file/, ['train-base', '--task', 'tunes', '--data', 'none', '-o', 'x']],
    [
      /empty: expected tunes, got no file that ends in \.abc/,
      ['train-base', '--task', 'tunes', '--data', 'empty', '-o', 'x'],
    ],
    [
      /--data: expected what .*base\.safetensors was trained on, got other data in .*other: what is held out/,
      ['distill', '--base', 'base.safetensors', '--data', 'other', '--output', 'x.safetensors'],
    ],
    [
      /--data: expected what the models .* in .*long-notes: elements\[0\]: the vocabulary has no/,
      ['distill', '--base', 'base.safetensors', '--data', 'long-notes', '--output', 'x.safetensors'],
    ],
    [
      /long\.safetensors: expected the vocabulary of base\.safetensors, got another one/,
      ['merge', '--quality', 'base.safetensors', '--diverse', 'long.safetensors'],
    ],
    [
      /foreign\.safetensors: expected the vocabulary of task 'tunes' in the metadata/,
      ['sample', '--task', 'tunes', '--model', 'foreign.safetensors', '--prompt', jig],
    ],
    [/--output: expected a folder, got the file abc\/trees-1\.abc/, [...sample, jig, '--output', 'abc/trees-1.abc']],
    [
      /deaf\.safetensors: expected an encoder of audio as \{.*\}, got \{\}/,
      [
        ...DISTILL,
        '--embedder',
        'deaf.safetensors',
        '--beta',
        '1',
        '--output',
        'y.safetensors',
        '--state',
        'abc/state',
      ],
    ],
    [
      /embedder\.safetensors: expected a checkpoint of a TwoTower/,
      [
        ...['evaluate', '--base', 'base.safetensors', '--data', 'abc', '--embedder', 'embedder.safetensors'],
        ...['--independent', 'audio.safetensors', '--adherence', 'embedder.safetensors'],
      ],
    ],
  ])('with 1: %s', (message, args) => refuses(1, message, ...args));

  it('trains without anything held out, and says so', async () => {
    writeFileSync(at('three.abc'), TREE_TUNES.slice(0, 3).join('\n'));
    const args = ['train-embedder', '--task', 'tunes', '--data', 'three.abc', ...TINY_EMBEDDER, '--steps', '1'];
    const { code, stdout } = await inProcess([...args, '--output', 'three.safetensors', '--quiet']);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/: 1 steps, loss .*; nothing is held out that it could be measured on\n$/),
    });
  });
});
