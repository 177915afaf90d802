import { ValueError } from '../errors.ts';
import { hostArray } from '../host-arrays.ts';
import { checkRange, checkWaveform } from './checks.ts';
import { FourierTransform } from './fft.ts';
import { hann } from './mel-spectrogram.ts';
import { PhaseLocking } from './phase-locking.ts';
import { readAtSpeed } from './resample.ts';

export interface VocoderOptions {
  /**
   * Samples of a frame, a power of two of at least 64. About 64 ms is a good choice for music: longer ones tell low
   * notes apart, shorter ones keep attacks sharp. Default 1024, which is that at 16 kHz.
   */
  readonly frameLength?: number;
}

/**
 * The same sound faster or slower, at the same pitch, by a phase vocoder: frames under a Hann window, a quarter of their
 * length apart, are laid out anew. At a peak of the spectrum the phase advances, from one frame of the result to the next,
 * as it does over the same distance in the waveform; the bins around it are turned with it, so that a partial stays whole
 * (J. Laroche and M. Dolson, "New phase-vocoder techniques for pitch-shifting, harmonizing and other exotic effects",
 * WASPAA 1999: identity phase locking).
 *
 * @param speed in [0.25, 4]: 2 is twice as fast and half as long
 * @returns round(length / speed) samples
 * @throws ValueError for a speed or samples outside their domain, DTypeError for what is no Float32Array
 */
export function changeTempo(
  waveform: Float32Array,
  speed: number,
  { frameLength = 1024 }: VocoderOptions = {},
): Float32Array<ArrayBuffer> {
  checkRange('speed', speed, 0.25, 4);
  checkWaveform('waveform', waveform);
  if (!(frameLength >= 64)) {
    throw new ValueError(`frameLength: expected a power of two of at least 64, got ${frameLength}`, 'frameLength');
  }
  const transform = new FourierTransform(frameLength);
  if (speed === 1) return new Float32Array(waveform);
  return stretch(waveform, speed, transform);
}

/**
 * The same sound higher or lower, of the same length: its tempo is changed, and the result read at another speed.
 *
 * @param semitones in [−24, 24]; fractions are allowed
 * @returns as many samples as there were
 * @throws as {@link changeTempo}
 */
export function shiftPitch(
  waveform: Float32Array,
  semitones: number,
  options: VocoderOptions = {},
): Float32Array<ArrayBuffer> {
  checkRange('semitones', semitones, -24, 24);
  const ratio = 2 ** (semitones / 12);
  const stretched = changeTempo(waveform, 1 / ratio, options);
  return semitones === 0 ? stretched : readAtSpeed(stretched, ratio, waveform.length);
}

function stretch(waveform: Float32Array, speed: number, transform: FourierTransform): Float32Array<ArrayBuffer> {
  const size = transform.size;
  const hop = size / 4;
  const window = hann(size);
  const length = Math.round(waveform.length / speed);
  const out = hostArray('float32', length, `${length} samples`);
  const sum = new Float64Array(length);
  const weight = new Float64Array(length);

  const pair = new Float64Array(2 * size);
  const spectra = new Float64Array(2 * size);
  const result = new Float64Array(2 * size);
  const frame = new Float64Array(2 * size);
  const locking = new PhaseLocking(size);
  const sampleAt = (at: number) => (at >= 0 && at < waveform.length ? waveform[at]! : 0);

  // Frames are named by their middles: the first is at the begin, and frames go on until they no longer reach the result.
  for (let middle = 0; middle - size / 2 < length; middle += hop) {
    const at = Math.round(middle * speed) - size / 2;
    // Two real frames in one transform: the frame itself, and, as imaginary part, what was a hop before.
    for (let n = 0; n < size; n++) {
      pair[2 * n] = window[n]! * sampleAt(at + n);
      pair[2 * n + 1] = window[n]! * sampleAt(at + n - hop);
    }
    transform.forward(pair, spectra);
    locking.advance(spectra, result);
    transform.inverse(result, frame);
    const begin = middle - size / 2;
    for (let n = Math.max(0, -begin); n < size && begin + n < length; n++) {
      sum[begin + n]! += window[n]! * frame[2 * n]!;
      weight[begin + n]! += window[n]! ** 2;
    }
  }
  for (let n = 0; n < length; n++) out[n] = sum[n]! / weight[n]!;
  return out;
}
