import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ValueError } from 'cfgdistill';
import { readWav, writeWav } from 'cfgdistill/audio';
import { readAbc, readAbcTune, readMidi, TuneTask, TuneVocabulary, writeAbc } from 'cfgdistill/tasks/tunes';
import { afterAll, describe, expect, it } from 'vitest';
import { digestOfTunes } from '../../lib/tasks/tunes/digest.ts';
import { elementText } from '../../lib/tasks/tunes/element-text.ts';
import { generatedTune } from '../../lib/tasks/tunes/generated-tune.ts';
import { isValidTune } from '../../lib/tasks/tunes/judge.ts';
import { paceOf, tuneFiles } from '../../lib/tasks/tunes/play.ts';
import { TREE_TUNES } from '../support/tree-tunes.ts';
import { elementsOf } from './scene.ts';

const { tunes } = readAbc(TREE_TUNES.join('\n'));
const task = new TuneTask({ tunes, seed: 1 });

describe('the vocabulary of a checkpoint', () => {
  it('is the same from its JSON, and refuses what is none', () => {
    const { vocabulary } = task;
    const again = TuneVocabulary.fromJSON(JSON.parse(JSON.stringify(vocabulary)));
    expect(JSON.stringify(again)).toBe(JSON.stringify(vocabulary));
    expect(again.size).toBe(vocabulary.size);
    for (const wrong of [null, 'x', [], {}, { elements: ['|'] }, { elements: ['|'], words: [1] }]) {
      expect(() => TuneVocabulary.fromJSON(wrong)).toThrow(
        /^vocabulary: expected (elements|words) as an array of strings/,
      );
    }
    expect(() => TuneVocabulary.fromJSON({ elements: ['60:x'], words: [] })).toThrow(ValueError);
    expect(() => TuneVocabulary.fromJSON({ elements: [], words: ['two words'] })).toThrow(ValueError);
  });

  it('serves another task, if it can say its tunes', () => {
    const { vocabulary } = task;
    const other = new TuneTask({ tunes: tunes.slice(0, 3), seed: 2, vocabulary });
    expect(other.vocabulary).toBe(vocabulary);
    const row = task.trainingRows.find(({ id }) => id === other.trainingRows[0]?.id);
    expect(other.trainingRows[0]?.tokens).toEqual(row?.tokens);
    const strange = readAbcTune('X:1\nT:Strange\nM:4/4\nL:1/8\nK:C\nC7D|\n');
    expect(() => new TuneTask({ tunes: [strange], seed: 1, vocabulary })).toThrow(/the vocabulary has no '/);
  });
});

describe('a generation as a tune', () => {
  const vocabulary = new TuneVocabulary({ elements: '60:12 60:12- 62:12 R:12 |'.split(' '), words: ['jig'] });
  const tokensOf = (text: string) => Int32Array.from(vocabulary.encode(elementsOf(text)));
  const shown = (prompt: string, text: string) => {
    return generatedTune(vocabulary, prompt, tokensOf(text)).elements.map(elementText).join(' ');
  };

  it('is that of its task', () => {
    const [row] = task.trainingRows;
    const text = 'a jig in 6/8, D major';
    expect(generatedTune(task.vocabulary, text, row?.tokens ?? [])).toEqual(task.tuneOf(text, row?.tokens ?? []));
  });

  it('ends ties that lead nowhere, and keeps the others', () => {
    expect(shown('a jig', '60:12- 62:12 | 60:12- | 60:12 60:12-')).toBe('60:12 62:12 | 60:12- | 60:12 60:12');
    expect(shown('a jig', '60:12- R:12')).toBe('60:12 R:12');
  });

  it('can be written whatever was drawn', async () => {
    const tune = generatedTune(vocabulary, 'a jig in 6/8, Bb dorian', tokensOf('60:12- 62:12 | 60:12-'));
    expect(readAbcTune(writeAbc(tune)).elements).toEqual(tune.elements);
    const { wav } = await tuneFiles(generatedTune(vocabulary, 'a jig', []));
    expect(wav.length).toBeGreaterThanOrEqual(44);
  });

  it('is valid where bars are full, notes in the scale, and there are enough', () => {
    const [row] = task.trainingRows;
    const tokens = row?.tokens ?? new Int32Array();
    expect(isValidTune(task, tokens, '6/8')).toBe(true);
    expect(isValidTune(task, tokens, '4/4')).toBe(false);
    expect(isValidTune(task, tokens, '')).toBe(true);
    expect(isValidTune(task, tokens.slice(0, 10), '6/8')).toBe(false);
    // The bar in which it was cut does not count.
    expect(isValidTune(task, tokens.slice(0, 40), '6/8')).toBe(true);
  });
});

describe('the files of a tune', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cfgdistill-play-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('are ABC, MIDI and sound of the same notes and length', async () => {
    const [tune] = tunes;
    if (!tune) throw new Error('no tune');
    const { abc, midi, wav } = await tuneFiles(tune);
    expect(readAbcTune(abc).elements).toEqual(tune.elements);
    const pitches = ({ elements }: typeof tune) => elements.flatMap((e) => (e.kind === 'note' ? [e.pitch] : []));
    expect(pitches(await readMidi(midi))).toEqual(pitches(tune));
    writeFileSync(join(folder, 'tune.wav'), wav);
    const { samples, sampleRate } = await readWav(join(folder, 'tune.wav'));
    expect(sampleRate).toBe(44_100);
    // Eight bars of two dotted quarters at 112 of them a minute, and what the last note takes to fade.
    const seconds = (8 * 2 * 60) / 112;
    expect(samples.length / sampleRate).toBeGreaterThan(seconds);
    expect(samples.length / sampleRate).toBeLessThan(seconds + 1);
    await writeWav(join(folder, 'again.wav'), samples, { sampleRate });
  });

  it.each([
    ['6/8', '', 'a jig', 168],
    ['4/4', '', 'a reel', 112],
    ['', '', '', 112],
    ['3/4', 'slow', 'Air', 72],
    ['4/4', '', 'a lively reel', 144],
    ['9/8', '', 'a slow slip jig', 108],
  ])('%s %s %s: %d quarter notes a minute', (meter, tempo, title, quarters) => {
    expect(paceOf({ meter, tempo, title })).toBe(quarters);
  });
});

describe('the digest of tunes', () => {
  it('is decided by what is learnt of them', () => {
    const digest = digestOfTunes(tunes);
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    expect(digestOfTunes(readAbc(TREE_TUNES.join('\n')).tunes)).toBe(digest);
    expect(digestOfTunes(tunes.map((tune) => ({ ...tune, title: 'Other', composer: 'Nobody' })))).toBe(digest);
    const [first, ...rest] = tunes;
    if (!first) throw new Error('no tune');
    const changed = [
      { ...first, id: 'other' },
      { ...first, split: 'validation' as const },
      { ...first, key: 'E' },
      { ...first, tempo: 'slow' },
      { ...first, elements: first.elements.slice(1) },
    ];
    const digests = changed.map((one) => digestOfTunes([one, ...rest]));
    expect(new Set([digest, ...digests, digestOfTunes(rest), digestOfTunes([...rest, first])]).size).toBe(8);
  });
});
