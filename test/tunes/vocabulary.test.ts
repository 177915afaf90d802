import { ValueError } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { elementText } from '../../lib/tasks/tunes/element-text.ts';
import { askedFor, promptText } from '../../lib/tasks/tunes/prompt.ts';
import { elementOf, TuneVocabulary } from '../../lib/tasks/tunes/vocabulary.ts';

const melody = (text: string) => text.split(' ').map(elementOf);

describe('the text of an element', () => {
  it.each(['67:12', '0:1', '127:96-', 'R:24', '|', '||', '|:', ':|', '::', '|1', ':|2', '||1'])('%s', (text) => {
    expect(elementText(elementOf(text))).toBe(text);
  });

  it.each(['128:12', '67:0', 'R:24-', '67', '67:', ':12', '', '|3', '67:12 ', '-1:12'])("is not '%s'", (text) => {
    expect(() => elementOf(text)).toThrow(ValueError);
  });
});

describe('TuneVocabulary', () => {
  const tunes = ['60:12 62:12 | R:24 60:12- | 60:24', '|: 60:12 71:6 :|'].map((text) => ({ elements: melody(text) }));
  const vocabulary = TuneVocabulary.of(tunes, ['a jig in 6/8', 'a reel']);

  it('has stop, bar lines, rests, notes, and then words', () => {
    expect(vocabulary.elements.map(elementText)).toEqual('| |: :| R:24 60:12 60:12- 60:24 62:12 71:6'.split(' '));
    expect(vocabulary.musicTokens).toBe(10);
    expect(vocabulary.size).toBe(10 + 2 + 5);
    expect([...vocabulary.noPrompt]).toEqual([10]);
    expect([...vocabulary.words.encode('a jig')]).toEqual([12, 15]);
  });

  it('reads back what it writes, and stops where the tune does', () => {
    for (const { elements } of tunes) {
      const tokens = vocabulary.encode(elements);
      expect(tokens.at(-1)).toBe(0);
      expect(vocabulary.decode(tokens)).toEqual(elements);
      expect(vocabulary.decode([...tokens, 1, 2])).toEqual(elements);
    }
  });

  it('is the same from its own JSON', () => {
    const again = new TuneVocabulary(JSON.parse(JSON.stringify(vocabulary)));
    expect(again.encode(melody('71:6 |'))).toEqual(vocabulary.encode(melody('71:6 |')));
    expect(again.words.encode('jig')).toEqual(vocabulary.words.encode('jig'));
  });

  it('names what it has no token for', () => {
    expect(vocabulary.knows(melody('60:12 60:13'))).toBe(false);
    expect(() => vocabulary.encode(melody('60:12 60:13'))).toThrow("elements[1]: the vocabulary has no '60:13'");
  });

  it('leaves out words that a model may draw', () => {
    expect(vocabulary.decode([1, 12, 99, -1, 4])).toEqual(melody('| R:24'));
  });
});

describe('a prompt', () => {
  it.each([
    [{ type: 'jig', meter: '6/8', key: 'D', mode: 'major' }, 'a jig in 6/8, D major'],
    [{ type: 'air', meter: '3/4', key: 'F#', mode: 'minor' }, 'an air in 3/4, F# minor'],
    [{ type: 'air', meter: '', key: 'G', mode: 'dorian', tempo: 'slow' }, 'a slow air, G dorian'],
    [{ type: '', meter: '4/4', key: 'Bb', mode: 'major', tempo: '1/4=120' }, 'a tune in 4/4, Bb major'],
  ] as const)('of %j', (labels, text) => {
    expect(promptText(labels)).toBe(text);
    const { key, mode, meter } = labels;
    expect(askedFor(text)).toEqual({ key, mode, ...(meter !== '' && { meter }) });
  });

  it('need not say anything of the music', () => {
    expect(askedFor('a lively jig')).toEqual({});
    expect(askedFor('e minor, and fast')).toEqual({ key: 'E', mode: 'minor' });
    expect(askedFor('A major air')).toEqual({ key: 'A', mode: 'major' });
  });
});
