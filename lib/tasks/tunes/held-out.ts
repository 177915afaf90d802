import { createHash } from 'node:crypto';
import type { SplitTune } from './read-tunes.ts';
import { titleCluster, VALIDATION_SHARE } from './split.ts';

const LEAST = { validation: 2, train: 4 } as const;
/** Fewer tunes than these cannot be split: some could not be told from one another, or nothing be learnt from the rest. */
export const LEAST_TUNES = LEAST.validation + LEAST.train;

/**
 * Tunes of which enough are held out to judge by. A collection so small that chance leaves too few in a part gives for
 * validation those whose titles' digests come first, a tenth and at least two.
 *
 * @returns the tunes, and how many of them this holds out; null where their own split serves, or they are fewer than
 *   {@link LEAST_TUNES}
 */
export function withHeldOut(tunes: readonly SplitTune[]): { tunes: readonly SplitTune[]; heldOut: number | null } {
  if (tunes.length < LEAST_TUNES) return { tunes, heldOut: null };
  const held = tunes.filter(({ split }) => split === 'validation').length;
  if (held >= LEAST.validation && tunes.length - held >= LEAST.train) return { tunes, heldOut: null };
  const key = (tune: SplitTune) =>
    createHash('sha256')
      .update(titleCluster(tune.title) || tune.id)
      .digest('hex');
  const order = tunes.map((tune) => ({ tune, key: key(tune) })).sort((a, b) => (a.key < b.key ? -1 : 1));
  const count = Math.max(LEAST.validation, Math.round(VALIDATION_SHARE * tunes.length));
  const chosen = new Set(order.slice(0, count).map(({ tune }) => tune));
  return {
    tunes: tunes.map((tune) => ({ ...tune, split: chosen.has(tune) ? ('validation' as const) : ('train' as const) })),
    heldOut: count,
  };
}
