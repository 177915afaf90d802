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

/** The most numbers that are kept for the places between two samples that rates with a common divisor share. */
const MOST_KEPT = 2 ** 20;

/** sinc(x) · Kaiser(x / CROSSINGS) for x = 0, 1/DENSITY, … CROSSINGS, and zeros beyond; made at the first use. */
let kernelTable: Float64Array | undefined;

function makeKernelTable(): Float64Array {
  // A time may be up to a sample further from the outermost weights.
  const table = new Float64Array((CROSSINGS + 3) * DENSITY);
  for (let index = 0; index <= CROSSINGS * DENSITY; index++) {
    const x = index / DENSITY;
    const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
    table[index] = (sinc * bessel0(BETA * Math.sqrt(1 - (x / CROSSINGS) ** 2))) / bessel0(BETA);
  }
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

/** The weights of samples around a time between two of them. */
class Interpolation {
  /** How many samples have a weight. */
  readonly taps: number;
  /** How many of them lie before the one below the time. */
  readonly before: number;
  readonly #cutoff: number;
  readonly #table: Float64Array;

  /** @param speed samples of the waveform for every one of the result */
  constructor(speed: number) {
    kernelTable ??= makeKernelTable();
    this.#table = kernelTable;
    this.#cutoff = ROLL_OFF * Math.min(1, 1 / speed);
    const reach = Math.ceil(CROSSINGS / this.#cutoff);
    this.taps = 2 * reach;
    this.before = reach - 1;
  }

  /** Writes the weights for a time that is `fraction` of a sample above a sample. */
  weights(fraction: number, out: Float64Array): void {
    const table = this.#table;
    const cutoff = this.#cutoff;
    const taps = this.taps;
    const stride = cutoff * DENSITY;
    const middle = fraction + this.before;
    for (let tap = 0; tap < taps; tap++) {
      const position = Math.abs(middle - tap) * stride;
      const cell = position | 0;
      const low = table[cell]!;
      out[tap] = cutoff * (low + (position - cell) * (table[cell + 1]! - low));
    }
  }

  /** The waveform at that time, of which `below` is the whole part. */
  sum(waveform: Float32Array, below: number, weights: Float64Array): number {
    const begin = below - this.before;
    const end = Math.min(this.taps, waveform.length - begin);
    let tap = Math.max(0, -begin);
    // Four sums, so that an addition need not wait for the one before.
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (; tap + 3 < end; tap += 4) {
      a += weights[tap]! * waveform[begin + tap]!;
      b += weights[tap + 1]! * waveform[begin + tap + 1]!;
      c += weights[tap + 2]! * waveform[begin + tap + 2]!;
      d += weights[tap + 3]! * waveform[begin + tap + 3]!;
    }
    for (; tap < end; tap++) a += weights[tap]! * waveform[begin + tap]!;
    return a + b + c + d;
  }
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
  const divisor = greatestCommonDivisor(from, to);
  const [step, places] = [from / divisor, to / divisor];
  const interpolation = new Interpolation(from / to);
  const out = hostArray('float32', Math.ceil((waveform.length * to) / from), 'a waveform at another rate');
  const scratch = new Float64Array(interpolation.taps);
  const keep = places * interpolation.taps <= MOST_KEPT;
  const kept: (Float64Array | undefined)[] = new Array(keep ? places : 0);
  for (let index = 0; index < out.length; index++) {
    // In whole numbers, so that the place between two samples is exact.
    const place = (index * step) % places;
    let weights = kept[place];
    if (!weights) {
      weights = keep ? new Float64Array(interpolation.taps) : scratch;
      interpolation.weights(place / places, weights);
      if (keep) kept[place] = weights;
    }
    out[index] = interpolation.sum(waveform, (index * step - place) / places, weights);
  }
  return out;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
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
  const interpolation = new Interpolation(speed);
  const weights = new Float64Array(interpolation.taps);
  const out = hostArray('float32', length, `${length} samples`);
  for (let index = 0; index < length; index++) {
    const time = index * speed;
    const below = Math.floor(time);
    interpolation.weights(time - below, weights);
    out[index] = interpolation.sum(waveform, below, weights);
  }
  return out;
}
