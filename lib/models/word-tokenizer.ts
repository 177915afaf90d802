import { ValueError } from '../errors.ts';

/** Words, numbers and what music writes between them ("6/8", "F#", "1/4=120"), in lower case. */
const WORD = /[\p{L}\p{N}]+(?:[#♯♭'=/.-]+[\p{L}\p{N}]*)*/gu;

/** The words of a text, in lower case, as the tokenizer counts them: punctuation goes. */
export function wordsOf(text: string): string[] {
  return (
    text
      .normalize('NFC')
      .toLowerCase()
      .match(WORD)
      ?.map((word) => word.replace(/[./'-]+$/, '')) ?? []
  );
}

/**
 * Text as words of a closed vocabulary, for prompts: ids from `first` on, of which the first stands for no text at all
 * and the second for every word that is not known.
 */
export class WordTokenizer {
  /** Known words, in the order of their ids. */
  readonly words: readonly string[];
  /** The lowest id. */
  readonly first: number;
  readonly #ids: ReadonlyMap<string, number>;

  /** @throws ValueError for a word that is empty, twice there, or no single word */
  constructor(words: readonly string[], first = 0) {
    const ids = new Map<string, number>();
    words.forEach((word, i) => {
      const [own, ...more] = wordsOf(word);
      if (own !== word || more.length > 0) {
        throw new ValueError(`words[${i}]: expected one word in lower case, got '${word}'`, 'words');
      }
      if (ids.has(word)) throw new ValueError(`words[${i}]: '${word}' is there twice`, 'words');
      ids.set(word, first + 2 + i);
    });
    this.words = [...words];
    this.first = first;
    this.#ids = ids;
  }

  /** A tokenizer of the words that occur at least `atLeast` times in some texts, the most frequent first. */
  static of(texts: Iterable<string>, { first = 0, atLeast = 1 }: { first?: number; atLeast?: number } = {}) {
    const counts = new Map<string, number>();
    for (const text of texts) for (const word of wordsOf(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
    const known = [...counts].filter(([, count]) => count >= atLeast);
    // By count, then in an order that no locale changes.
    known.sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
    return new WordTokenizer(
      known.map(([word]) => word),
      first,
    );
  }

  /** Number of ids. */
  get size(): number {
    return this.words.length + 2;
  }
  /** Stands for no text: what a dropped or a negative prompt is. */
  get none(): number {
    return this.first;
  }
  /** Stands for a word that is not known. */
  get unknown(): number {
    return this.first + 1;
  }

  /** The ids of a text's words; [none] for a text without any. */
  encode(text: string): Int32Array {
    const ids = wordsOf(text).map((word) => this.#ids.get(word) ?? this.unknown);
    return Int32Array.from(ids.length > 0 ? ids : [this.none]);
  }

  /** The words of a text that are not known. */
  unknownWords(text: string): string[] {
    return wordsOf(text).filter((word) => !this.#ids.has(word));
  }

  /** The words of ids, with spaces between; an id of another range is a ValueError. */
  decode(ids: ArrayLike<number>): string {
    return Array.from(ids, (id) => {
      if (id === this.none) return '';
      if (id === this.unknown) return '<unknown>';
      const word = this.words[id - this.first - 2];
      if (word !== undefined) return word;
      throw new ValueError(`ids: expected ids from ${this.first} to ${this.first + this.size - 1}, got ${id}`, 'ids');
    })
      .filter((word) => word !== '')
      .join(' ');
  }
}
