import { addNoise } from '../../audio/augment.ts';

/** Samples of the noise that is drawn once: 16 s at 16 kHz. */
const LENGTH = 2 ** 18;
let drawn: Float32Array | null = null;

/**
 * Adds white Gaussian noise to a waveform, in place, so that 10 · log10(Σ signal² / Σ noise²) is `decibels`. As
 * `addNoise`, but of noise that was drawn once: the seed says where in it to begin, so that it costs little in training.
 * Silence stays silence.
 *
 * @param waveform at most 2^18 − 1 samples
 * @param seed an integer of at least 0
 */
export function addHiss(waveform: Float32Array, decibels: number, seed: number): void {
  drawn ??= whiteNoise();
  const begin = seed % (LENGTH - waveform.length);
  const noise = drawn.subarray(begin, begin + waveform.length);
  let [signal, hiss] = [0, 0];
  for (let at = 0; at < waveform.length; at++) {
    signal += waveform[at]! * waveform[at]!;
    hiss += noise[at]! * noise[at]!;
  }
  const gain = hiss === 0 ? 0 : Math.sqrt(signal / hiss / 10 ** (decibels / 10));
  for (let at = 0; at < waveform.length; at++) waveform[at]! += gain * noise[at]!;
}

/** What is left of a constant when the constant is taken off. */
function whiteNoise(): Float32Array {
  return addNoise(new Float32Array(LENGTH).fill(1), { decibels: 0, seed: 0 }).map((sample) => sample - 1);
}
