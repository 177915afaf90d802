import { DTypeError } from '../errors.ts';
import { type AtomicFile, readExactly } from '../files.ts';
import type { FloatDType } from '../models/safetensors/floats.ts';
import { Arcs } from './arcs.ts';
import { mixInto, type Products, slerpCoefficients } from './arithmetic.ts';
import { type Division, type Piece, piecesOf } from './pieces.ts';
import type { Mix } from './recipe.ts';
import type { Segment } from './segments.ts';
import { settled } from './settled.ts';

/** A file that is being written, and where its tensors begin. */
export interface Written {
  file: AtomicFile;
  start: number;
}

export interface Streaming {
  segments: readonly Segment[];
  outputs: readonly Written[];
  /** Called after each piece that was written to all outputs. */
  onPiece: (piece: Piece) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Reads, mixes and writes pieces. Each of a few lanes takes one piece after the other through buffers of its own, so that
 * one is read while another is mixed and a third is written; only the mixing is done on the calling thread. Every input
 * is read once, whatever the number of outputs.
 */
export class Stream {
  readonly #division: Division;
  readonly #lanes: Lane[];

  constructor(division: Division, inputs: number, outputs: number) {
    this.#division = division;
    this.#lanes = Array.from({ length: division.lanes }, () => new Lane(inputs, outputs, division.pieceBytes));
  }

  /** Takes all segments of one file through. Nothing of it is under way any more when this settles. */
  async run({ segments, outputs, onPiece, signal }: Streaming): Promise<void> {
    const pieces = piecesOf(segments, this.#division.pieceBytes);
    const arcs = new Arcs();
    const writers = outputs.map((output) => new Writer(output));
    let failed = false;
    await settled(
      this.#lanes.map(async (lane) => {
        try {
          for (const piece of pieces) {
            if (failed) return;
            await lane.take(piece, writers, arcs, signal);
            if (!piece.measure) onPiece(piece);
          }
        } catch (error) {
          failed = true;
          arcs.abandon(error);
          throw error;
        }
      }),
    );
  }
}

/** The buffers of a piece that is under way. */
class Lane {
  readonly #inputs: readonly Uint8Array[];
  readonly #outputs: readonly Uint8Array[];

  constructor(inputs: number, outputs: number, bytes: number) {
    this.#inputs = Array.from({ length: inputs }, () => new Uint8Array(bytes));
    this.#outputs = Array.from({ length: outputs }, () => new Uint8Array(bytes));
  }

  async take(piece: Piece, writers: readonly Writer[], arcs: Arcs, signal: AbortSignal | undefined): Promise<void> {
    const { segment, offset, bytes } = piece;
    signal?.throwIfAborted();
    const inputs = segment.sources.map((source, i) => (source ? this.#inputs[i]!.subarray(0, bytes) : null));
    await settled(
      segment.sources.map(async (source, i) => {
        if (source) await readExactly(source.file.handle, inputs[i]!, source.position + offset, source.file.path);
      }),
    );
    signal?.throwIfAborted();
    if (piece.measure) return arcs.measure(piece, inputs);
    const products = await arcs.products(piece, inputs);
    signal?.throwIfAborted();
    if (segment.alike) checkAlike(segment, inputs);
    await settled(
      segment.mixes.map(async (mix, i) => {
        const made = this.#mixed(segment, mix, inputs, this.#outputs[i]!.subarray(0, bytes), products);
        await writers[i]!.write(made, segment.begin + offset);
      }),
    );
  }

  #mixed(
    segment: Segment,
    mix: Mix,
    inputs: readonly (Uint8Array | null)[],
    out: Uint8Array,
    products: Products | null,
  ): Uint8Array {
    if (mix.kind === 'take') return inputs[mix.input]!;
    if (segment.alike) return inputs.find((input) => input !== null)!;
    const slerp = mix.kind === 'slerp' ? slerpCoefficients(products!, mix.weight, segment.name) : null;
    mixInto(out, mix, segment.dtype as FloatDType, inputs, slerp);
    return out;
  }
}

/** Writes to one file, one piece at a time: the system would let only one in, and hold the thread of every other. */
class Writer {
  readonly #output: Written;
  #last: Promise<void> = Promise.resolve();

  constructor(output: Written) {
    this.#output = output;
  }

  write(bytes: Uint8Array, position: number): Promise<void> {
    const { file, start } = this.#output;
    this.#last = this.#last.then(() => file.write(bytes, start + position));
    return this.#last;
  }
}

function checkAlike({ name, dtype }: Segment, inputs: readonly (Uint8Array | null)[]): void {
  const [first, ...others] = inputs.filter((input) => input !== null);
  if (others.every((other) => Buffer.compare(first!, other) === 0)) return;
  throw new DTypeError(
    `tensor '${name}': expected F32, F16, BF16 or whole numbers, or the same values in all, got ${dtype} that differ`,
    name,
  );
}
