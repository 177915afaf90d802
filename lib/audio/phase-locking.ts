/** A peak is larger than this many bins on either side. */
const NEIGHBOURS = 2;
/** What a peak's power must have been a hop before, relative to what it is, for its phase to go on. */
const ONSET = 1e-3;

/** Turns the spectra of a waveform's frames so that they can be laid out at other distances than they were cut at. */
export class PhaseLocking {
  readonly #size: number;
  /** Of the waveform, now and a hop before: bins 0 to size/2, complex. */
  readonly #now: Float64Array;
  readonly #before: Float64Array;
  readonly #power: Float64Array;
  readonly #peaks: Int32Array;

  /** @param size of a frame, in samples */
  constructor(size: number) {
    this.#size = size;
    this.#now = new Float64Array(size + 2);
    this.#before = new Float64Array(size + 2);
    this.#power = new Float64Array(size / 2 + 1);
    this.#peaks = new Int32Array(size / 2 + 1);
  }

  /**
   * @param spectra [2 · size], the transform of x + iy, where x is a frame and y is what was a hop before it
   * @param result [2 · size], the spectrum of the frame to lay out; on entry that of the last one, or zeros
   */
  advance(spectra: Float64Array, result: Float64Array): void {
    this.#separate(spectra);
    const size = this.#size;
    const count = this.#findPeaks();
    const half = size / 2;
    let bin = 0;
    for (let index = 0; index < count; index++) {
      const peak = this.#peaks[index]!;
      const end = index + 1 < count ? (peak + this.#peaks[index + 1]! + 1) >> 1 : half + 1;
      const [turnReal, turnImaginary] = this.#turn(peak, result);
      for (; bin < end; bin++) {
        const [real, imaginary] = [this.#now[2 * bin]!, this.#now[2 * bin + 1]!];
        result[2 * bin] = real * turnReal - imaginary * turnImaginary;
        result[2 * bin + 1] = real * turnImaginary + imaginary * turnReal;
      }
    }
    for (; bin <= half; bin++) {
      result[2 * bin] = this.#now[2 * bin]!;
      result[2 * bin + 1] = this.#now[2 * bin + 1]!;
    }
    // A real frame: the constant and the highest bin are real, and the rest is mirrored.
    result[1] = 0;
    result[size + 1] = 0;
    for (let mirrored = 1; mirrored < half; mirrored++) {
      result[2 * (size - mirrored)] = result[2 * mirrored]!;
      result[2 * (size - mirrored) + 1] = -result[2 * mirrored + 1]!;
    }
  }

  /** Of x + iy with real x and y: X[k] = (Z[k] + Z*[−k]) / 2 and Y[k] = (Z[k] − Z*[−k]) / 2i. */
  #separate(spectra: Float64Array): void {
    for (let bin = 0; bin <= this.#size / 2; bin++) {
      const mirror = bin === 0 ? 0 : this.#size - bin;
      const real = spectra[2 * bin]!;
      const imaginary = spectra[2 * bin + 1]!;
      const mirrorReal = spectra[2 * mirror]!;
      const mirrorImaginary = spectra[2 * mirror + 1]!;
      this.#now[2 * bin] = (real + mirrorReal) / 2;
      this.#now[2 * bin + 1] = (imaginary - mirrorImaginary) / 2;
      this.#before[2 * bin] = (imaginary + mirrorImaginary) / 2;
      this.#before[2 * bin + 1] = (mirrorReal - real) / 2;
      this.#power[bin] = this.#now[2 * bin]! ** 2 + this.#now[2 * bin + 1]! ** 2;
    }
  }

  #findPeaks(): number {
    const power = this.#power;
    let count = 0;
    for (let bin = 0; bin < power.length; bin++) {
      const here = power[bin]!;
      let largest = here > 0;
      for (let away = 1; away <= NEIGHBOURS && largest; away++) {
        // Of two that are equal the lower one is the peak.
        largest = here > (power[bin - away] ?? -1) && here >= (power[bin + away] ?? -1);
      }
      if (largest) this.#peaks[count++] = bin;
    }
    return count;
  }

  /**
   * By how much a peak is turned, a complex number of size 1: its phase in the last result plus its advance over a hop of
   * the waveform, minus its phase now. That is the last result over what the waveform was then.
   */
  #turn(peak: number, result: Float64Array): readonly [number, number] {
    const [lastReal, lastImaginary] = [result[2 * peak]!, result[2 * peak + 1]!];
    const [beforeReal, beforeImaginary] = [this.#before[2 * peak]!, this.#before[2 * peak + 1]!];
    // What has just begun has no phase to go on from: it starts with its own, and its attack stays sharp.
    const least = ONSET * this.#power[peak]!;
    if (beforeReal ** 2 + beforeImaginary ** 2 <= least || lastReal ** 2 + lastImaginary ** 2 <= least) return [1, 0];
    const real = lastReal * beforeReal + lastImaginary * beforeImaginary;
    const imaginary = lastImaginary * beforeReal - lastReal * beforeImaginary;
    const size = Math.sqrt(real * real + imaginary * imaginary);
    return size === 0 ? [1, 0] : [real / size, imaginary / size];
  }
}
