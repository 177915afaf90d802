import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadSafetensors } from 'cfgdistill';
import { readWav } from 'cfgdistill/audio';
import { countFullBars, readAbc, readAbcTune, readMidi, TuneVocabulary, unroll } from 'cfgdistill/tasks/tunes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TREE_TUNES, writeTreeTunes } from '../support/tree-tunes.ts';
import { json, run, stopped, TINY_BASE, TINY_EMBEDDER, temporaryFolder } from './command.ts';
import { BOTH, DISTILL, TUNES, type TunesTrained, trainTunes } from './tunes-scene.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);
const at = (...names: string[]): string => join(folder, ...names);
const metadataOf = async (name: string) => (await loadSafetensors(at(name))).metadata;

let results: TunesTrained;

beforeAll(async () => {
  results = await trainTunes(folder);
}, 120_000);

describe('training on a folder of ABC', () => {
  it('says what was read, and what could not be', () => {
    for (const name of ['base', 'embedder', 'audio', 'adherence', 'quality', 'both'] as const) {
      expect(results[name].data).toEqual({
        path: at('abc'),
        digest: expect.stringMatching(/^[0-9a-f]{64}$/),
        items: TREE_TUNES.length,
        heldOut: 4,
        problems: { count: 1, lost: 1, first: [expect.stringMatching(/broken\.abc:5:3: .*expected a key/)] },
      });
    }
    expect(results.base.settings).toMatchObject({ task: 'tunes', seed: 1, data: at('abc') });
  });

  it('tells problems on standard error', async () => {
    const args = ['train-base', ...TUNES, ...TINY_BASE, '--steps', '1', '--output', 'told.safetensors'];
    const { code, stderr } = await run(folder, ...args);
    expect(code).toBe(0);
    expect(stderr).toMatch(/abc: 15 read; 1 problem, 1 of which cost something:\n {2}.*broken\.abc:5:3: /);
    expect((await run(folder, ...args, '--force', '--quiet')).stderr).toBe('');
  });

  it('writes vocabulary and digest into every checkpoint, the merged one too', async () => {
    const { digest } = results.base.data as { digest: string };
    const { vocabulary } = await metadataOf('base.safetensors');
    expect(TuneVocabulary.fromJSON(JSON.parse(vocabulary as string)).words.words).toContain('waltz');
    for (const name of ['embedder', 'audio', 'adherence', 'quality', 'diverse', 'both', 'merged-0.5']) {
      const told = { task: 'tunes', split_seed: '1', vocabulary, data: digest };
      expect(await metadataOf(`${name}.safetensors`), name).toMatchObject(told);
    }
  });

  it('measures the retrieval of every embedder on what is held out', () => {
    for (const name of ['embedder', 'audio', 'adherence'] as const) {
      const { retrievalAt1, candidates } = results[name].retrieval as { retrievalAt1: number; candidates: number };
      // Two of the four held-out tunes are jigs, whose prompts differ in the tonic alone.
      expect(candidates, name).toBe(name === 'adherence' ? 3 : 4);
      expect([0, 0.25, 0.5, 0.75, 1], name).toContain(retrievalAt1);
    }
    expect(results.audio.settings).toMatchObject({ kind: 'audio', width: 16, dimensions: 8 });
    expect(results.embedder.settings).toMatchObject({ kind: 'symbolic' });
  });

  it('distills with one weight or with one for each embedder, and the metadata tell all', async () => {
    expect((await metadataOf('quality.safetensors')).beta).toBe('0');
    expect((await metadataOf('diverse.safetensors')).beta).toBe('5');
    expect((await metadataOf('both.safetensors')).beta).toBe('5,3');
    expect(results.diverse.settings).toMatchObject({ beta: 5, embedder: at('embedder.safetensors'), maxTokens: 24 });
    expect(results.both.settings).toMatchObject({
      beta: [5, 3],
      embedder: [at('embedder.safetensors'), at('audio.safetensors')],
      embedderDigest: [expect.stringMatching(/^[0-9a-f]{64}$/), expect.stringMatching(/^[0-9a-f]{64}$/)],
    });
    expect(results.both.metrics).toMatchObject({ diversity: expect.any(Number) });
    const weights = async (name: string) => (await loadSafetensors(at(`${name}.safetensors`))).tensors;
    const [first, second] = await Promise.all([weights('diverse'), weights('both')]);
    const differ = [...first].some(([name, { data }]) => {
      return Buffer.compare(Buffer.from(data), Buffer.from(second.get(name)?.data ?? [])) !== 0;
    });
    expect(differ).toBe(true);
  });

  it('leaves no unfinished run behind', () => {
    expect(readdirSync(folder).filter((name) => name.endsWith('.training'))).toEqual([]);
  });

  it.each([
    ['distill', [...DISTILL, ...BOTH, '--beta', '5,3', '--steps', '8'], 'trainer.safetensors'],
    ['train-adherence', ['train-adherence', ...TUNES, ...TINY_EMBEDDER, '--steps', '60'], 'towers.safetensors'],
  ])('%s: a run that was stopped ends as one that was not', async (name, args, state) => {
    const [whole, parts] = [`${name}-whole.safetensors`, `${name}-parts.safetensors`];
    expect((await run(folder, ...args, '--output', whole, '--quiet')).code).toBe(0);
    const first = [...args, '--output', parts, '--save-every', '1'];
    const { code, stderr } = await stopped(folder, first, join(`${parts}.training`, state), 'SIGINT');
    expect(code).toBe(130);
    expect(stderr).toMatch(/Saved step \d+ of \d+/);
    // Everything is remembered, the data too.
    expect(await run(folder, name, '--output', parts, '--resume', '--quiet')).toMatchObject({ code: 0, stderr: '' });
    expect(readFileSync(at(parts)).equals(readFileSync(at(whole)))).toBe(true);
    expect(existsSync(at(`${parts}.training`))).toBe(false);
  });

  it('goes on with the same data alone', async () => {
    writeTreeTunes(at('growing'));
    const args = ['train-base', '--task', 'tunes', '--data', 'growing', ...TINY_BASE, '--steps', '2000'];
    const output = ['--output', 'grown.safetensors'];
    const state = join('grown.safetensors.training', 'base.safetensors');
    await stopped(folder, [...args, ...output, '--save-every', '1'], state, 'SIGINT');
    writeFileSync(at('growing', 'new.abc'), TREE_TUNES[0] as string);
    const { code, stderr } = await run(folder, 'train-base', ...output, '--resume');
    expect(code).toBe(1);
    expect(stderr).toMatch(/'dataDigest' of the unfinished run is .* a file it was started from has changed\n$/);
  });
});

describe('sample', () => {
  const model = ['sample', '--model', 'merged-0.5.safetensors'];

  it('needs no data, and prints ABC', async () => {
    const args = ['--prompt', 'a jig in 6/8, D major', '--prompt', 'a waltz in 3/4, E minor', '--samples', '2'];
    const { code, stdout, stderr } = await run(folder, ...model, ...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { tunes, problems } = readAbc(stdout);
    expect(problems.filter(({ lost }) => lost)).toEqual([]);
    expect(stdout.match(/^X:\d+$/gm)).toEqual(['X:1', 'X:2', 'X:3', 'X:4']);
    expect(tunes.map(({ meter, key, mode }) => [meter, key, mode].join(' '))).toEqual([
      '6/8 D major',
      '6/8 D major',
      '3/4 E minor',
      '3/4 E minor',
    ]);
    expect(stdout).toMatch(/^%abc-2\.1\n% a jig in 6\/8, D major: \d+ of \d+ bars full, log-probability -\d+\.\d\d\n/);
  });

  it('keeps every bar full, where it is cut off, too', async () => {
    const prompts = ['a jig in 6/8, G major', 'a reel in 4/4, A minor', 'a waltz in 3/4, C major'];
    for (const tokens of ['5', '30', '256']) {
      const args = [...prompts.flatMap((prompt) => ['--prompt', prompt]), '--samples', '6', '--max-tokens', tokens];
      const drawn = await json(folder, ...model, ...args, '--full-bars');
      const own = drawn.prompts as { samples: { abc: string; tokens: number[]; logProbs: number[] }[] }[];
      const tunes = own.flatMap(({ samples }) => samples.map(({ abc }) => readAbc(abc).tunes[0]));
      const counts = tunes.flatMap((tune) => (tune ? [countFullBars(tune.elements, tune.meter)] : []));
      for (const { measures, full } of counts) expect(full).toBe(measures);
      // In 5 tokens there is hardly room for a bar.
      if (tokens !== '5') expect(counts.length).toBeGreaterThan(12);
      for (const { samples } of own) {
        for (const { tokens: ids, logProbs } of samples) {
          expect(ids.length).toBeLessThanOrEqual(Number(tokens));
          expect(logProbs).toHaveLength(ids.length);
        }
      }
    }
  });

  it('says where a model does not know words', async () => {
    const { code, stderr } = await run(folder, ...model, '--prompt', 'a sombre waltz in 3/4, D major', '-n', '1');
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: "Note: 'a sombre waltz in 3/4, D major': the model does not know sombre.\n",
    });
  });

  it('writes ABC, MIDI and sound, and replaces nothing unasked', async () => {
    const args = ['--prompt', 'a waltz in 3/4, D minor', '--samples', '3', '--full-bars', '--output', 'heard'];
    const drawn = await json(folder, ...model, ...args);
    const [{ samples }] = drawn.prompts as [{ samples: { abc: string; files: string[] }[] }];
    const stems = [1, 2, 3].map((sample) => `1-a-waltz-in-3-4-d-minor-${sample}`);
    const names = stems.flatMap((stem) => ['.abc', '.mid', '.wav'].map((extension) => stem + extension));
    expect(samples.flatMap(({ files }) => files)).toEqual(names.map((name) => join('heard', name)));
    expect(readdirSync(at('heard')).sort()).toEqual(names);
    for (const [i, stem] of stems.entries()) {
      const abc = readFileSync(at('heard', `${stem}.abc`), 'utf8');
      expect(abc).toBe(samples[i]?.abc);
      const tune = unroll(readAbcTune(abc));
      const ticks = tune.elements.reduce((sum, element) => sum + (element.kind === 'note' ? element.ticks : 0), 0);
      const pitches = (elements: typeof tune.elements) => {
        return elements.flatMap((element) =>
          element.kind === 'note' && element.pitch !== null ? [element.pitch] : [],
        );
      };
      const midi = await readMidi(readFileSync(at('heard', `${stem}.mid`)));
      expect(new Set(pitches(midi.elements))).toEqual(new Set(pitches(tune.elements)));
      // At 112 quarter notes a minute; the last note fades out after that.
      const { samples: sound, sampleRate } = await readWav(at('heard', `${stem}.wav`));
      const seconds = (ticks / 24) * (60 / 112);
      expect(sound.length / sampleRate).toBeGreaterThanOrEqual(seconds - 1e-3);
      expect(sound.length / sampleRate).toBeLessThan(seconds + 1);
    }

    const before = readdirSync(at('heard')).map((name) => readFileSync(at('heard', name)));
    const again = await run(folder, ...model, ...args, '--seed', '2');
    expect(again).toMatchObject({ code: 1, stdout: '' });
    expect(again.stderr).toMatch(/^cfgdistill: --output: heard.*-1\.abc exists already; replace it with --force\n$/);
    expect(readdirSync(at('heard')).map((name) => readFileSync(at('heard', name)))).toEqual(before);
    await json(folder, ...model, ...args, '--seed', '2', '--force');
    expect(readdirSync(at('heard')).map((name) => readFileSync(at('heard', name)))).not.toEqual(before);
  });
});
