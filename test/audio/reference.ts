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

/** The frequency in [low, high] of the largest amplitude, to a tenth of a hertz. */
export function peakHertz(samples: Float32Array, sampleRate: number, low: number, high: number): number {
  const search = (from: number, to: number, step: number) => {
    let best = from;
    let largest = -1;
    for (let hertz = from; hertz <= to; hertz += step) {
      const amplitude = amplitudeAt(samples, hertz, sampleRate);
      if (amplitude > largest) [best, largest] = [hertz, amplitude];
    }
    return best;
  };
  const step = sampleRate / samples.length;
  const coarse = search(low, high, step);
  return search(coarse - step, coarse + step, 0.1);
}

export function sine(hertz: number, sampleRate: number, length: number, amplitude = 0.5): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, (_, n) => amplitude * Math.sin((2 * Math.PI * hertz * n) / sampleRate));
}

export function rootMeanSquare(samples: ArrayLike<number>): number {
  let sum = 0;
  for (let n = 0; n < samples.length; n++) sum += samples[n]! ** 2;
  return Math.sqrt(sum / samples.length);
}
