import { describe, expect, it } from 'vitest';
import { countFullBars, measuresOf } from '../../lib/tasks/tunes/bars.ts';
import { checkTune } from '../../lib/tasks/tunes/checks.ts';
import { elementOf } from '../../lib/tasks/tunes/vocabulary.ts';

const melody = (text: string) => text.split(' ').filter(Boolean).map(elementOf);

describe('full bars', () => {
  it.each([
    ['60:24 60:24 | 60:48 |', '2/4', 2, 2],
    ['60:24 60:12 | 60:48 | 60:24 60:24 |', '2/4', 3, 3], // an upbeat that nothing at the end makes up for
    ['60:12 | 60:48 | 60:36 |', '2/4', 3, 3],
    ['60:12 | 60:48 | 60:36 || 60:12 | 60:48 | 60:36 :|', '2/4', 6, 6],
    ['60:48 | 60:40 | 60:48 |', '2/4', 3, 2],
    ['60:48 | 60:60 |', '2/4', 2, 1],
    ['|: 60:72 :| |: 60:36 60:36 :|', '6/8', 2, 2],
    ['60:72', '6/8', 1, 1],
    ['60:36', '6/8', 1, 0],
    ['', '6/8', 0, 0],
    ['60:48 | 60:48 |', '', 0, 0],
  ])('of %j in %s: %i, full %i', (text, meter, measures, full) => {
    expect(countFullBars(melody(text), meter)).toEqual({ measures, full });
  });

  it('are counted between lines with notes between them', () => {
    expect(measuresOf(melody('|: 60:12 | || 62:24')).map(({ ticks, line }) => [ticks, line])).toEqual([
      [12, '|'],
      [24, null],
    ]);
  });
});

describe('the checks of a tune', () => {
  it('are shares of notes and measures', () => {
    const checks = checkTune(melody('60:24 61:24 | R:24 72:24 | 60:24 61:24 | 64:36 |'), '2/4');
    expect(checks).toEqual({ fullBars: 0.75, inScale: 4 / 6, range: 12, repetition: 0.25 });
  });

  it('of nothing are 0', () => {
    expect(checkTune([], '2/4')).toEqual({ fullBars: 0, inScale: 0, range: 0, repetition: 0 });
    expect(checkTune(melody('R:48 |'), '2/4')).toEqual({ fullBars: 1, inScale: 0, range: 0, repetition: 0 });
  });
});
