import { ValueError } from '../errors.ts';

/** A formula for mels: that of HTK, or that of Slaney's Auditory Toolbox. */
export type MelScale = 'htk' | 'slaney';

// Slaney: linear up to 1000 Hz, which is 15 mels, and from there 27 mels for every factor of 6.4.
const LINEAR_HERTZ = 200 / 3;
const BREAK_HERTZ = 1000;
const BREAK_MEL = BREAK_HERTZ / LINEAR_HERTZ;
const LOG_STEP = Math.log(6.4) / 27;

/** HTK: 2595 · log10(1 + f/700). Slaney: 3f/200 up to 1000 Hz, 15 + 27 · ln(f/1000) / ln 6.4 above. */
export function hertzToMel(hertz: number, scale: MelScale): number {
  if (scale === 'htk') return 2595 * Math.log10(1 + hertz / 700);
  return hertz < BREAK_HERTZ ? hertz / LINEAR_HERTZ : BREAK_MEL + Math.log(hertz / BREAK_HERTZ) / LOG_STEP;
}

/** The inverse of {@link hertzToMel}. */
export function melToHertz(mel: number, scale: MelScale): number {
  if (scale === 'htk') return 700 * (10 ** (mel / 2595) - 1);
  return mel < BREAK_MEL ? mel * LINEAR_HERTZ : BREAK_HERTZ * Math.exp(LOG_STEP * (mel - BREAK_MEL));
}

/** A band's weights on the bins of a spectrum from `begin` on; the others are 0. */
export interface MelFilter {
  readonly begin: number;
  readonly weights: Float64Array;
}

/**
 * Triangular filters whose corners are equally spaced in mels from `lowHertz` to `highHertz`. A triangle rises from 0 at
 * the middle of the band below to its top at its own middle and falls to 0 at the next one's, linearly in hertz. On the
 * HTK scale the top is 1; on Slaney's the area is 1 (the top is 2 divided by the base in hertz).
 *
 * @returns one per band
 * @throws ValueError when a band is so narrow that no bin of the spectrum lies in it
 */
export function melFilters(options: {
  readonly scale: MelScale;
  readonly bands: number;
  readonly lowHertz: number;
  readonly highHertz: number;
  readonly fftSize: number;
  readonly sampleRate: number;
}): MelFilter[] {
  const { scale, bands, lowHertz, highHertz, fftSize, sampleRate } = options;
  const low = hertzToMel(lowHertz, scale);
  const step = (hertzToMel(highHertz, scale) - low) / (bands + 1);
  const corner = (index: number) => melToHertz(low + index * step, scale);
  const binHertz = sampleRate / fftSize;
  return Array.from({ length: bands }, (_, band) => {
    const [left, middle, right] = [corner(band), corner(band + 1), corner(band + 2)];
    const begin = Math.floor(left / binHertz) + 1;
    const end = Math.min(fftSize / 2, Math.ceil(right / binHertz) - 1);
    if (begin > end) {
      const range = `${left.toFixed(1)} to ${right.toFixed(1)} Hz`;
      throw new ValueError(
        `bands: expected bands with a bin of the spectrum (every ${binHertz} Hz) in each, but band ${band} of ${bands} is ${range}`,
        'bands',
      );
    }
    const top = scale === 'slaney' ? 2 / (right - left) : 1;
    const weights = Float64Array.from({ length: end - begin + 1 }, (_, index) => {
      const hertz = (begin + index) * binHertz;
      return top * Math.min((hertz - left) / (middle - left), (right - hertz) / (right - middle));
    });
    return { begin, weights };
  });
}
