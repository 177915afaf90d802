import { hostArray } from '../host-arrays.ts';
import type { EncodeOptions, Encoder } from '../models/pooled-encoder.ts';
import type { Random } from '../random.ts';
import { Tape } from '../tensor/autograd.ts';
import { keep, scope } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';
import type { Optimizer } from '../training/optimizer.ts';
import { infoNce, type Sides } from './info-nce.ts';

/** Two items that should be close: two chunks of one piece, or two views of one item. */
export type PositivePair<Item = Int32Array> = readonly [Item, Item];

/** What a loss and its gradient are calculated with. */
export interface ContrastivePass<Item> {
  readonly encoder: Encoder<Item>;
  readonly optimizer: Optimizer;
  readonly temperature: number;
}

/** Items of one side that are encoded together. */
interface Part<Item> {
  readonly side: 0 | 1;
  readonly begin: number;
  readonly items: readonly Item[];
  readonly options: EncodeOptions;
}

/** The loss of the pairs, whose gradient goes to the optimiser; both sides are encoded at once. */
export async function wholePass<Item>(
  { encoder, optimizer, temperature }: ContrastivePass<Item>,
  pairs: readonly PositivePair<Item>[],
  random: Random,
): Promise<number> {
  const dropoutSeed = random.word();
  const side = (which: 0 | 1): Tensor =>
    encoder.encode(
      pairs.map((pair) => pair[which]),
      { argument: 'pair', dropoutSeed: dropoutSeed + which },
    );
  using loss = scope(() => {
    const result = infoNce(optimizer.watched, () => [side(0), side(1)], temperature);
    optimizer.accumulate(result.gradients);
    return result.loss;
  });
  return (await loss.read())[0] as number;
}

/**
 * The same by gradient caching (Gao et al., "Scaling deep contrastive learning batch size under memory limited setup",
 * 2021): all items are embedded part by part without a tape; the loss gives the gradient in the embeddings; then each part
 * is embedded again, with a tape and the same dropout masks, and its share of that gradient carried back. The memory is
 * that of one part of `rows` items, the gradient that of the whole batch, as the loss depends on the weights through the
 * embeddings alone.
 */
export async function cachedPass<Item>(
  pass: ContrastivePass<Item>,
  pairs: readonly PositivePair<Item>[],
  random: Random,
  { rows, signal }: { rows: number; signal: AbortSignal | undefined },
): Promise<number> {
  const { encoder, optimizer } = pass;
  const parts = partsOf(pairs, rows, random);
  const { dimensions } = encoder;
  const values = ([0, 1] as const).map(() => hostArray('float32', pairs.length * dimensions, 'the embeddings'));
  for (const { side, begin, items, options } of parts) {
    signal?.throwIfAborted();
    using embeddings = encoder.encode(items, options);
    values[side]?.set(await embeddings.read(), begin * dimensions);
  }
  const { loss, gradients } = embeddingGradients(pass, values as [Float32Array, Float32Array], pairs.length);
  try {
    const [value] = await loss.read();
    for (const { side, begin, items, options } of parts) {
      signal?.throwIfAborted();
      using embeddings = scope(() => {
        const tape = new Tape(optimizer.watched);
        const again = tape.record(() => encoder.encode(items, options));
        const gradient = gradients[side].rows(begin, begin + items.length);
        optimizer.accumulate(tape.backward([[again, gradient]]));
        return again;
      });
      // Waits until the part is through, so that no two parts need memory at a time.
      await embeddings.read();
    }
    return value as number;
  } finally {
    for (const tensor of [loss, ...gradients]) tensor.dispose();
  }
}

/** The loss of embeddings [items, dimensions], and its gradient in them. */
function embeddingGradients<Item>(
  { encoder, temperature }: ContrastivePass<Item>,
  values: readonly [Float32Array, Float32Array],
  items: number,
): { loss: Tensor; gradients: Sides } {
  return scope(() => {
    const shape = [items, encoder.dimensions];
    const [a, b] = values.map((side) => Tensor.from(side, shape, encoder.device)) as [Tensor, Tensor];
    const { loss, gradients } = infoNce([a, b], () => [a, b], temperature);
    return { loss: keep(loss), gradients: [gradients.get(a) as Tensor, gradients.get(b) as Tensor] };
  });
}

/** Each part draws a dropout seed of its own, which both passes use. */
function partsOf<Item>(pairs: readonly PositivePair<Item>[], rows: number, random: Random): Part<Item>[] {
  return ([0, 1] as const).flatMap((side) => {
    return Array.from({ length: Math.ceil(pairs.length / rows) }, (_, part) => {
      const begin = part * rows;
      const items = pairs.slice(begin, begin + rows).map((pair) => pair[side]);
      return { side, begin, items, options: { argument: 'pair', dropoutSeed: random.word() } };
    });
  });
}
