import { DTypeError, ValueError } from '../errors.ts';

/** Sample rates that files and devices have; a rate outside is a mistake, or an attack through a file's header. */
export const SAMPLE_RATES = [1000, 768_000] as const;

/** Throws ValueError unless `value` is a number in [low, high]. */
export function checkRange(argument: string, value: number, low: number, high: number): void {
  if (typeof value !== 'number' || !(value >= low && value <= high)) {
    throw new ValueError(`${argument}: expected a number in [${low}, ${high}], got ${value}`, argument);
  }
}

/** Throws ValueError unless `value` is an integer of at least `low`. */
export function checkCount(argument: string, value: number, low: number): void {
  if (!(Number.isSafeInteger(value) && value >= low)) {
    throw new ValueError(`${argument}: expected an integer of at least ${low}, got ${value}`, argument);
  }
}

/** Throws ValueError unless `value` is an integer within {@link SAMPLE_RATES}, in hertz. */
export function checkSampleRate(argument: string, value: number): void {
  const [low, high] = SAMPLE_RATES;
  if (!(Number.isInteger(value) && value >= low && value <= high)) {
    throw new ValueError(`${argument}: expected an integer of [${low}, ${high}] Hz, got ${value}`, argument);
  }
}

/** Throws DTypeError unless `samples` is a Float32Array, and ValueError if one of them is NaN or infinite. */
export function checkWaveform(argument: string, samples: Float32Array): void {
  if (!(samples instanceof Float32Array)) {
    throw new DTypeError(`${argument}: expected a Float32Array, got ${typeof samples}`, argument);
  }
  // A sum is finite only if all of it is (float32 values cannot overflow a float64 sum), and costs no branch a sample.
  let sum = 0;
  for (let at = 0; at < samples.length; at++) sum += samples[at]!;
  if (Number.isFinite(sum)) return;
  const at = samples.findIndex((sample) => !Number.isFinite(sample));
  throw new ValueError(`${argument}[${at}]: expected a finite sample, got ${samples[at]}`, argument);
}
