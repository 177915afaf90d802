import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readAbcTune } from '../../lib/tasks/tunes/abc/read.ts';
import { JsonLinesReader, readLabelledTune } from '../../lib/tasks/tunes/jsonl.ts';
import { toCommonKey } from '../../lib/tasks/tunes/transpose.ts';
import { haveLabelledTunes, LABELLED_TUNES, show } from './scene.ts';

const plain = { key: 'D', mode: 'major', notes: '60:12 R:12 | 62:24- 62:12 :|' };
const read = (fields: object) => readLabelledTune({ ...plain, ...fields }, 'fallback');

describe('labelled tunes', () => {
  it('have sounding pitches in the labelled key', () => {
    expect(show(read({}))).toBe('62:12 R:12 | 64:24- 64:12 :|');
    expect(show(read({ key: 'A', mode: 'minor' }))).toBe(plain.notes);
    expect(show(read({ key: 'G', mode: 'major' }))).toBe('55:12 R:12 | 57:24- 57:12 :|');
    expect(show(toCommonKey(read({ key: 'Eb', mode: 'lydian' })))).toBe(plain.notes);
  });

  it('keep their labels', () => {
    const labels = {
      id: 'a',
      title: 'T',
      type: 'jig',
      meter: '6/8',
      tempo: 'slow',
      composer: 'C',
      split: 'validation',
    };
    expect(read({ ...labels, source: 'x', bars: 3, abc: '[[[' })).toMatchObject({ ...labels, key: 'D', mode: 'major' });
    expect(read({})).toMatchObject({ id: 'fallback', title: '', type: '', meter: '' });
    expect(Object.keys(read({})).sort()).toEqual(['elements', 'id', 'key', 'meter', 'mode', 'title', 'type']);
    expect(read({ cluster: 'one' }).split).toBe(read({ cluster: 'one', id: 'other' }).split);
  });

  it('are refused by field', () => {
    expect(() => readLabelledTune([], '1')).toThrow('tune: expected an object, got []');
    expect(() => read({ mode: 'ionian' })).toThrow('mode: expected one of major, minor');
    expect(() => read({ key: 'd' })).toThrow('key: expected a tonic as "D", "Bb" or "F#", got "d"');
    expect(() => read({ meter: 3 })).toThrow('meter: expected a string, got 3');
    expect(() => read({ meter: '3/5' })).toThrow('meter: expected a metre');
    expect(() => read({ split: 'test' })).toThrow('split: expected "train" or "validation", got "test"');
    expect(() => read({ notes: undefined })).toThrow('notes: expected notes');
    expect(() => read({ notes: '| R:12' })).toThrow('notes: expected notes');
    for (const token of ['60', '60:0', '60:9999', '128:12', '-1:12', '60:1.5', 'r:12', '|]', '60:12--']) {
      expect(() => read({ notes: `60:12 ${token}` })).toThrow('notes[1]: expected a bar line or pitch:ticks');
    }
    expect(() => read({ notes: '60:12- 62:12' })).toThrow('notes[0]: expected a tie to a note of the pitch 62, got 64');
    expect(() => read({ notes: '60:12 60:12-' })).toThrow(
      'notes[1]: expected a tie to a note of the pitch 62, got nothing',
    );
    expect(() => read({ notes: 'R:12- R:12' })).toThrow('notes[0]: expected a rest without a tie');
    expect(() => read({ notes: '127:12', key: 'D' })).toThrow('expected pitches to stay in 0 to 127, got 129');
    expect(() => read({ notes: '60:12 '.repeat(100_001) })).toThrow(
      'notes: expected at most 100000 tokens, got 100001',
    );
  });

  it('stand one on a line, and a bad one costs no other', () => {
    const reader = new JsonLinesReader('a.jsonl', 'a#');
    for (const line of [JSON.stringify(plain), '', '{"key":', 'null', JSON.stringify({ ...plain, id: 'x' })]) {
      reader.push(line);
    }
    reader.end();
    expect(reader.tunes.map(({ id }) => id)).toEqual(['a#1', 'x']);
    expect(reader.problems.map(({ line, lost }) => [line, lost])).toEqual([
      [3, true],
      [4, true],
    ]);
    expect(reader.problems[0]!.message).toMatch(/^a\.jsonl:3: expected JSON: /);
    expect(reader.problems[1]!.message).toBe('a.jsonl:4: tune: expected an object, got null');
  });

  it.skipIf(!haveLabelledTunes)('sound as their ABC does, all 2,508', () => {
    const lines = gunzipSync(readFileSync(LABELLED_TUNES)).toString('utf8').trim().split('\n');
    expect(lines).toHaveLength(2508);
    for (const line of lines) {
      const record = JSON.parse(line) as Record<'meter' | 'unitLength' | 'key' | 'mode' | 'abc' | 'notes', string>;
      const header = `X:1\nM:${record.meter}\nL:${record.unitLength}\nK:${record.key} ${record.mode}\n`;
      // Its accidentals hold in their own octave.
      const abc = readAbcTune(`${header}${record.abc}\n`, { accidentals: 'octave' });
      const tune = readLabelledTune(record, '1');
      expect(show(tune)).toBe(show(abc));
      expect(show(toCommonKey(tune))).toBe(record.notes);
    }
  });
});
