import { withoutTonic } from '../../tasks/tunes/prompt.ts';
import type { TuneTask } from '../../tasks/tunes/task.ts';

/**
 * The prompts that models are judged on: those of held-out tunes that differ in more than the tonic, which is a matter of
 * transposition, in the order of the tunes; of more than `most`, as many spread evenly.
 */
export function evaluationPrompts({ heldOutPrompts }: TuneTask, most: number): string[] {
  const distinct = [...new Map(heldOutPrompts.toReversed().map((text) => [withoutTonic(text), text])).values()];
  return spread(distinct.toReversed(), most);
}

/** At most so many of some items, spread evenly. */
export function spread<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items];
  return Array.from({ length: most }, (_, i) => items[Math.floor((i * items.length) / most)] as T);
}
