import { describe, expect, it } from 'vitest';
import { readAbcTune } from '../../lib/tasks/tunes/abc/read.ts';
import { readTunes } from '../../lib/tasks/tunes/read-tunes.ts';
import { unroll } from '../../lib/tasks/tunes/unroll.ts';
import { haveLabelledTunes, LABELLED_TUNES, show, tuneOf } from './scene.ts';

/** A body of eighths A to G in 2/8 (so that two letters fill a bar), played out, as letters and bar lines. */
function played(body: string): string {
  const tune = unroll(readAbcTune(`X:1\nM:2/8\nL:1/8\nK:C\n${body}\n`));
  return tune.elements
    .map((e) => (e.kind === 'bar' ? e.line : 'C D EF G A B'[e.pitch! - 60] + (e.tied ? '-' : '')))
    .join('');
}

describe('repeats', () => {
  it('go back to their begin', () => {
    expect(played('|:CD|EF:|')).toBe('CD|EF|CD|EF|');
    expect(played('CD|EF:|')).toBe('CD|EF|CD|EF|');
    expect(played('CD|EF:|GA|BB:|')).toBe('CD|EF|CD|EF||GA|BB|GA|BB|');
    expect(played('|:CD|EF::GA|BB:|')).toBe('CD|EF|CD|EF||GA|BB|GA|BB|');
    expect(played('CD|EF|:GA|BB:|CC|')).toBe('CD|EF||GA|BB|GA|BB||CC|');
    expect(played('CD||EF:|')).toBe('CD||EF|EF|');
    expect(played('|:CD||EF:|')).toBe('CD||EF|CD||EF|');
    expect(played('CD|EF|]')).toBe('CD|EF|');
    expect(played('CD|EF')).toBe('CD|EF');
  });

  it('have endings, one for each pass', () => {
    expect(played('|:CD|1EF:|2GA|BB|')).toBe('CD|EF|CD|GA|BB|');
    expect(played('|:CD|1EF:|2GA:|BB|')).toBe('CD|EF|CD|GA||BB|');
    expect(played('|:CD|1EF:|2GA||BB:|')).toBe('CD|EF|CD|GA||BB|BB|');
    expect(played('|:CD|1EF:|2GA|BB:|')).toBe('CD|EF|CD|GA|BB|BB|');
    expect(played('|:CD|1EF:|2GA|:BB:|')).toBe('CD|EF|CD|GA||BB|BB|');
    expect(played('|:CD|1EF|FF:|2GA|AA|BB|')).toBe('CD|EF|FF|CD|GA|AA|BB|');
    expect(played('|:CD|1EF:|2GA:|3BB|]')).toBe('CD|EF|CD|GA|CD|BB|');
    expect(played('|:CD|1,3EF:|2GA|]')).toBe('CD|EF|CD|GA|CD|EF|');
    expect(played('|:CD|1EF:|GA|')).toBe('CD|EF|CD||GA|');
    expect(played('|:CD|1EF:|2GA||:CC|1DD:|2EE|]')).toBe('CD|EF|CD|GA||CC|DD|CC|EE|');
    expect(played('CD|EF:|2GA|')).toBe('CD|EF|CD|EF|GA|');
  });

  it('join the bar that an upbeat cuts', () => {
    expect(played('|:C|DE|F:|')).toBe('C|DE|FC|DE|F|');
    expect(played('C|DE|1F:|2G|]')).toBe('C|DE|FC|DE|G|');
    expect(played('|:C|DE|FF:|')).toBe('C|DE|FF|C|DE|FF|');
  });

  it('end ties that a jump leads elsewhere', () => {
    expect(played('|:CD|EF-|1FC:|2FB|]')).toBe('CD|EF-|FC|CD|EF-|FB|');
    expect(played('|:CD|EF-:|FG|')).toBe('CD|EF|CD|EF-||FG|');
  });

  it('change nothing else', () => {
    const tune = tuneOf('60:12 |: 62:12 R:12 :|', { meter: '', title: 'T', tempo: 'slow' });
    expect(unroll(tune)).toEqual({ ...tune, elements: unroll(tune).elements });
    expect(show(unroll(tune))).toBe('60:12 || 62:12 R:12 | 62:12 R:12 |');
    expect(unroll(unroll(tune))).toEqual(unroll(tune));
  });

  it('stop before they are too long, and take little time for any signs', () => {
    const notes = '60:12 '.repeat(40_000);
    expect(() => unroll(tuneOf(`|: ${notes}|1 60:12 :|2 60:12 :|2 60:12 |`))).toThrow(
      'tune: expected at most 100000 notes and bar lines when repeats are played',
    );
    for (const unit of ['|1 ', ':|2 ', '|1 :|2 ', '|: ', ':| 60:12 ', '|1 60:12 ', '60:12 :|2 ']) {
      const before = performance.now();
      try {
        unroll(tuneOf(`60:12 |1 60:12 | ${unit.repeat(30_000)} ${'60:12 | '.repeat(10_000)}`));
      } catch (error) {
        expect((error as Error).message).toContain('expected at most');
      }
      expect(performance.now() - before).toBeLessThan(2000);
    }
  });

  it.skipIf(!haveLabelledTunes)('of the labelled tunes play every note once or twice', async () => {
    const { tunes } = await readTunes(LABELLED_TUNES);
    const ticks = (elements: (typeof tunes)[0]['elements']) =>
      elements.reduce((total, e) => total + (e.kind === 'note' ? e.ticks : 0), 0);
    for (const tune of tunes) {
      const { elements } = unroll(tune);
      const ratio = ticks(elements) / ticks(tune.elements);
      const repeats = tune.elements.some((e) => e.kind === 'bar' && (e.line.startsWith(':') || e.line.endsWith('1')));
      expect(ratio >= 1 && ratio <= 2 && (repeats ? ratio > 1.05 : ratio === 1)).toBe(true);
      expect(elements.every((e) => e.kind === 'note' || e.line === '|' || e.line === '||')).toBe(true);
    }
  });
});
