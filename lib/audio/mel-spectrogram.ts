import { ShapeError, ValueError } from '../errors.ts';
import { hostArray } from '../host-arrays.ts';
import { checkCount, checkRange, checkSampleRate, checkWaveform } from './checks.ts';
import { FourierTransform } from './fft.ts';
import { type MelFilter, type MelScale, melFilters } from './mel-filters.ts';

export interface MelOptions {
  /** In hertz. Default 16,000. */
  readonly sampleRate?: number;
  /** In samples. Default 25 ms. */
  readonly windowLength?: number;
  /** In samples, from one frame to the next. Default 10 ms. */
  readonly hopLength?: number;
  /** A power of two, at least the window, which is padded with zeros to it. Default: the smallest, 512 at 16 kHz. */
  readonly fftSize?: number;
  /** Default 64. */
  readonly bands?: number;
  /** Where the lowest band begins, in hertz. Default 20. */
  readonly lowHertz?: number;
  /** Where the highest band ends, in hertz. Default half the sample rate. */
  readonly highHertz?: number;
  /** Default 'htk': the top of every triangle is 1. 'slaney': the area of every triangle is 1. */
  readonly scale?: MelScale;
  /** The power below which all is one. Default 1e−5. */
  readonly floor?: number;
  /**
   * 'same', the default: ⌈length / hop⌉ frames, frame t around the middle of the t-th hop, with silence outside the
   * waveform. 'none': only whole windows, 1 + ⌊(length − window) / hop⌋, the first at the waveform's begin.
   */
  readonly padding?: 'same' | 'none';
}

/** Natural logarithms of the power in mel bands. */
export interface MelSpectrogram {
  /** [frames, bands], row-major. */
  readonly data: Float32Array<ArrayBuffer>;
  readonly frames: number;
  readonly bands: number;
}

/**
 * Log-mel spectrograms: ln(max(floor, Σ_k w_band[k] · |X_t[k]|²)), where X_t is the discrete Fourier transform of frame t
 * under a periodic Hann window, not normalised, so that a sine of amplitude a has (a · window / 4)² in its bin. Computed
 * in float64. Holds the tables, so that many waveforms may use one.
 */
export class MelAnalyser {
  readonly options: Readonly<Required<MelOptions>>;
  readonly #window: Float64Array;
  readonly #filters: readonly MelFilter[];
  readonly #transform: FourierTransform;

  /** @throws ValueError naming an option that is outside its domain or does not fit the others */
  constructor(options: MelOptions = {}) {
    const given = withDefaults(options);
    checkOptions(given);
    this.options = given;
    this.#transform = new FourierTransform(given.fftSize);
    this.#filters = melFilters(given);
    this.#window = hann(given.windowLength);
  }

  /** How many frames a waveform of so many samples has. */
  frames(samples: number): number {
    const { padding, windowLength, hopLength } = this.options;
    if (padding === 'same') return Math.ceil(samples / hopLength);
    return samples < windowLength ? 0 : 1 + Math.floor((samples - windowLength) / hopLength);
  }

  /**
   * @param waveform mono, at the analyser's sample rate
   * @throws DTypeError for what is no Float32Array, ValueError for samples that are not finite, ShapeError for a waveform
   *   too short for one frame
   */
  analyse(waveform: Float32Array): MelSpectrogram {
    checkWaveform('waveform', waveform);
    const { bands, fftSize, floor, windowLength, hopLength, padding } = this.options;
    const frames = this.frames(waveform.length);
    if (frames === 0) {
      const least = padding === 'same' ? 1 : windowLength;
      throw new ShapeError(`waveform: expected at least ${least} samples, got ${waveform.length}`, 'waveform');
    }
    const data = hostArray('float32', frames * bands, `a spectrogram of ${frames} frames`);
    const frame = new Float64Array(fftSize);
    const spectrum = new Float64Array(2 * fftSize);
    const power = new Float64Array(fftSize / 2 + 1);
    const before = padding === 'same' ? Math.floor((windowLength - hopLength) / 2) : 0;
    for (let t = 0; t < frames; t++) {
      this.#cut(waveform, t * hopLength - before, frame);
      this.#transform.real(frame, spectrum);
      for (let bin = 0; bin < power.length; bin++) power[bin] = spectrum[2 * bin]! ** 2 + spectrum[2 * bin + 1]! ** 2;
      for (let band = 0; band < bands; band++) {
        const { begin, weights } = this.#filters[band]!;
        let sum = 0;
        for (let index = 0; index < weights.length; index++) sum += weights[index]! * power[begin + index]!;
        data[t * bands + band] = Math.log(Math.max(floor, sum));
      }
    }
    return { data, frames, bands };
  }

  /** The samples from `begin` on under the window, silence where the waveform is not. */
  #cut(waveform: Float32Array, begin: number, frame: Float64Array): void {
    for (let at = 0; at < this.#window.length; at++) frame[at] = this.#window[at]! * (waveform[begin + at] ?? 0);
  }
}

/** The log-mel spectrogram of one waveform; for many, make a {@link MelAnalyser} and keep it. */
export function melSpectrogram(waveform: Float32Array, options?: MelOptions): MelSpectrogram {
  return new MelAnalyser(options).analyse(waveform);
}

/** The periodic Hann window, ½ − ½ cos(2πn / length). */
export function hann(length: number): Float64Array {
  return Float64Array.from({ length }, (_, at) => 0.5 - 0.5 * Math.cos((2 * Math.PI * at) / length));
}

function withDefaults(options: MelOptions): Required<MelOptions> {
  const { sampleRate = 16_000 } = options;
  checkSampleRate('sampleRate', sampleRate);
  const { windowLength = Math.round(0.025 * sampleRate), hopLength = Math.round(0.01 * sampleRate) } = options;
  checkCount('windowLength', windowLength, 2);
  return {
    sampleRate,
    windowLength,
    hopLength,
    fftSize: options.fftSize ?? 2 ** Math.ceil(Math.log2(windowLength)),
    bands: options.bands ?? 64,
    lowHertz: options.lowHertz ?? 20,
    highHertz: options.highHertz ?? sampleRate / 2,
    scale: options.scale ?? 'htk',
    floor: options.floor ?? 1e-5,
    padding: options.padding ?? 'same',
  };
}

function checkOptions({
  hopLength,
  windowLength,
  fftSize,
  bands,
  padding,
  scale,
  ...rest
}: Required<MelOptions>): void {
  checkCount('hopLength', hopLength, 1);
  checkCount('bands', bands, 1);
  if (!(fftSize >= windowLength)) {
    throw new ValueError(`fftSize: expected at least the window's ${windowLength}, got ${fftSize}`, 'fftSize');
  }
  if (padding !== 'same' && padding !== 'none') {
    throw new ValueError(`padding: expected same or none, got ${JSON.stringify(padding)}`, 'padding');
  }
  if (scale !== 'htk' && scale !== 'slaney') {
    throw new ValueError(`scale: expected htk or slaney, got ${JSON.stringify(scale)}`, 'scale');
  }
  checkRange('highHertz', rest.highHertz, Number.MIN_VALUE, rest.sampleRate / 2);
  checkRange('lowHertz', rest.lowHertz, 0, rest.highHertz);
  checkRange('floor', rest.floor, Number.MIN_VALUE, Number.MAX_VALUE);
}
