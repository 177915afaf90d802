import { ShapeError } from '../errors.ts';
import { hostArray } from '../host-arrays.ts';
import { checkCount } from './checks.ts';
import type { MelSpectrogram } from './mel-spectrogram.ts';

export interface PatchOptions {
  /** Frames of a patch. Default 16. */
  readonly frames?: number;
  /** Bands of a patch. Default 16. */
  readonly bands?: number;
  /** From one patch to the next along time; less than `frames` lets them overlap. Default `frames`. */
  readonly frameStride?: number;
  /** From one patch to the next along frequency. Default `bands`. */
  readonly bandStride?: number;
}

/** Rectangles of a spectrogram, as a vision transformer takes them. */
export interface Patches {
  /** [count, size], row-major. A patch is its frames one after another, of its bands each. */
  readonly data: Float32Array<ArrayBuffer>;
  readonly count: number;
  readonly size: number;
  /** How many there are along time and along frequency; patch (i, j) is number i · grid[1] + j. */
  readonly grid: readonly [number, number];
}

/**
 * Cuts a spectrogram into patches. Frames at its end that fill no patch are left out; its bands must be filled exactly.
 *
 * @throws ShapeError for a spectrogram shorter than a patch, or bands that patches do not fill, ValueError for options
 *   that are no integers of at least 1
 */
export function patches(spectrogram: MelSpectrogram, options: PatchOptions = {}): Patches {
  const { frames = 16, bands = 16, frameStride = frames, bandStride = bands } = options;
  for (const [name, value] of Object.entries({ frames, bands, frameStride, bandStride })) checkCount(name, value, 1);
  const { data: source, frames: allFrames, bands: allBands } = spectrogram;
  if (source.length !== allFrames * allBands) {
    throw new ShapeError(
      `spectrogram: expected [frames, bands] = [${allFrames}, ${allBands}], got ${source.length} elements`,
      'spectrogram',
    );
  }
  if (allFrames < frames) {
    throw new ShapeError(`spectrogram: expected at least ${frames} frames, got ${allFrames}`, 'spectrogram');
  }
  if (allBands < bands || (allBands - bands) % bandStride !== 0) {
    throw new ShapeError(
      `spectrogram: expected ${bands} bands and a multiple of ${bandStride} more, got ${allBands}`,
      'spectrogram',
    );
  }
  const alongTime = 1 + Math.floor((allFrames - frames) / frameStride);
  const alongBands = 1 + (allBands - bands) / bandStride;
  const count = alongTime * alongBands;
  const size = frames * bands;
  const data = hostArray('float32', count * size, `${count} patches`);
  let to = 0;
  for (let i = 0; i < alongTime; i++) {
    for (let j = 0; j < alongBands; j++) {
      for (let frame = i * frameStride; frame < i * frameStride + frames; frame++, to += bands) {
        const from = frame * allBands + j * bandStride;
        data.set(source.subarray(from, from + bands), to);
      }
    }
  }
  return { data, count, size, grid: [alongTime, alongBands] };
}
