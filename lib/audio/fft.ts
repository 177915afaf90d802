import FFT from 'fft.js';
import { ValueError } from '../errors.ts';

/**
 * The discrete Fourier transform X[k] = Σ_n x[n] · exp(−2πi·kn/size) in float64, of a power of two. Complex numbers lie
 * interleaved, real before imaginary: [2 · size].
 */
export class FourierTransform {
  readonly size: number;
  readonly #library: FFT;

  /** @param size a power of two in [2, 2^20]; anything else is a ValueError */
  constructor(size: number) {
    if (!(Number.isInteger(size) && size >= 2 && size <= 2 ** 20 && (size & (size - 1)) === 0)) {
      throw new ValueError(`size: expected a power of two in [2, 2^20], got ${size}`, 'size');
    }
    this.size = size;
    this.#library = new FFT(size);
  }

  /** [2 · size] → [2 · size]; the two may not be one array. */
  forward(input: Float64Array, out: Float64Array): void {
    this.#library.transform(out, input);
  }

  /** The inverse of {@link forward}, divided by `size`; the two may not be one array. */
  inverse(input: Float64Array, out: Float64Array): void {
    this.#library.inverseTransform(out, input);
  }

  /** Of real numbers, [size] → [2 · size], of which the first size/2 + 1 complex numbers are written. */
  real(input: Float64Array, out: Float64Array): void {
    this.#library.realTransform(out, input);
  }
}
