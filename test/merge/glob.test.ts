import { describe, expect, it } from 'vitest';
import { ValueError } from '../../lib/errors.ts';
import { globMatcher } from '../../lib/merge/glob.ts';

describe('globMatcher', () => {
  it.each([
    [
      'blocks.*.attention.*',
      ['blocks.0.attention.query', 'blocks.10.attention.out.bias'],
      ['blocks.0.attention', 'blocks.0.mlp.up', 'my.blocks.0.attention.query'],
    ],
    ['*', ['', 'a', 'a.b\nc'], []],
    ['?.w', ['a.w', '..w'], ['.w', 'ab.w', 'aaw']],
    ['b.[0-3].w', ['b.0.w', 'b.3.w'], ['b.4.w', 'b..w', 'b.10.w']],
    ['b.[!0-3].w', ['b.4.w', 'b.x.w'], ['b.0.w']],
    ['b.[]x].w', ['b.].w', 'b.x.w'], ['b.[.w']],
    ['b.[!]].w', ['b.x.w'], ['b.].w']],
    ['{norm,*.{scale,bias}}', ['norm', 'a.scale', 'b.c.bias'], ['norm.x', 'scale', 'a.weight']],
    ['a+(b)|c^$\\d', ['a+(b)|c^$\\d'], ['aab', 'c']],
    ['a,b}', ['a,b}'], ['a', 'b']],
    ['[^a]', ['^', 'a'], ['b']],
    ['[a\\d]', ['a', 'd', '\\'], ['1']],
    ['', [''], ['a']],
  ])('%j', (pattern, fitting, others) => {
    const fits = globMatcher(pattern, 'pattern');
    for (const name of fitting) expect(fits(name), name).toBe(true);
    for (const name of others) expect(fits(name), name).toBe(false);
  });

  it('refuses what has no end or runs backwards', () => {
    for (const pattern of ['a[', 'a[]', 'a[!]', '{a', '{a,{b}', '[z-a]']) {
      expect(() => globMatcher(pattern, 'layers[2].pattern'), pattern).toThrow(ValueError);
      expect(() => globMatcher(pattern, 'layers[2].pattern'), pattern).toThrow(/^layers\[2\]\.pattern: expected /);
    }
  });
});
