import { checkRange, checkWaveform } from '../audio/checks.ts';
import { MelAnalyser, type MelOptions } from '../audio/mel-spectrogram.ts';
import { type PatchOptions, patches } from '../audio/patches.ts';
import { ShapeError, ValueError } from '../errors.ts';

export interface AudioFrontOptions {
  /** Of the log-mel spectrogram. Default: 64 bands from 20 Hz to 8 kHz every 10 ms, of 16 kHz audio. */
  readonly mel?: MelOptions;
  /** Default: 16 frames × 16 bands, which do not overlap. */
  readonly patches?: PatchOptions;
  /** Length of a chunk in seconds. Default 4. */
  readonly chunkSeconds?: number;
}

/** From a waveform to what an audio encoder reads: a chunk of fixed length as patches of its log-mel spectrogram. */
export class AudioFront {
  /** All options, as plain data. */
  readonly options: Readonly<{ mel: Required<MelOptions>; patches: Required<PatchOptions>; chunkSeconds: number }>;
  /** Samples of a chunk. */
  readonly chunkLength: number;
  /** Patches of a chunk. */
  readonly count: number;
  /** Elements of a patch. */
  readonly patchSize: number;
  readonly #analyser: MelAnalyser;

  /** @throws ValueError naming an option that is outside its domain, ShapeError where patches do not fit the chunk */
  constructor({ mel = {}, patches: cut = {}, chunkSeconds = 4 }: AudioFrontOptions = {}) {
    this.#analyser = new MelAnalyser(mel);
    checkRange('chunkSeconds', chunkSeconds, 1e-3, 3600);
    const { frames = 16, bands = 16 } = cut;
    const { frameStride = frames, bandStride = bands } = cut;
    this.options = {
      mel: this.#analyser.options,
      patches: { frames, bands, frameStride, bandStride },
      chunkSeconds,
    };
    this.chunkLength = Math.round(chunkSeconds * this.sampleRate);
    const silence = patches(this.#analyser.analyse(new Float32Array(this.chunkLength)), this.options.patches);
    this.count = silence.count;
    this.patchSize = silence.size;
  }

  /** In hertz. */
  get sampleRate(): number {
    return this.#analyser.options.sampleRate;
  }

  /**
   * The patches of a waveform's first chunk, [count, patchSize], row-major; a shorter waveform ends in silence.
   *
   * @param waveform mono, at the sample rate
   * @throws DTypeError for what is no Float32Array, ValueError for samples that are not finite
   */
  patches(waveform: Float32Array): Float32Array<ArrayBuffer> {
    checkWaveform('waveform', waveform);
    let chunk = waveform;
    if (waveform.length !== this.chunkLength) {
      chunk = new Float32Array(this.chunkLength);
      chunk.set(waveform.subarray(0, this.chunkLength));
    }
    return patches(this.#analyser.analyse(chunk), this.options.patches).data;
  }
}

/**
 * Mean and standard deviation of all elements of some patches, in float64: what an encoder of them standardises by.
 *
 * @throws ShapeError for no element, ValueError where all are equal
 */
export function patchStatistics(sequences: Iterable<Float32Array>): { mean: number; deviation: number } {
  // Chan's update of count, mean and squared deviations, a sequence at a time.
  let [count, mean, squares] = [0, 0, 0];
  for (const values of sequences) {
    if (values.length === 0) continue;
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[i]!;
    const own = sum / values.length;
    let ownSquares = 0;
    for (let i = 0; i < values.length; i++) ownSquares += (values[i]! - own) ** 2;
    const total = count + values.length;
    squares += ownSquares + ((own - mean) ** 2 * count * values.length) / total;
    mean += ((own - mean) * values.length) / total;
    count = total;
  }
  if (count === 0) throw new ShapeError('patches: expected at least one element, got none', 'patches');
  const deviation = Math.sqrt(squares / count);
  if (!(deviation > 0 && Number.isFinite(deviation))) {
    throw new ValueError(`patches: expected finite elements that differ, got a deviation of ${deviation}`, 'patches');
  }
  return { mean, deviation };
}
