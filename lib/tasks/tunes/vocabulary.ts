import { ValueError } from '../../errors.ts';
import { WordTokenizer } from '../../models/word-tokenizer.ts';
import { elementText, parseElement } from './element-text.ts';
import { BAR_LINES, type Bar, type Note, type Tune } from './tune.ts';

/** Ends a tune, and pads what follows. */
export const STOP_TOKEN = 0;

/** The note or bar line of a text. @throws ValueError for any other text */
export function elementOf(text: string): Note | Bar {
  const element = parseElement(text);
  if (element && !(element.kind === 'note' && element.pitch === null && element.tied)) return element;
  throw new ValueError(`element: expected pitch:ticks, R:ticks or a bar line, got '${text}'`, 'element');
}

/** Bar lines first, then rests, then notes by pitch; within these by duration. */
function order(a: string, b: string): number {
  const rank = (text: string): [number, number, number] => {
    const element = elementOf(text);
    if (element.kind === 'bar') return [-2, BAR_LINES.indexOf(element.line), 0];
    return [element.pitch ?? -1, element.ticks, element.tied ? 1 : 0];
  };
  const [x, y] = [rank(a), rank(b)];
  return x[0] - y[0] || x[1] - y[1] || x[2] - y[2];
}

export interface TuneVocabularyJson {
  readonly elements: readonly string[];
  readonly words: readonly string[];
}

/**
 * One vocabulary for prompts and music: the stop token, a token for each pair of pitch and duration and for each kind of
 * bar line (joint tokens), then the words of prompts. Pitches are those of the common key.
 */
export class TuneVocabulary {
  /** Number of tokens. */
  readonly size: number;
  /** Music and stop: tokens 0 … musicTokens − 1. */
  readonly musicTokens: number;
  /** Of prompts. */
  readonly words: WordTokenizer;
  /** By token, from token 1 on. */
  readonly elements: readonly (Note | Bar)[];
  readonly #texts: readonly string[];
  readonly #tokens: ReadonlyMap<string, number>;

  constructor({ elements, words }: TuneVocabularyJson) {
    const texts = [...new Set(elements)].sort(order);
    this.#texts = texts;
    this.elements = texts.map(elementOf);
    this.#tokens = new Map(texts.map((text, i) => [text, i + 1]));
    this.musicTokens = texts.length + 1;
    this.words = new WordTokenizer(words, this.musicTokens);
    this.size = this.musicTokens + this.words.size;
  }

  /** Everything that occurs in some tunes, and the words of some prompts. */
  static of(tunes: Iterable<Pick<Tune, 'elements'>>, prompts: Iterable<string>): TuneVocabulary {
    const elements = new Set<string>();
    for (const tune of tunes) for (const element of tune.elements) elements.add(elementText(element));
    return new TuneVocabulary({ elements: [...elements], words: WordTokenizer.of(prompts).words });
  }

  /** The vocabulary of parsed JSON as `toJSON` gives it. @throws ValueError for anything else, naming the part */
  static fromJSON(json: unknown): TuneVocabulary {
    const { elements, words } = (typeof json === 'object' && json !== null ? json : {}) as Record<string, unknown>;
    const texts = (name: string, value: unknown): string[] => {
      if (Array.isArray(value) && value.every((text) => typeof text === 'string')) return value;
      throw new ValueError(`vocabulary: expected ${name} as an array of strings, got ${typeof value}`, 'vocabulary');
    };
    return new TuneVocabulary({ elements: texts('elements', elements), words: texts('words', words) });
  }

  toJSON(): TuneVocabularyJson {
    return { elements: this.#texts, words: this.words.words };
  }

  /** The prompt that says nothing. */
  get noPrompt(): Int32Array {
    return Int32Array.of(this.words.none);
  }

  /** The tokens of a melody in the common key, stop included. @throws ValueError for an element that has no token */
  encode(elements: readonly (Note | Bar)[]): Int32Array {
    const tokens = elements.map((element, i) => {
      const text = elementText(element);
      const token = this.#tokens.get(text);
      if (token !== undefined) return token;
      throw new ValueError(`elements[${i}]: the vocabulary has no '${text}'`, 'elements');
    });
    return Int32Array.from([...tokens, STOP_TOKEN]);
  }

  /** Whether every element has a token. */
  knows(elements: readonly (Note | Bar)[]): boolean {
    return elements.every((element) => this.#tokens.has(elementText(element)));
  }

  /** The melody of tokens, up to the first stop token; words, which a model may draw too, are left out. */
  decode(tokens: ArrayLike<number>): (Note | Bar)[] {
    const result: (Note | Bar)[] = [];
    for (let i = 0; i < tokens.length && tokens[i] !== STOP_TOKEN; i++) {
      const element = this.elements[(tokens[i] as number) - 1];
      if (element) result.push(element);
    }
    return result;
  }
}
