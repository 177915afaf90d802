import { FourierTransform } from '../../lib/audio/fft.ts';

// What tests of audio compare with: slow, direct, float64.

/** |X[k]|² of real samples by the definition of the discrete Fourier transform, k = 0 … size/2. */
export function directPower(samples: ArrayLike<number>, size: number): Float64Array {
  return Float64Array.from({ length: size / 2 + 1 }, (_, k) => {
    let real = 0;
    let imaginary = 0;
    for (let n = 0; n < samples.length; n++) {
      // The product is taken modulo the size, so that the angle stays exact.
      const angle = (-2 * Math.PI * ((k * n) % size)) / size;
      real += samples[n]! * Math.cos(angle);
      imaginary += samples[n]! * Math.sin(angle);
    }
    return real ** 2 + imaginary ** 2;
  });
}

/** The amplitude of the sine of a frequency in samples (under a Hann window, against leakage). */
export function amplitudeAt(samples: Float32Array, hertz: number, sampleRate: number): number {
  let real = 0;
  let imaginary = 0;
  let weight = 0;
  for (let n = 0; n < samples.length; n++) {
    const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / samples.length);
    const angle = (2 * Math.PI * hertz * n) / sampleRate;
    real += window * samples[n]! * Math.cos(angle);
    imaginary += window * samples[n]! * Math.sin(angle);
    weight += window;
  }
  return (2 * Math.hypot(real, imaginary)) / weight;
}

/** The frequency in [low, high] of the largest amplitude in a power of two of samples, to a tenth of a hertz. */
export function peakHertz(samples: Float32Array, sampleRate: number, low: number, high: number): number {
  const size = samples.length;
  const spectrum = new Float64Array(2 * size);
  const window = (n: number) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / size);
  new FourierTransform(size).real(
    Float64Array.from(samples, (sample, n) => window(n) * sample),
    spectrum,
  );
  const step = sampleRate / size;
  let coarse = 0;
  let largest = -1;
  for (let k = Math.ceil(low / step); k * step <= high; k++) {
    const amplitude = Math.hypot(spectrum[2 * k]!, spectrum[2 * k + 1]!);
    if (amplitude > largest) [coarse, largest] = [k * step, amplitude];
  }
  let best = coarse;
  largest = -1;
  for (let hertz = coarse - step; hertz <= coarse + step; hertz += 0.1) {
    const amplitude = amplitudeAt(samples, hertz, sampleRate);
    if (amplitude > largest) [best, largest] = [hertz, amplitude];
  }
  return best;
}

export function sine(hertz: number, sampleRate: number, length: number, amplitude = 0.5): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, (_, n) => amplitude * Math.sin((2 * Math.PI * hertz * n) / sampleRate));
}

export function rootMeanSquare(samples: ArrayLike<number>): number {
  let sum = 0;
  for (let n = 0; n < samples.length; n++) sum += samples[n]! ** 2;
  return Math.sqrt(sum / samples.length);
}
