import { Random } from '../random.ts';

/** Items of similar size together. */
export interface Grouping {
  /** Of each item. */
  sizes: ArrayLike<number>;
  /** How many items are taken at a time. */
  batchSize: number;
}

/** So many batches are sorted among themselves: enough for batches of one size, and random still. */
const BATCHES_PER_WINDOW = 16;

/**
 * Picks items epoch by epoch, every item once per epoch in a random order. What a step gets depends on the seed and the
 * step alone, so that a resumed run needs no saved state for it.
 */
export class Epochs {
  readonly #items: number;
  readonly #seed: number;
  readonly #grouping: Grouping | undefined;
  #epoch = -1;
  #order: number[] = [];

  constructor(items: number, seed: number, grouping?: Grouping) {
    this.#items = items;
    this.#seed = seed;
    this.#grouping = grouping;
  }

  /** The indices of the items number first … first + count − 1 of the endless sequence of epochs. */
  take(first: number, count: number): number[] {
    return Array.from({ length: count }, (_, i) => this.#at(first + i));
  }

  #at(position: number): number {
    const epoch = Math.floor(position / this.#items);
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#order = Array.from({ length: this.#items }, (_, i) => i);
      const random = new Random(this.#seed).fork('epoch').fork(epoch);
      random.shuffle(this.#order);
      if (this.#grouping) this.#order = grouped(this.#order, this.#grouping, epoch * this.#items, random);
    }
    return this.#order[position % this.#items] as number;
  }
}

/**
 * Sorts an order by size within windows of some batches, and shuffles the batches of each. `first` is the position of the
 * order's begin: batches begin at multiples of their size.
 */
function grouped(order: readonly number[], { sizes, batchSize }: Grouping, first: number, random: Random): number[] {
  const begun = Math.min(order.length, (batchSize - (first % batchSize)) % batchSize);
  const result = order.slice(0, begun); // the rest of a batch that the epoch before began
  for (let begin = begun; begin < order.length; begin += BATCHES_PER_WINDOW * batchSize) {
    const window = order.slice(begin, begin + BATCHES_PER_WINDOW * batchSize);
    window.sort((a, b) => (sizes[a] as number) - (sizes[b] as number));
    const whole = Math.floor(window.length / batchSize);
    const batches = Array.from({ length: whole }, (_, b) => window.slice(b * batchSize, (b + 1) * batchSize));
    random.shuffle(batches);
    result.push(...batches.flat(), ...window.slice(whole * batchSize));
  }
  return result;
}
