import { ValueError } from '../errors.ts';
import { readBounded, writeFileAtomic } from '../files.ts';
import { checkSampleRate, checkWaveform } from './checks.ts';
import { decodeWav, encodeWav, type Sound, type WavEncoding } from './wav-format.ts';

export interface WavOptions {
  /** In hertz. */
  readonly sampleRate: number;
  /** Default 'int16'. */
  readonly encoding?: WavEncoding;
}

/** The most that a file is read of, in bytes. */
const MOST_READ = 2 ** 30;
/** What the format's 32-bit sizes leave for samples. */
const MOST_WRITTEN = 2 ** 32 - 64;

/**
 * The bytes of a mono WAV file. As 16-bit integers (the default) samples are round(32768 · x), and what lies outside
 * [−1, 1) becomes the nearest that 16 bits hold; as 32-bit floats they stay as they are.
 *
 * @throws ValueError for a sample that is not finite, another encoding, or more samples than a WAV file holds
 */
export function wavBytes(
  samples: Float32Array,
  { sampleRate, encoding = 'int16' }: WavOptions,
): Uint8Array<ArrayBuffer> {
  checkSampleRate('sampleRate', sampleRate);
  checkWaveform('samples', samples);
  if (encoding !== 'int16' && encoding !== 'float32') {
    throw new ValueError(`encoding: expected int16 or float32, got ${JSON.stringify(encoding)}`, 'encoding');
  }
  const most = Math.floor(MOST_WRITTEN / (encoding === 'int16' ? 2 : 4));
  if (samples.length > most) {
    throw new ValueError(`samples: expected at most ${most}, which a WAV file holds, got ${samples.length}`, 'samples');
  }
  return encodeWav(samples, sampleRate, encoding);
}

/**
 * Writes {@link wavBytes} as a file, whole or not at all.
 *
 * @throws what `wavBytes` throws, and CheckpointError naming the path when it cannot be written
 */
export async function writeWav(path: string, samples: Float32Array, options: WavOptions): Promise<void> {
  await writeFileAtomic(path, wavBytes(samples, options));
}

/**
 * Reads a WAV file of at most 1 GiB: PCM of 8, 16, 24 or 32 bits or 32-bit floats, at any rate, its channels averaged.
 *
 * @throws CheckpointError naming the path when it is missing, too large, damaged or of another kind
 */
export async function readWav(path: string): Promise<Sound> {
  return decodeWav(await readBounded(path, MOST_READ, 'a WAV file'), path);
}
