import { ValueError } from '../../errors.ts';
import type { Random } from '../../random.ts';
import type { ChordPrompt } from './music.ts';

/**
 * Holds out a random `share` (in [0, 1), rounded to whole prompts) of `prompts`; both parts keep the given order.
 *
 * A prompt that is the last in training with its instrument, key or suffix stays in training: a model that has never
 * seen one of a prompt's three tokens cannot answer it, so holding it out would measure nothing. A share that this
 * makes impossible is a ValueError.
 */
export function splitPrompts(
  prompts: readonly ChordPrompt[],
  share: number,
  random: Random,
): { training: ChordPrompt[]; heldOut: ChordPrompt[] } {
  if (!(share >= 0 && share < 1)) {
    throw new ValueError(`heldOutShare: expected a number in [0, 1), got ${share}`, 'heldOutShare');
  }
  const wanted = Math.round(share * prompts.length);
  const words = ({ instrument, key, suffix }: ChordPrompt) => [`i ${instrument}`, `k ${key}`, `s ${suffix}`];
  const left = new Map<string, number>();
  for (const word of prompts.flatMap(words)) left.set(word, (left.get(word) ?? 0) + 1);

  const held = new Set<ChordPrompt>();
  for (const prompt of random.shuffle([...prompts])) {
    if (held.size === wanted) break;
    if (words(prompt).some((word) => left.get(word) === 1)) continue;
    for (const word of words(prompt)) left.set(word, (left.get(word) as number) - 1);
    held.add(prompt);
  }
  if (held.size < wanted) {
    throw new ValueError(
      `heldOutShare: expected a share that leaves every instrument, key and suffix in training, got ${share}`,
      'heldOutShare',
    );
  }
  return {
    training: prompts.filter((prompt) => !held.has(prompt)),
    heldOut: prompts.filter((prompt) => held.has(prompt)),
  };
}
