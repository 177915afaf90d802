import { hostArray } from '../host-arrays.ts';
import type { EncodeOptions, Encoder } from '../models/pooled-encoder.ts';
import type { Random } from '../random.ts';
import { Tape } from '../tensor/autograd.ts';
import { keep, scope } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';
import type { Optimizer } from '../training/optimizer.ts';
import { infoNce, type Sides } from './info-nce.ts';

/** Two items that should be close: two chunks of one piece, two views of one item, a text and what it describes. */
export type PositivePair<A = Int32Array, B = A> = readonly [A, B];

/** What a loss and its gradient are calculated with. */
export interface ContrastivePass<A, B> {
  /** Of the first items of the pairs, and of the second; they may be one. */
  readonly encoders: readonly [Encoder<A>, Encoder<B>];
  readonly optimizer: Optimizer;
  readonly temperature: number;
  /** Of each pair; pairs of one group are no negatives of each other. Null: every pair is a group of its own. */
  readonly groups: readonly string[] | null;
}

/** Some items of one side, which are encoded together. */
interface Part {
  readonly side: 0 | 1;
  readonly begin: number;
  readonly rows: number;
  encode(): Tensor;
}

/** The loss of the pairs, whose gradient goes to the optimiser; both sides are encoded at once. */
export async function wholePass<A, B>(
  { encoders, optimizer, temperature, groups }: ContrastivePass<A, B>,
  pairs: readonly PositivePair<A, B>[],
  random: Random,
): Promise<number> {
  const dropoutSeed = random.word();
  const options = (side: 0 | 1): EncodeOptions => ({ argument: 'pair', dropoutSeed: dropoutSeed + side });
  const embed = (): Sides => [
    encoders[0].encode(firsts(pairs), options(0)),
    encoders[1].encode(seconds(pairs), options(1)),
  ];
  using loss = scope(() => {
    const result = infoNce(optimizer.watched, embed, temperature, groups);
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
export async function cachedPass<A, B>(
  pass: ContrastivePass<A, B>,
  pairs: readonly PositivePair<A, B>[],
  random: Random,
  { rows, signal }: { rows: number; signal: AbortSignal | undefined },
): Promise<number> {
  const { encoders, optimizer } = pass;
  const parts = [
    ...partsOf(0, encoders[0], firsts(pairs), { rows, random }),
    ...partsOf(1, encoders[1], seconds(pairs), { rows, random }),
  ];
  const { dimensions } = encoders[0];
  const values = ([0, 1] as const).map(() => hostArray('float32', pairs.length * dimensions, 'the embeddings'));
  for (const part of parts) {
    signal?.throwIfAborted();
    using embeddings = part.encode();
    values[part.side]?.set(await embeddings.read(), part.begin * dimensions);
  }
  const { loss, gradients } = embeddingGradients(pass, values as [Float32Array, Float32Array], pairs.length);
  try {
    const [value] = await loss.read();
    for (const part of parts) {
      signal?.throwIfAborted();
      using embeddings = scope(() => {
        const tape = new Tape(optimizer.watched);
        const again = tape.record(() => part.encode());
        const gradient = gradients[part.side].rows(part.begin, part.begin + part.rows);
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
function embeddingGradients<A, B>(
  { encoders, temperature, groups }: ContrastivePass<A, B>,
  values: readonly [Float32Array, Float32Array],
  items: number,
): { loss: Tensor; gradients: Sides } {
  return scope(() => {
    const { device, dimensions } = encoders[0];
    const [a, b] = values.map((side) => Tensor.from(side, [items, dimensions], device)) as [Tensor, Tensor];
    const { loss, gradients } = infoNce([a, b], () => [a, b], temperature, groups);
    return { loss: keep(loss), gradients: [gradients.get(a) as Tensor, gradients.get(b) as Tensor] };
  });
}

/** The parts of one side. Each draws a dropout seed of its own, which both passes use. */
function partsOf<Item>(
  side: 0 | 1,
  encoder: Encoder<Item>,
  items: readonly Item[],
  { rows, random }: { rows: number; random: Random },
): Part[] {
  return Array.from({ length: Math.ceil(items.length / rows) }, (_, part) => {
    const begin = part * rows;
    const own = items.slice(begin, begin + rows);
    const options = { argument: 'pair', dropoutSeed: random.word() };
    return { side, begin, rows: own.length, encode: () => encoder.encode(own, options) };
  });
}

const firsts = <A, B>(pairs: readonly PositivePair<A, B>[]): A[] => pairs.map(([first]) => first);
const seconds = <A, B>(pairs: readonly PositivePair<A, B>[]): B[] => pairs.map(([, second]) => second);
