import { describe, expect, it } from 'vitest';
import { Random } from '../lib/random.ts';
import { Epochs } from '../lib/training/epochs.ts';

const ITEMS = 203;
const BATCH = 8;
const random = new Random(3);
const sizes = Array.from({ length: ITEMS }, () => 1 + Math.floor(256 * random.uniform()));

/** The longest of each batch times the batch, over what is in it. */
function padding(epochs: Epochs, batches: number): number {
  let [padded, used] = [0, 0];
  for (let b = 0; b < batches; b++) {
    const own = epochs.take(b * BATCH, BATCH).map((item) => sizes[item] as number);
    padded += Math.max(...own) * BATCH;
    used += own.reduce((sum, size) => sum + size, 0);
  }
  return padded / used;
}

describe('epochs', () => {
  for (const [name, grouping] of [
    ['of items in any order', undefined],
    ['of items of similar size together', { sizes, batchSize: BATCH }],
  ] as const) {
    it(`${name}: every item once, in another order each time, the same wherever one begins`, () => {
      const epochs = new Epochs(ITEMS, 1, grouping);
      const [first, second] = [epochs.take(0, ITEMS), epochs.take(ITEMS, ITEMS)];
      for (const epoch of [first, second]) expect(epoch.toSorted((a, b) => a - b)).toEqual([...first.keys()]);
      expect(second).not.toEqual(first);
      const again = new Epochs(ITEMS, 1, grouping);
      expect(again.take(ITEMS + 5, 40)).toEqual(second.slice(5, 45));
      expect(again.take(3, 40)).toEqual(first.slice(3, 43));
    });
  }

  it('leave little padding where items are grouped, in later epochs too', () => {
    expect(padding(new Epochs(ITEMS, 1), 100)).toBeGreaterThan(1.5);
    expect(padding(new Epochs(ITEMS, 1, { sizes, batchSize: BATCH }), 100)).toBeLessThan(1.2);
  });

  it('do not go through the sizes in order', () => {
    const epochs = new Epochs(ITEMS, 1, { sizes, batchSize: BATCH });
    const means = Array.from({ length: 12 }, (_, b) =>
      epochs.take(b * BATCH, BATCH).reduce((sum, item) => sum + (sizes[item] as number), 0),
    );
    expect(means).not.toEqual(means.toSorted((a, b) => a - b));
  });
});
