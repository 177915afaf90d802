import { createHash } from 'node:crypto';
import { elementText } from './element-text.ts';
import type { Tune } from './tune.ts';

/** SHA-256, in hexadecimal, of what models learn from tunes: ids, labels, parts and music, in their order. */
export function digestOfTunes(tunes: readonly Tune[]): string {
  const hash = createHash('sha256');
  for (const { id, split = 'train', type, meter, key, mode, tempo = '', elements } of tunes) {
    const row = [id, split, type, meter, key, mode, tempo, elements.map(elementText).join(' ')];
    hash.update(`${JSON.stringify(row)}\n`, 'utf8');
  }
  return hash.digest('hex');
}
