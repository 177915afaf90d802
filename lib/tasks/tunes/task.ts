import { ValueError } from '../../errors.ts';
import { Random } from '../../random.ts';
import type { Completion } from '../../training/completion-batch.ts';
import { generatedTune } from './generated-tune.ts';
import { promptText } from './prompt.ts';
import { toCommonKey } from './transpose.ts';
import type { Tune } from './tune.ts';
import { STOP_TOKEN, TuneVocabulary } from './vocabulary.ts';

export interface TuneTaskOptions {
  /** As readTunes gives them: those of the split 'validation' are held out. */
  readonly tunes: readonly Tune[];
  /** Chooses the keys that training prompts ask for. An integer in [0, 2^53 − 1]. */
  readonly seed: number;
  /** Longest tune that is learnt or generated, in tokens, the stop token included; longer ones are cut. Default 256. */
  readonly maxTokens?: number;
  /**
   * In how many keys each tune is learnt: its own, and others at random, of its own mode. Default 4. The music is in a
   * common key, so that a transposed tune differs in what its prompt asks for alone.
   */
  readonly keysPerTune?: number;
  /** Of a model that is there already. Default: what occurs in the tunes and the prompts for training. */
  readonly vocabulary?: TuneVocabulary;
}

/** A tune with its prompt, as the model sees both. */
export interface TuneRow extends Completion {
  readonly id: string;
  readonly text: string;
}

/**
 * Melodies from labels: given words such as "a slow air in 3/4, D major", a tune of joint tokens, pitch and duration in
 * one, in a common key. What a tune's labels say is its prompt; generations are moved to the key that the prompt asks for.
 */
export class TuneTask {
  readonly name = 'tunes';
  readonly seed: number;
  /** Unless it was given: of everything that is read, held-out tunes included. */
  readonly vocabulary: TuneVocabulary;
  readonly stopToken = STOP_TOKEN;
  readonly maxTokens: number;
  readonly trainingRows: readonly TuneRow[];
  readonly heldOutRows: readonly TuneRow[];
  /** The distinct prompts of the training rows, and of the held-out rows. They may have prompts in common. */
  readonly trainingPrompts: readonly string[];
  readonly heldOutPrompts: readonly string[];
  /** Length of the longest prompt, in tokens. */
  readonly maxPromptTokens: number;

  /** @throws ValueError naming the option that is wrong, when no tune is for training, or for one that the vocabulary cannot say */
  constructor({ tunes, seed, maxTokens = 256, keysPerTune = 4, vocabulary }: TuneTaskOptions) {
    for (const [name, value] of Object.entries({ maxTokens, keysPerTune })) {
      if (!(Number.isInteger(value) && value >= 1)) {
        throw new ValueError(`${name}: expected an integer of at least 1, got ${value}`, name);
      }
    }
    const held = tunes.filter(({ split }) => split === 'validation');
    const training = tunes.filter(({ split }) => split !== 'validation');
    if (training.length === 0) throw new ValueError('tunes: expected some for training, got none', 'tunes');
    this.seed = seed;
    this.maxTokens = maxTokens;
    const random = new Random(seed).fork('keys');
    const prompted = [
      ...training.map((tune) => ({ tune, texts: inKeys(tune, keysPerTune, training, random) })),
      ...held.map((tune) => ({ tune, texts: [promptText(tune)] })),
    ].map((row) => ({ ...row, elements: toCommonKey(row.tune).elements }));
    const texts = prompted.slice(0, training.length).flatMap((row) => row.texts);
    this.vocabulary = vocabulary ?? TuneVocabulary.of(prompted, texts);
    const rows = prompted.map(({ tune, texts, elements }) => {
      const tokens = this.vocabulary.encode(elements).subarray(0, maxTokens);
      return texts.map((text): TuneRow => ({ id: tune.id, text, prompt: this.encodePrompt(text), tokens }));
    });
    this.trainingRows = rows.slice(0, training.length).flat();
    this.heldOutRows = rows.slice(training.length).flat();
    this.trainingPrompts = distinctTexts(this.trainingRows);
    this.heldOutPrompts = distinctTexts(this.heldOutRows);
    this.maxPromptTokens = [...this.trainingRows, ...this.heldOutRows].reduce(
      (n, row) => Math.max(n, row.prompt.length),
      1,
    );
  }

  get vocabularySize(): number {
    return this.vocabulary.size;
  }

  /** Music and stop: the tokens 0 … answerTokens − 1, so that an embedder of answers needs no more. */
  get answerTokens(): number {
    return this.vocabulary.musicTokens;
  }

  /** The prompt that says nothing. */
  get noPrompt(): Int32Array {
    return this.vocabulary.noPrompt;
  }

  /** A prompt's words; those that training has not seen stand for an unknown word. */
  encodePrompt(text: string): Int32Array {
    return this.vocabulary.words.encode(text);
  }

  /**
   * A generation as a tune, in the key, mode and metre that its prompt asks for; C major and without bars where it asks
   * for none. A tie that leads to another pitch, which a model may draw, ends there.
   *
   * @throws ValueError when the key asked for takes a pitch out of 0 to 127
   */
  tuneOf(text: string, tokens: ArrayLike<number>, id = 'generated'): Tune {
    return generatedTune(this.vocabulary, text, tokens, id);
  }
}

/** Prompts of one tune: in its own key, and in others that training tunes of its mode are in, at random. */
function inKeys(tune: Tune, count: number, among: readonly Tune[], random: Random): string[] {
  const others = [...new Set(among.filter(({ mode }) => mode === tune.mode).map(({ key }) => key))];
  const keys = random.shuffle(others.filter((key) => key !== tune.key)).slice(0, count - 1);
  return [tune.key, ...keys].map((key) => promptText({ ...tune, key }));
}

function distinctTexts(rows: readonly TuneRow[]): string[] {
  return [...new Set(rows.map(({ text }) => text))];
}
