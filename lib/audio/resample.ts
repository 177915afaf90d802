import { hostArray } from '../host-arrays.ts';
import { checkCount, checkRange, checkSampleRate, checkWaveform } from './checks.ts';

/** Zero crossings of the sinc on each side, at the rate of the slower of the two. */
const CROSSINGS = 32;
/** Of the Kaiser window: about 80 dB of attenuation. */
const BETA = 8;
/** The middle of the transition band as a fraction of the lower Nyquist frequency; the band ends at about that frequency. */
const ROLL_OFF = 0.92;
/** Values of the kernel between two zero crossings; between two values the kernel is taken as a line (error < −110 dB). */
const DENSITY = 1024;

let kernel: Float64Array | undefined;

/** sinc(x) · Kaiser(x / CROSSINGS) for x = 0, 1/DENSITY, … CROSSINGS, and one more, which is 0. */
function kernelTable(): Float64Array {
  if (kernel) return kernel;
  const table = new Float64Array(CROSSINGS * DENSITY + 2);
  for (let index = 0; index <= CROSSINGS * DENSITY; index++) {
    const x = index / DENSITY;
    const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
    table[index] = (sinc * bessel0(BETA * Math.sqrt(1 - (x / CROSSINGS) ** 2))) / bessel0(BETA);
  }
  kernel = table;
  return table;
}

/** The modified Bessel function of the first kind and order 0, by its power series Σ ((x/2)^k / k!)². */
function bessel0(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > sum * 1e-17; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/**
 * The same sound at another sample rate, by a sinc under a Kaiser window (32 zero crossings a side, β = 8). What lies
 * above half of the lower rate is removed, about 80 dB down; up to 84 % of that is kept. There is no delay: sample i of
 * the result is at the time of sample i · from / to. Outside the waveform is silence.
 *
 * @param waveform samples at `from` hertz
 * @param from, to integers of [1,000, 768,000] Hz
 * @returns ⌈length · to / from⌉ samples; a copy where the rates are the same
 * @throws ValueError for another rate or samples that are not finite, DTypeError for what is no Float32Array
 */
export function resample(
  waveform: Float32Array,
  { from, to }: { readonly from: number; readonly to: number },
): Float32Array<ArrayBuffer> {
  checkSampleRate('from', from);
  checkSampleRate('to', to);
  checkWaveform('waveform', waveform);
  if (from === to) return new Float32Array(waveform);
  return readAtSpeed(waveform, from / to, Math.ceil((waveform.length * to) / from));
}

/**
 * Samples of a waveform at the times 0, speed, 2 · speed, … (in samples), without aliasing: played at the same rate it is
 * `speed` times as fast, and as high.
 *
 * @param speed in [1/1024, 1024]
 * @param length how many samples to give; beyond the waveform is silence
 */
export function readAtSpeed(waveform: Float32Array, speed: number, length: number): Float32Array<ArrayBuffer> {
  checkRange('speed', speed, 1 / 1024, 1024);
  checkCount('length', length, 0);
  const table = kernelTable();
  const cutoff = ROLL_OFF * Math.min(1, 1 / speed);
  // Half the kernel's width, in samples of the waveform, and the steps through the table from one such sample to the next.
  const reach = CROSSINGS / cutoff;
  const stride = cutoff * DENSITY;
  const last = waveform.length - 1;
  const out = hostArray('float32', length, `${length} samples`);
  for (let index = 0; index < length; index++) {
    const time = index * speed;
    const from = Math.max(0, Math.ceil(time - reach));
    const to = Math.min(last, Math.floor(time + reach));
    let sum = 0;
    for (let at = from; at <= to; at++) {
      const position = Math.abs(time - at) * stride;
      const cell = position | 0;
      const low = table[cell]!;
      sum += waveform[at]! * (low + (position - cell) * (table[cell + 1]! - low));
    }
    out[index] = cutoff * sum;
  }
  return out;
}
