import { ValueError } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { WordTokenizer, wordsOf } from '../lib/models/word-tokenizer.ts';

describe('the words of a text', () => {
  it.each([
    ['A lively JIG in 6/8, D major!', ['a', 'lively', 'jig', 'in', '6/8', 'd', 'major']],
    ['F# minor; Bb', ['f#', 'minor', 'bb']],
    ["O'Neill's  air – 1/4=120.", ["o'neill's", 'air', '1/4=120']],
    ['Öffne\tdie Tür', ['öffne', 'die', 'tür']],
    ['O\u0308l', ['öl']],
    [' ,.;- ', []],
    ['', []],
  ])('%s', (text, words) => {
    expect(wordsOf(text)).toEqual(words);
  });
});

describe('WordTokenizer', () => {
  const tokenizer = WordTokenizer.of(['a jig in 6/8', 'a reel in 2/2', 'a jig'], { first: 100 });

  it('numbers words by how often they occur, from the ids for nothing and for what is unknown on', () => {
    expect(tokenizer.words).toEqual(['a', 'in', 'jig', '2/2', '6/8', 'reel']);
    expect([tokenizer.none, tokenizer.unknown, tokenizer.size]).toEqual([100, 101, 8]);
    expect([...tokenizer.encode('A Reel, in 9/8')]).toEqual([102, 107, 103, 101]);
    expect(tokenizer.unknownWords('a slow reel')).toEqual(['slow']);
  });

  it('encodes a text without words as nothing', () => {
    expect([...tokenizer.encode(' … ')]).toEqual([100]);
    expect(tokenizer.decode([100])).toBe('');
  });

  it('gives back words', () => {
    expect(tokenizer.decode(tokenizer.encode('a slow jig'))).toBe('a <unknown> jig');
    expect(new WordTokenizer(tokenizer.words, 100).encode('a jig')).toEqual(tokenizer.encode('a jig'));
  });

  it('leaves out rare words', () => {
    expect(WordTokenizer.of(['a a b'], { atLeast: 2 }).words).toEqual(['a']);
  });

  it('refuses what is no vocabulary', () => {
    expect(() => new WordTokenizer(['jig', 'jig'])).toThrow(/^words\[1\]: 'jig' is there twice/);
    expect(() => new WordTokenizer(['two words'])).toThrow(ValueError);
    expect(() => new WordTokenizer(['Jig'])).toThrow(/in lower case, got 'Jig'/);
    expect(() => tokenizer.decode([99])).toThrow(/^ids: expected ids from 100 to 107, got 99/);
  });
});
