import { type AugmentationRanges, augmentWaveform, drawAugmentation } from '../audio/augment.ts';
import { ShapeError } from '../errors.ts';
import type { Random } from '../random.ts';
import type { AudioFront } from './audio-front.ts';
import type { PositivePair } from './contrastive-pass.ts';

export interface AudioPairOptions {
  readonly front: AudioFront;
  /** What each chunk's own changes of pitch, tempo and noise are drawn from; null for none. Default: the usual ranges. */
  readonly ranges?: AugmentationRanges | null;
}

/**
 * A positive pair of an audio encoder: two chunks of one piece that do not overlap, each at a random place and with an
 * augmentation of its own, as patches.
 *
 * @param waveform mono, at the front's sample rate; in a piece too short for two chunks both are shorter, and end in
 *   silence
 * @throws ShapeError for a waveform of fewer than 2 samples, else as `augmentWaveform`
 */
export function audioPair(
  waveform: Float32Array,
  random: Random,
  { front, ranges = {} }: AudioPairOptions,
): PositivePair<Float32Array> {
  const augmentations = [0, 1].map(() => (ranges === null ? null : drawAugmentation(random, ranges)));
  // What is played faster takes more of the piece for a chunk's length.
  const lengths = augmentations.map((a) => Math.ceil(front.chunkLength * (a?.speed ?? 1)));
  const places = separateChunks(waveform.length, lengths as [number, number], random);
  const [a, b] = places.map(({ begin, length }, i) => {
    const chunk = waveform.subarray(begin, begin + length);
    const augmentation = augmentations[i];
    return front.patches(augmentation ? augmentWaveform(chunk, augmentation) : chunk);
  }) as [Float32Array, Float32Array];
  return [a, b];
}

/** A stretch of a waveform, in samples. */
export interface Chunk {
  readonly begin: number;
  readonly length: number;
}

/**
 * Places for two chunks that do not overlap, uniform among all of them and in either order. Where both do not fit, they
 * share what there is in proportion to their lengths.
 *
 * @throws ShapeError for fewer than 2 samples
 */
export function separateChunks(
  samples: number,
  [a, b]: readonly [number, number],
  random: Random,
): readonly [Chunk, Chunk] {
  if (samples < 2) throw new ShapeError(`waveform: expected at least 2 samples, got ${samples}`, 'waveform');
  const swapped = random.integer(2) === 1;
  const wanted = swapped ? [b, a] : [a, b];
  const share = samples / (a + b);
  const first = share < 1 ? Math.min(samples - 1, Math.max(1, Math.round(share * wanted[0]!))) : wanted[0]!;
  const second = share < 1 ? samples - first : wanted[1]!;
  const slack = samples - first - second;
  const [low, high] = gaps(slack, random);
  const chunks = [
    { begin: low, length: first },
    { begin: high + first, length: second },
  ] as const;
  return swapped ? [chunks[1], chunks[0]] : chunks;
}

/** Two integers 0 ≤ low ≤ high ≤ slack, each pair of them as likely. */
function gaps(slack: number, random: Random): readonly [number, number] {
  // Of slack + 2 numbers, two different ones: as many choices as there are pairs.
  const one = random.integer(slack + 2);
  const draw = random.integer(slack + 1);
  const other = draw < one ? draw : draw + 1;
  return [Math.min(one, other), Math.max(one, other) - 1];
}
