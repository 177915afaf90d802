import { hostArray } from '../host-arrays.ts';
import { native } from '../native.ts';
import { Tape } from '../tensor/autograd.ts';
import type { Device } from '../tensor/device.ts';
import { add, l2Normalize, matmul, scale } from '../tensor/operations.ts';
import { Tensor } from '../tensor/tensor.ts';

/** Two matrices of embeddings [items, dimensions]: row i of both is of one item. */
export type Sides = readonly [Tensor, Tensor];

/**
 * Symmetric InfoNCE (van den Oord, Li, Vinyals, 2018; symmetric as in Radford et al., 2021): with a_i, b_i the rows of the
 * two sides divided by their lengths and s_ij = a_i · b_j / temperature, the mean of the cross-entropies of softmax_j(s_ij)
 * and softmax_j(s_ji) at j = i, in nats. Pairs of one group are no negatives of each other: with groups, both softmaxes
 * of row i go over the j that are i itself or of another group than i.
 *
 * @param watched what to differentiate by
 * @param embed gives the sides; its operations are recorded
 * @param groups of each pair; null where every pair is a group of its own
 * @returns the loss, and its gradient by what the sides depend on; the caller's scope disposes them
 */
export function infoNce(
  watched: readonly Tensor[],
  embed: () => Sides,
  temperature: number,
  groups: readonly string[] | null = null,
): { loss: Tensor; gradients: Map<Tensor, Tensor> } {
  const tape = new Tape(watched);
  const scores = tape.record(() => {
    const [first, second] = embed();
    const [a, b] = [l2Normalize(first), l2Normalize(second)];
    const left = groups && leftOut(groups, a.device);
    const among = (x: Tensor, y: Tensor): Tensor => {
      const logits = scale(matmul(x, y, { transposeB: true }), 1 / temperature);
      return left ? add(logits, left) : logits;
    };
    return [among(a, b), among(b, a)] as const;
  });
  const count = scores[0].shape[0] as number;
  const { device } = scores[0];
  const targets = Tensor.from(
    new Int32Array(count).map((_, i) => i),
    [count],
    device,
  );
  const losses = scores.map((logits) => {
    const [loss, perRow, gradient] = native.crossEntropy(logits.handle, targets.handle, null, 0.5 / count);
    new Tensor(perRow, 'float32');
    return { logits, loss: new Tensor(loss, 'float32'), gradient: new Tensor(gradient, 'float32') };
  });
  const gradients = tape.backward(losses.map(({ logits, gradient }) => [logits, gradient] as const));
  const [forward, backward] = losses.map(({ loss }) => loss) as [Tensor, Tensor];
  return { loss: new Tensor(native.add(forward.handle, backward.handle), 'float32'), gradients };
}

/** So far below every cosine over a temperature that its exponential is 0, and finite, so that no difference is NaN. */
const NEVER = -1e30;

/** What is added to the scores [pairs, pairs], symmetric: 0, or NEVER where two different pairs are of one group. */
function leftOut(groups: readonly string[], device: Device): Tensor | null {
  const count = groups.length;
  if (new Set(groups).size === count) return null;
  const values = hostArray('float32', count * count, 'the pairs of one group');
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < count; j++) if (i !== j && groups[i] === groups[j]) values[i * count + j] = NEVER;
  }
  return Tensor.from(values, [count, count], device);
}
