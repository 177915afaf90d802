import { commonKeyShift, tonicUnder } from './keys.ts';
import { askedFor } from './prompt.ts';
import { endTies } from './ties.ts';
import { fromCommonKey } from './transpose.ts';
import type { Tune } from './tune.ts';
import type { TuneVocabulary } from './vocabulary.ts';

/**
 * A generation as a tune, in the key, mode and metre that its prompt asks for; C major and without bars where it asks
 * for none. A tie that leads to another pitch, which a model may draw, ends there.
 *
 * @throws ValueError when the key asked for takes a pitch out of 0 to 127
 */
export function generatedTune(
  vocabulary: TuneVocabulary,
  text: string,
  tokens: ArrayLike<number>,
  id = 'generated',
): Tune {
  const { key = 'C', mode = 'major', meter = '' } = askedFor(text);
  const elements = endTies(vocabulary.decode(tokens));
  const tune = { id, title: text, type: '', meter, key, mode, elements };
  return commonKeyShift(key, mode) === 0 ? tune : fromCommonKey({ ...tune, key: tonicUnder(0, mode) }, key);
}
