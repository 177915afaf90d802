import { wordsOf } from '../../models/word-tokenizer.ts';
import { MODES, type Mode, type TuneLabels } from './tune.ts';

/** A word for how fast, where the tempo is given as words and not as beats. */
function pace(tempo: string | undefined): string {
  return tempo !== undefined && !/\d/.test(tempo) ? tempo.trim() : '';
}

/** What is asked for, in words: "a slow air in 3/4, D major". Labels that are not known are left out. */
export function promptText({ type, meter, key, mode, tempo }: TuneLabels): string {
  const what = [pace(tempo), type || 'tune'].filter((word) => word !== '').join(' ');
  const article = /^[aeiou]/i.test(what) ? 'an' : 'a';
  const time = meter === '' ? '' : ` in ${meter}`;
  const tonality = key === '' ? '' : `, ${key} ${mode}`;
  return `${article} ${what}${time}${tonality}`;
}

const TONIC = /^[a-g][b#]?$/;
const METER = /^\d+\/\d+$/;
/** A tonic as a word of its own, and the mode that follows it. */
const TONALITY = new RegExp(`(?<![\\p{L}\\p{N}])[a-g][b#]?\\s+(?=(?:${MODES.join('|')})(?![\\p{L}\\p{N}]))`, 'iu');

/** What a prompt says of the music that a tune can be checked against or written with; the rest is absent. */
export interface AskedFor {
  readonly meter?: string;
  readonly key?: string;
  readonly mode?: Mode;
}

/**
 * Finds metre, key and mode in a prompt's words: a metre is a fraction, a key is a tonic that a mode follows ("F# minor"):
 * 'a' alone is an article.
 */
export function askedFor(text: string): AskedFor {
  const words = wordsOf(text);
  const meter = words.find((word) => METER.test(word));
  const at = words.findIndex((word, i) => TONIC.test(word) && MODES.some((mode) => mode === words[i + 1]));
  if (at < 0) return { ...(meter !== undefined && { meter }) };
  const tonic = words[at] as string;
  return {
    ...(meter !== undefined && { meter }),
    key: (tonic[0] as string).toUpperCase() + tonic.slice(1),
    mode: words[at + 1] as Mode,
  };
}

/**
 * A prompt without its tonic, "an air in 3/4, major" for "an air in 3/4, D major": music in the common key sounds the same
 * whatever tonic was asked for.
 */
export function withoutTonic(text: string): string {
  return text.normalize('NFC').replace(TONALITY, '');
}
