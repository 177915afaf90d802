import { ValueError } from '../errors.ts';
import { hostArray } from '../host-arrays.ts';
import { checkRange, checkWaveform } from './checks.ts';
import { FourierTransform } from './fft.ts';
import { hann } from './mel-spectrogram.ts';
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
 * length apart, are laid out anew. Between two frames of the result a bin's phase advances as it does over the same
 * distance in the waveform. For a partial's bins to stay together, a bin's phase is taken from itself and its two
 * neighbours (M. Puckette, "Phase-locked vocoder", WASPAA 1995).
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
  // The sum of a bin of the result and its neighbours, whose phase goes on; and the result's spectrum.
  const locked = new Float64Array(size + 2);
  const result = new Float64Array(2 * size);
  const frame = new Float64Array(2 * size);

  // Frames are named by their middles: the first is at the begin, and frames go on until they no longer reach the result.
  for (let middle = 0, first = true; middle - size / 2 < length; middle += hop, first = false) {
    const at = Math.round(middle * speed) - size / 2;
    // Two real frames in one transform: the frame itself, and, as imaginary part, what was a hop before.
    for (let n = 0; n < size; n++) {
      pair[2 * n] = window[n]! * (waveform[at + n] ?? 0);
      pair[2 * n + 1] = window[n]! * (waveform[at + n - hop] ?? 0);
    }
    transform.forward(pair, spectra);
    advance(spectra, locked, result, first);
    neighbours(result, locked);
    for (let bin = 1; bin < size / 2; bin++) {
      result[2 * (size - bin)] = result[2 * bin]!;
      result[2 * (size - bin) + 1] = -result[2 * bin + 1]!;
    }
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

/** The result's bins 0 to size/2: magnitudes from this frame, phases gone on from the last result. */
function advance(spectra: Float64Array, locked: Float64Array, result: Float64Array, first: boolean): void {
  const size = spectra.length / 2;
  for (let bin = 0; bin <= size / 2; bin++) {
    const mirror = bin === 0 ? 0 : size - bin;
    const [real, imaginary] = [spectra[2 * bin]!, spectra[2 * bin + 1]!];
    const [mirrorReal, mirrorImaginary] = [spectra[2 * mirror]!, spectra[2 * mirror + 1]!];
    // Of x + iy with real x and y: X[k] = (Z[k] + Z*[−k]) / 2, Y[k] = (Z[k] − Z*[−k]) / 2i.
    const nowReal = (real + mirrorReal) / 2;
    const nowImaginary = (imaginary - mirrorImaginary) / 2;
    const beforeReal = (imaginary + mirrorImaginary) / 2;
    const beforeImaginary = (mirrorReal - real) / 2;
    const magnitude = Math.sqrt(nowReal * nowReal + nowImaginary * nowImaginary);
    // The direction of locked · now · conj(before).
    const turnReal = nowReal * beforeReal + nowImaginary * beforeImaginary;
    const turnImaginary = nowImaginary * beforeReal - nowReal * beforeImaginary;
    const goneReal = locked[2 * bin]! * turnReal - locked[2 * bin + 1]! * turnImaginary;
    const goneImaginary = locked[2 * bin]! * turnImaginary + locked[2 * bin + 1]! * turnReal;
    const gone = Math.sqrt(goneReal * goneReal + goneImaginary * goneImaginary);
    // Out of silence there is no phase to go on from.
    const scale = first || gone < 1e-30 ? 0 : magnitude / gone;
    result[2 * bin] = scale === 0 ? nowReal : scale * goneReal;
    result[2 * bin + 1] = scale === 0 ? nowImaginary : scale * goneImaginary;
  }
}

/** Y[k] − Y[k−1] − Y[k+1]: under a Hann window from the frame's begin, neighbours of a partial have opposite signs. */
function neighbours(result: Float64Array, locked: Float64Array): void {
  const last = locked.length - 2;
  for (let at = 0; at < locked.length; at++) {
    const below = at >= 2 ? result[at - 2]! : 0;
    const above = at < last ? result[at + 2]! : 0;
    locked[at] = result[at]! - below - above;
  }
}
