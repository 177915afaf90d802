import { CheckpointError } from '../errors.ts';
import { hostArray } from '../host-arrays.ts';
import { SAMPLE_RATES } from './checks.ts';

/** How samples are stored: as integers of that many bits, or as 32-bit floats. */
export type WavEncoding = 'int16' | 'float32';

/** One channel of sound. */
export interface Sound {
  /** Full scale is [−1, 1]. */
  readonly samples: Float32Array<ArrayBuffer>;
  /** In hertz. */
  readonly sampleRate: number;
}

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;
/** What follows the format's code in the sub-format of an extensible file. */
const SUBFORMAT = '000000001000800000aa00389b71';
const MOST_CHANNELS = 64;

/**
 * A mono file's bytes. 16-bit samples are round(32768 · x), limited to what 16 bits hold; 32-bit floats are stored as
 * they are.
 */
export function encodeWav(samples: Float32Array, sampleRate: number, encoding: WavEncoding): Uint8Array<ArrayBuffer> {
  const width = encoding === 'int16' ? 2 : 4;
  // A format that is not PCM has an extension (of no bytes) and a chunk with the number of samples.
  const head = encoding === 'int16' ? 44 : 58;
  const dataSize = samples.length * width;
  const bytes = new Uint8Array(head + dataSize);
  const view = new DataView(bytes.buffer);
  const name = (at: number, text: string) => bytes.set(Buffer.from(text, 'latin1'), at);
  name(0, 'RIFF');
  view.setUint32(4, bytes.length - 8, true);
  name(8, 'WAVEfmt ');
  view.setUint32(16, encoding === 'int16' ? 16 : 18, true);
  view.setUint16(20, encoding === 'int16' ? PCM : FLOAT, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, sampleRate * width, true);
  view.setUint16(32, width, true);
  view.setUint16(34, width * 8, true);
  if (encoding === 'float32') {
    name(38, 'fact');
    view.setUint32(42, 4, true);
    view.setUint32(46, samples.length, true);
  }
  name(head - 8, 'data');
  view.setUint32(head - 4, dataSize, true);
  for (let at = 0; at < samples.length; at++) {
    const sample = samples[at]!;
    if (encoding === 'float32') view.setFloat32(head + 4 * at, sample, true);
    else view.setInt16(head + 2 * at, Math.max(-32768, Math.min(32767, Math.round(32768 * sample))), true);
  }
  return bytes;
}

interface Format {
  kind: 'integer' | 'float';
  channels: number;
  sampleRate: number;
  /** Of one sample. */
  bytes: 1 | 2 | 3 | 4;
}

/**
 * The sound of a WAV file, its channels averaged: PCM of 8 (unsigned), 16, 24 and 32 bits, and 32-bit floats, also in
 * extensible files. Integers are divided by the power of two that is their full scale. Other chunks are skipped, a last
 * frame that is incomplete as well.
 *
 * @param path what errors call the file
 * @throws CheckpointError saying what was expected and what is there; nothing is allocated before it has been checked
 *   against the bytes that there are
 */
export function decodeWav(bytes: Uint8Array, path: string): Sound {
  const refuse = (what: string) => new CheckpointError(`${path}: ${what}`, path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const name = (at: number) => Buffer.from(bytes.subarray(at, at + 4)).toString('latin1');
  if (bytes.length < 12 || name(0) !== 'RIFF' || name(8) !== 'WAVE') {
    throw refuse('expected a WAV file, which begins with RIFF and WAVE');
  }
  let format: Format | undefined;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at + 4, true);
    const body = at + 8;
    const there = bytes.length - body;
    if (name(at) === 'data') {
      if (!format) throw refuse('expected a fmt chunk before the data chunk');
      // Programs that write to a pipe cannot know the size, and leave the largest there is.
      if (size > there && size !== 0xffff_ffff) {
        throw refuse(`expected a data chunk of ${size} bytes, but the file ends after ${there}`);
      }
      return { samples: mixdown(bytes.subarray(body, body + Math.min(size, there)), format, refuse), ...rate(format) };
    }
    if (size > there) throw refuse(`expected a chunk of ${size} bytes at ${at}, but the file ends after ${there}`);
    if (name(at) === 'fmt ') format = readFormat(bytes.subarray(body, body + size), refuse);
    // Chunks begin at even positions.
    at = body + size + (size % 2);
  }
  throw refuse(`expected a ${format ? 'data' : 'fmt'} chunk, found none`);
}

const rate = ({ sampleRate }: Format) => ({ sampleRate });

function readFormat(chunk: Uint8Array, refuse: (what: string) => CheckpointError): Format {
  if (chunk.length < 16) throw refuse(`expected a fmt chunk of 16 bytes or more, got ${chunk.length}`);
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  let code = view.getUint16(0, true);
  if (code === EXTENSIBLE) {
    if (chunk.length < 40) throw refuse(`expected an extensible fmt chunk of 40 bytes or more, got ${chunk.length}`);
    const subformat = Buffer.from(chunk.subarray(26, 40)).toString('hex');
    if (subformat !== SUBFORMAT) throw refuse(`expected PCM or float samples, got the sub-format ${subformat}`);
    code = view.getUint16(24, true);
  }
  const channels = view.getUint16(2, true);
  const sampleRate = view.getUint32(4, true);
  const frame = view.getUint16(12, true);
  const bits = view.getUint16(14, true);
  const [low, high] = SAMPLE_RATES;
  const known = code === PCM ? [8, 16, 24, 32].includes(bits) : code === FLOAT && bits === 32;
  if (!known) throw refuse(`expected PCM of 8, 16, 24 or 32 bits or float of 32, got format ${code} of ${bits} bits`);
  if (!(channels >= 1 && channels <= MOST_CHANNELS)) {
    throw refuse(`expected 1 to ${MOST_CHANNELS} channels, got ${channels}`);
  }
  if (!(sampleRate >= low && sampleRate <= high)) {
    throw refuse(`expected a sample rate in [${low}, ${high}] Hz, got ${sampleRate}`);
  }
  const bytes = (bits / 8) as Format['bytes'];
  if (frame !== channels * bytes) {
    throw refuse(`expected ${channels * bytes} bytes for ${channels} samples of ${bits} bits, got ${frame}`);
  }
  return { kind: code === PCM ? 'integer' : 'float', channels, sampleRate, bytes };
}

function mixdown(
  data: Uint8Array,
  { kind, channels, bytes }: Format,
  refuse: (what: string) => CheckpointError,
): Float32Array<ArrayBuffer> {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const frames = Math.floor(data.length / (channels * bytes));
  const samples = hostArray('float32', frames, `${frames} samples`);
  const sampleAt = kind === 'float' ? (at: number) => view.getFloat32(at, true) : INTEGERS[bytes](view);
  for (let frame = 0, at = 0; frame < frames; frame++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++, at += bytes) sum += sampleAt(at);
    if (!Number.isFinite(sum)) throw refuse(`expected finite samples, got ${sum} at frame ${frame}`);
    samples[frame] = sum / channels;
  }
  return samples;
}

/** Integer samples of so many bytes, divided by their full scale. */
const INTEGERS: Record<Format['bytes'], (view: DataView) => (at: number) => number> = {
  1: (view) => (at) => (view.getUint8(at) - 128) / 2 ** 7,
  2: (view) => (at) => view.getInt16(at, true) / 2 ** 15,
  3: (view) => (at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 2 ** 16) / 2 ** 23,
  4: (view) => (at) => view.getInt32(at, true) / 2 ** 31,
};
