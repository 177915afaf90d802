import { describe, expect, it } from 'vitest';
import { Random } from '../../lib/random.ts';
import { readAbc, readAbcTune } from '../../lib/tasks/tunes/abc/read.ts';
import { writeAbc, writeAbcFile } from '../../lib/tasks/tunes/abc/write.ts';
import { readTunes } from '../../lib/tasks/tunes/read-tunes.ts';
import { haveLabelledTunes, LABELLED_TUNES, randomTune, show, tuneOf } from './scene.ts';

describe('written ABC', () => {
  it('is as a person would write it', () => {
    const tune = tuneOf('62:12 |: 66:12 69:12 74:12 73:18- 73:6 72:12 | 62:8 64:8 66:8 R:36 :| 61:12 | 60:16 62:8 |', {
      title: 'The Title',
      composer: 'A. Composer',
      type: 'jig',
      meter: '6/8',
      key: 'D',
      tempo: '3/8=120',
    });
    expect(writeAbc(tune, { number: 3 })).toBe(
      [
        'X:3',
        'T:The Title',
        'C:A. Composer',
        'R:jig',
        'M:6/8',
        'L:1/8',
        'Q:3/8=120',
        'K:D',
        'D|: FAd c3/-c/=c| (3DEFz3:| C|',
        '(3:2:2=C2D|',
        '',
      ].join('\n'),
    );
  });

  it('repeats accidentals wherever one reading needs them', () => {
    const text = writeAbc(tuneOf('66:12 78:12 66:12 65:12 77:12 | 65:12 66:12- | 66:12'));
    expect(text).toContain('^F^fF=F=f| F^F-| ^F');
    for (const accidentals of ['pitch', 'octave'] as const) {
      expect(show(readAbcTune(text, { accidentals }))).toBe('66:12 78:12 66:12 65:12 77:12 | 65:12 66:12- | 66:12');
    }
  });

  it('reads back to the same tune, whatever is in it', () => {
    const random = new Random(7);
    for (let run = 0; run < 400; run++) {
      const tune = randomTune(random);
      const text = writeAbc(tune);
      for (const accidentals of ['pitch', 'octave'] as const) {
        const { tunes, problems } = readAbc(text, { accidentals });
        expect(problems).toEqual([]);
        expect(tunes).toEqual([tune]);
      }
    }
  });

  it('holds several tunes in a file', () => {
    const random = new Random(8);
    const tunes = Array.from({ length: 20 }, (_, index) => ({ ...randomTune(random), id: `${index + 1}` }));
    expect(readAbc(writeAbcFile(tunes))).toEqual({ tunes, problems: [] });
  });

  it('keeps text on its line', () => {
    const title = 'two\nlines\r\n\nX:9\u2028end';
    expect(readAbcTune(writeAbc(tuneOf('60:12', { title, type: 'a\nK:D' })))).toMatchObject({
      title: 'two lines X:9 end',
      type: 'a k:d',
    });
  });

  it('is refused for what is no tune', () => {
    expect(() => writeAbc(tuneOf('60:12'), { number: 0 })).toThrow('number: expected an integer >= 1, got 0');
    expect(() => writeAbc(tuneOf('60:12', { meter: '4' }))).toThrow('meter: expected a metre as "6/8" or "", got "4"');
    expect(() => writeAbc(tuneOf('60:12', { key: 'H' }))).toThrow('key: expected a tonic');
    expect(() => writeAbc(tuneOf('60:12 128:12'))).toThrow(
      'tune.elements[1].pitch: expected an integer in 0 to 127 or null',
    );
    expect(() => writeAbc(tuneOf('60:0'))).toThrow('tune.elements[0].ticks: expected an integer in 1 to 6144, got 0');
    const line = '|?' as '|';
    expect(() => writeAbc({ ...tuneOf('60:12'), elements: [{ kind: 'bar', line }] })).toThrow('got "|?"');
  });

  it.skipIf(!haveLabelledTunes)('reads back to the same for every labelled tune', async () => {
    const { tunes } = await readTunes(LABELLED_TUNES);
    const read = readAbc(writeAbcFile(tunes));
    expect(read.problems).toEqual([]);
    expect(read.tunes.map(show)).toEqual(tunes.map(show));
    const labels = ({ title, type, meter, key, mode, tempo, composer }: (typeof tunes)[0]) => {
      return { title, type, meter, key, mode, tempo, composer };
    };
    expect(read.tunes.map((tune) => labels({ ...tune, split: 'train' }))).toEqual(tunes.map(labels));
  });
});
