import { ValueError } from '../errors.ts';
import { elementBytes, type Segment } from './segments.ts';

/** Part of a segment, as much as goes through the buffers at once. */
export interface Piece {
  segment: Segment;
  /** From the segment's begin. */
  offset: number;
  bytes: number;
  /** Whether only the products for the arc are taken; nothing is written. */
  measure: boolean;
}

/** How the memory is divided. */
export interface Division {
  /** Pieces that are under way at once. */
  lanes: number;
  /** Most bytes of a piece, and of each buffer. */
  pieceBytes: number;
}

export const DEFAULT_MEMORY_BYTES = 256_000_000;

// Reading, mixing and writing overlap from two pieces on; more even out their times.
const LANES = 4;
const LARGEST_PIECE = 2 ** 20;
const SMALLEST_PIECE = 4096;

/**
 * Divides the memory among buffers, one per input and output for each piece under way.
 *
 * @throws ValueError when there is too little for one
 */
export function divide(memoryBytes: number, inputs: number, outputs: number): Division {
  const buffers = inputs + outputs;
  const least = buffers * SMALLEST_PIECE;
  if (!Number.isSafeInteger(memoryBytes) || memoryBytes < least) {
    throw new ValueError(
      `memoryBytes: expected an integer of at least ${least} for ${inputs} inputs and ${outputs} outputs, got ${memoryBytes}`,
      'memoryBytes',
    );
  }
  const lanes = Math.min(LANES, Math.floor(memoryBytes / least));
  const most = Math.min(LARGEST_PIECE, memoryBytes / (lanes * buffers));
  return { lanes, pieceBytes: Math.floor(most / SMALLEST_PIECE) * SMALLEST_PIECE };
}

/** The pieces of all segments in order. A tensor on an arc that does not fit one piece comes twice, first to be measured. */
export function* piecesOf(segments: readonly Segment[], pieceBytes: number): Generator<Piece> {
  for (const segment of segments) {
    const arc = !segment.alike && segment.mixes.some(({ kind }) => kind === 'slerp');
    if (arc && segment.bytes > pieceBytes) yield* cut(segment, pieceBytes, true);
    yield* cut(segment, pieceBytes, false);
  }
}

function* cut(segment: Segment, pieceBytes: number, measure: boolean): Generator<Piece> {
  const step = pieceBytes - (pieceBytes % elementBytes(segment));
  for (let offset = 0; offset < segment.bytes; offset += step) {
    yield { segment, offset, bytes: Math.min(step, segment.bytes - offset), measure };
  }
}
