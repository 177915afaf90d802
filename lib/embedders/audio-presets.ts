import type { PatchEncoderOptions } from '../models/patch-encoder.ts';

/** What both read: a chunk of 4 seconds, 25 × 4 patches of 16 frames × 16 bands. */
const CHUNK = { patchSize: 256, maxPositions: 100 } as const;

/**
 * The shape of the music embedder in "Diversity-rewarded CFG distillation" (Cideron et al., arXiv 2410.06084), a compact
 * vision transformer: 12 layers, 6 heads of 64, width 512, feed-forward 1024. Spread it into the options of a
 * `PatchEncoder`.
 */
export const AUDIO_ENCODER_PAPER = {
  ...CHUNK,
  depth: 12,
  width: 512,
  heads: 6,
  headWidth: 64,
  feedForwardWidth: 1024,
} as const satisfies PatchEncoderOptions;

/** One that a CPU trains in minutes: 4 layers, 4 heads of 32, width 128, feed-forward 256. */
export const AUDIO_ENCODER_SMALL = {
  ...CHUNK,
  depth: 4,
  width: 128,
  heads: 4,
  headWidth: 32,
  feedForwardWidth: 256,
} as const satisfies PatchEncoderOptions;
