import type { Device } from '../tensor/device.ts';
import { Tensor } from '../tensor/tensor.ts';
import type { TokenBatch } from './token-batch.ts';

/** A `TokenBatch` in the memory of a device: a pass that was recorded on it is replayed on what is written later. */
export class PlacedBatch {
  readonly rows: number;
  readonly positions: number;
  /** [rows, positions] */
  readonly tokens: Tensor<'int32'>;
  /** [rows]: the keys of a row are its positions starts ≤ j < ends. */
  readonly starts: Tensor<'int32'>;
  readonly ends: Tensor<'int32'>;
  /** [rows, positions]: each position counted from its row's start; 0 in the padding. */
  readonly places: Tensor<'int32'>;
  readonly dropoutSeed: number | undefined;

  constructor(batch: TokenBatch, device: Device) {
    const { rows, positions, tokens, starts, dropoutSeed } = batch;
    this.rows = rows;
    this.positions = positions;
    this.dropoutSeed = dropoutSeed;
    this.tokens = Tensor.from(tokens, [rows, positions], device);
    this.starts = Tensor.from(starts, [rows], device);
    this.ends = Tensor.from(new Int32Array(rows).fill(positions), [rows], device);
    this.places = Tensor.from(relativePositions(batch), [rows, positions], device);
  }

  /** Puts another batch of the same shape in the place of this one. */
  write(batch: TokenBatch): void {
    this.tokens.write(batch.tokens);
    this.starts.write(batch.starts);
    this.places.write(relativePositions(batch));
  }

  get tensors(): readonly Tensor<'int32'>[] {
    return [this.tokens, this.starts, this.ends, this.places];
  }
}

function relativePositions({ rows, positions, starts }: TokenBatch): Int32Array {
  const places = new Int32Array(rows * positions);
  for (let r = 0; r < rows; r++) {
    const start = starts[r] as number;
    for (let j = start; j < positions; j++) places[r * positions + j] = j - start;
  }
  return places;
}
