import { DTypeError, ShapeError, ValueError } from '../errors.ts';
import { hostArray } from '../host-arrays.ts';
import type { Device } from '../tensor/device.ts';
import { Tensor } from '../tensor/tensor.ts';
import type { Layout } from './transformer-body.ts';

/** Sequences of patches, padded at their end to the longest. */
export interface PatchBatch {
  readonly rows: number;
  /** Patches of the longest row. */
  readonly positions: number;
  /** [rows, positions, patchSize], row-major; what stands behind a row's patches must be finite and is not used. */
  readonly data: Float32Array;
  /** [rows]: how many patches a row has. */
  readonly counts: Int32Array;
  /** Set while training: random masks of layers with dropout come from this seed. Absent: no dropout. */
  readonly dropoutSeed?: number;
}

/**
 * Packs sequences of patches, each [count, patchSize], row-major.
 *
 * @throws ValueError for no sequence or an element that is not finite, DTypeError for what is no Float32Array, ShapeError
 *   for an empty one or one that is no whole number of patches
 */
export function packPatches(
  sequences: readonly Float32Array[],
  { patchSize, argument = 'patches' }: { patchSize: number; argument?: string },
): PatchBatch {
  if (sequences.length === 0) throw new ValueError(`${argument}: expected at least one sequence, got none`, argument);
  const counts = Int32Array.from(sequences, (sequence, row) => countOf(sequence, patchSize, `${argument}[${row}]`));
  const positions = counts.reduce((a, b) => Math.max(a, b), 0);
  const data = hostArray('float32', sequences.length * positions * patchSize, argument);
  sequences.forEach((sequence, row) => data.set(sequence, row * positions * patchSize));
  return { rows: sequences.length, positions, data, counts };
}

function countOf(sequence: Float32Array, patchSize: number, argument: string): number {
  if (!(sequence instanceof Float32Array)) {
    throw new DTypeError(`${argument}: expected a Float32Array, got ${typeof sequence}`, argument);
  }
  const count = sequence.length / patchSize;
  if (!Number.isInteger(count) || count === 0) {
    throw new ShapeError(
      `${argument}: expected [patches, ${patchSize}] with at least one patch, got ${sequence.length} elements`,
      argument,
    );
  }
  // A sum is finite only if all of it is, and costs no branch an element.
  let sum = 0;
  for (let i = 0; i < sequence.length; i++) sum += sequence[i]!;
  if (!Number.isFinite(sum)) {
    const at = sequence.findIndex((x) => !Number.isFinite(x));
    throw new ValueError(`${argument}[${at}]: expected a finite number, got ${sequence[at]}`, argument);
  }
  return count;
}

/** A `PatchBatch` in the memory of a device. */
export class PlacedPatches implements Layout {
  readonly rows: number;
  readonly positions: number;
  /** [rows · positions, patchSize] */
  readonly data: Tensor;
  readonly starts: Tensor<'int32'>;
  readonly ends: Tensor<'int32'>;
  readonly places: Tensor<'int32'>;

  /** @throws ShapeError for arrays whose lengths do not fit each other, ValueError for counts outside 1 … positions */
  constructor({ rows, positions, data, counts }: PatchBatch, patchSize: number, device: Device) {
    if (data.length !== rows * positions * patchSize || counts.length !== rows) {
      throw new ShapeError(
        `patches: expected data [rows, positions, patchSize] = [${rows}, ${positions}, ${patchSize}] and counts [${rows}], ` +
          `got ${data.length} and ${counts.length} elements`,
        'patches',
      );
    }
    const wrong = counts.findIndex((count) => !(count >= 1 && count <= positions));
    if (wrong >= 0) {
      throw new ValueError(
        `counts[${wrong}]: expected an integer from 1 to ${positions}, got ${counts[wrong]}`,
        'counts',
      );
    }
    this.rows = rows;
    this.positions = positions;
    this.data = Tensor.from(data, [rows * positions, patchSize], device);
    this.starts = Tensor.from(new Int32Array(rows), [rows], device);
    this.ends = Tensor.from(counts, [rows], device);
    const places = Int32Array.from({ length: rows * positions }, (_, i) => i % positions);
    this.places = Tensor.from(places, [rows, positions], device);
  }
}
