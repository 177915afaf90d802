import { ValueError } from '../../errors.ts';
import type { Random } from '../../random.ts';
import type { Voicing } from './dataset.ts';
import { type ChordPrompt, HIGHEST_FRET, KEYS, MUTED, modulo12, pitchClass, promptId } from './music.ts';
import type { ChordVocabulary } from './tokens.ts';

/** How far a shape is moved along the neck, in frets either way, to make further training rows. */
export const LARGEST_SHIFT = 6;

/** One example for training the base model. */
export interface TrainingRow {
  /** The caption as the model sees it: three tokens, those of another row if `corrupted`. */
  readonly prompt: Int32Array;
  /** One token per string, then the stop token. */
  readonly answer: Int32Array;
  /** Whether the caption was replaced on purpose; it then differs from the one that the answer belongs to. */
  readonly corrupted: boolean;
  /** The prompt that the answer belongs to. */
  readonly source: ChordPrompt;
}

/**
 * The voicings of `training` prompts, and their shapes without open strings moved −6 … +6 frets along the neck with
 * the key moved along, wherever all fretted strings stay in 1 … 15 and the prompt they arrive at is in `training`
 * too. No voicing occurs twice for one prompt.
 */
export function extendAlongNeck(voicings: readonly Voicing[], training: readonly ChordPrompt[]): Voicing[] {
  const prompts = new Map(training.map((prompt) => [promptId(prompt), prompt]));
  const extended = new Map<string, Voicing>();
  const add = (prompt: ChordPrompt, frets: readonly number[]) => {
    const id = `${promptId(prompt)} ${frets.join()}`;
    if (!extended.has(id)) extended.set(id, { prompt, frets });
  };
  for (const { prompt, frets } of voicings) {
    if (!prompts.has(promptId(prompt))) continue;
    add(prompt, frets);
    if (frets.includes(0)) continue;
    for (let shift = -LARGEST_SHIFT; shift <= LARGEST_SHIFT; shift++) {
      const key = KEYS[modulo12(pitchClass(prompt.key) + shift)] as string;
      const target = prompts.get(promptId({ ...prompt, key }));
      const moved = frets.map((fret) => (fret === MUTED ? MUTED : fret + shift));
      const onNeck = moved.every((fret, string) => frets[string] === MUTED || (fret >= 1 && fret <= HIGHEST_FRET));
      if (target !== undefined && onNeck) add(target, moved);
    }
  }
  return [...extended.values()];
}

/**
 * Training rows for `voicings`. Each caption is replaced, with probability `captionNoise` (in [0, 1], else a
 * ValueError), by that of a row drawn uniformly from those whose caption differs.
 */
export function makeTrainingRows(
  voicings: readonly Voicing[],
  vocabulary: ChordVocabulary,
  captionNoise: number,
  random: Random,
): TrainingRow[] {
  if (!(captionNoise >= 0 && captionNoise <= 1)) {
    throw new ValueError(`captionNoise: expected a number in [0, 1], got ${captionNoise}`, 'captionNoise');
  }
  const captions = voicings.map(({ prompt }) => promptId(prompt));
  if (captionNoise > 0 && new Set(captions).size < 2) {
    throw new ValueError('captionNoise: expected 0 where all rows have one caption', 'captionNoise');
  }
  return voicings.map(({ prompt: source, frets }, row) => {
    const corrupted = random.uniform() < captionNoise;
    let caption = row;
    while (corrupted && captions[caption] === captions[row]) caption = random.integer(voicings.length);
    const shown = (voicings[caption] as Voicing).prompt;
    return {
      prompt: vocabulary.encodePrompt(shown),
      answer: vocabulary.encodeFrets(source, frets),
      corrupted,
      source,
    };
  });
}
