import { Random } from '../random.ts';

/**
 * Picks items epoch by epoch, every item once per epoch in a random order. What a step gets depends on the seed and the
 * step alone, so that a resumed run needs no saved state for it.
 */
export class Epochs {
  readonly #items: number;
  readonly #seed: number;
  #epoch = -1;
  #order: number[] = [];

  constructor(items: number, seed: number) {
    this.#items = items;
    this.#seed = seed;
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
      new Random(this.#seed).fork('epoch').fork(epoch).shuffle(this.#order);
    }
    return this.#order[position % this.#items] as number;
  }
}
