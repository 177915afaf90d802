import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readWav, wavBytes, writeWav } from '../../lib/audio/wav.ts';
import { decodeWav } from '../../lib/audio/wav-format.ts';
import { CheckpointError, ValueError } from '../../lib/errors.ts';
import { Random } from '../../lib/random.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cfgdistill-wav-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface Made {
  code?: number;
  channels?: number;
  sampleRate?: number;
  bits?: number;
  frame?: number;
  data: Uint8Array;
  extensible?: string;
  before?: [string, Uint8Array];
  dataSize?: number;
}

/** A WAV file byte by byte, as the format's specification has it. */
function made({ code = 1, channels = 1, sampleRate = 8000, bits = 16, data, ...more }: Made): Buffer {
  const u16 = (value: number) => Buffer.from([value & 255, value >> 8]);
  const u32 = (value: number) => Buffer.concat([u16(value & 0xffff), u16(value >>> 16)]);
  const chunk = (name: string, body: Uint8Array, size = body.length) =>
    Buffer.concat([Buffer.from(name), u32(size), body, Buffer.alloc(body.length % 2)]);
  const frame = more.frame ?? (channels * bits) / 8;
  const head = [
    u16(more.extensible ? 0xfffe : code),
    u16(channels),
    u32(sampleRate),
    u32(sampleRate * frame),
    u16(frame),
  ];
  const extension = more.extensible ? [u16(22), u16(bits), u32(0), u16(code), Buffer.from(more.extensible, 'hex')] : [];
  const format = chunk('fmt ', Buffer.concat([...head, u16(bits), ...extension]));
  const body = Buffer.concat([
    Buffer.from('WAVE'),
    ...(more.before ? [chunk(...more.before)] : []),
    format,
    chunk('data', data, more.dataSize),
  ]);
  return Buffer.concat([Buffer.from('RIFF'), u32(body.length), body]);
}

const SUBFORMAT = '000000001000800000aa00389b71';

describe('wavBytes and writeWav', () => {
  it('writes the header of the specification and little-endian integers', () => {
    const bytes = wavBytes(Float32Array.of(0, 0.5, -1, 1, -2, 1 / 32768), { sampleRate: 44_100 });
    const data = Buffer.from(Int16Array.of(0, 16384, -32768, 32767, -32768, 1).buffer);
    expect(Buffer.from(bytes)).toEqual(made({ sampleRate: 44_100, data }));
  });

  it('reads back what it wrote: floats bit for bit, integers within half a step', async () => {
    const random = new Random(1);
    const samples = Float32Array.from({ length: 1001 }, () => 1.9 * random.uniform() - 0.95);
    for (const encoding of ['float32', 'int16'] as const) {
      const path = join(folder, `${encoding}.wav`);
      await writeWav(path, samples, { sampleRate: 16_000, encoding });
      const back = await readWav(path);
      expect(back.sampleRate).toBe(16_000);
      expect(back.samples.length).toBe(1001);
      if (encoding === 'float32') expect(back.samples).toEqual(samples);
      else
        for (const [at, sample] of samples.entries())
          expect(Math.abs(back.samples[at]! - sample)).toBeLessThanOrEqual(2 ** -16);
      // What was read of 16 bits is written again without a change.
      await writeWav(`${path}.again`, back.samples, { sampleRate: 16_000, encoding });
      expect(await readFile(`${path}.again`)).toEqual(await readFile(path));
    }
    expect((await readdir(folder)).length).toBe(4);
  });

  it('refuses samples and options that no file can hold', async () => {
    const path = join(folder, 'a.wav');
    await expect(writeWav(path, Float32Array.of(0, Number.NaN), { sampleRate: 8000 })).rejects.toThrow(
      'samples[1]: expected a finite sample, got NaN',
    );
    await expect(writeWav(path, new Float32Array(1), { sampleRate: 0 })).rejects.toThrow(ValueError);
    // @ts-expect-error an encoding that is none
    await expect(writeWav(path, new Float32Array(1), { sampleRate: 8000, encoding: 'mp3' })).rejects.toThrow(
      'encoding',
    );
    expect(await readdir(folder)).toEqual([]);
    await expect(writeWav(join(folder, 'no', 'a.wav'), new Float32Array(1), { sampleRate: 8000 })).rejects.toThrow(
      CheckpointError,
    );
  });
});

describe('reading', () => {
  const read = (wav: Made) => [...decodeWav(made(wav), 'x.wav').samples];

  it.each([
    ['8 bits', { bits: 8, data: Uint8Array.of(0, 128, 255) }, [-1, 0, 127 / 128]],
    ['16 bits', { data: Uint8Array.of(0, 0x80, 0, 0, 0xff, 0x7f) }, [-1, 0, 32767 / 32768]],
    ['24 bits', { bits: 24, data: Uint8Array.of(0, 0, 0x80, 1, 0, 0, 0xff, 0xff, 0xff) }, [-1, 2 ** -23, -(2 ** -23)]],
    ['32 bits', { bits: 32, data: Uint8Array.of(0, 0, 0, 0x80, 0, 0, 0, 0x40) }, [-1, 0.5]],
    ['floats', { code: 3, bits: 32, data: new Uint8Array(Float32Array.of(0.1, -3).buffer) }, [Math.fround(0.1), -3]],
    ['extensible', { extensible: SUBFORMAT, data: Uint8Array.of(0, 0x40) }, [0.5]],
  ] as [string, Made, number[]][])('takes %s', (_, wav, expected) => {
    expect(read(wav)).toEqual(expected);
  });

  it('averages channels, skips other chunks (also of odd size), and drops an incomplete frame', () => {
    const data = new Uint8Array(Int16Array.of(16384, 0, -16384, -8192, 5).buffer);
    expect(read({ channels: 2, data, before: ['LIST', Uint8Array.of(1, 2, 3)] })).toEqual([0.25, -0.375]);
  });

  it('reads a stream of unknown size, bytes at an odd offset, and no samples at all', () => {
    expect(read({ data: Uint8Array.of(0, 0x40), dataSize: 0xffff_ffff })).toEqual([0.5]);
    const file = made({ data: Uint8Array.of(0, 0x40) });
    const shifted = new Uint8Array(file.length + 1);
    shifted.set(file, 1);
    expect([...decodeWav(shifted.subarray(1), 'x').samples]).toEqual([0.5]);
    expect(read({ data: new Uint8Array(0) })).toEqual([]);
  });

  const data = new Uint8Array(4);
  const bad: [string, Uint8Array, string][] = [
    ['nothing', new Uint8Array(0), 'expected a WAV file'],
    ['text', Buffer.from('this is not a sound at all'), 'expected a WAV file'],
    ['no chunks', made({ data }).subarray(0, 12), 'expected a fmt chunk, found none'],
    [
      'a cut fmt chunk',
      made({ data }).subarray(0, 24),
      'expected a chunk of 16 bytes at 12, but the file ends after 4',
    ],
    ['no data', made({ data }).subarray(0, 36), 'expected a data chunk, found none'],
    ['cut data', made({ data }).subarray(0, 46), 'expected a data chunk of 4 bytes, but the file ends after 2'],
    ['huge data', made({ data, dataSize: 0x7fff_ffff }), 'expected a data chunk of 2147483647 bytes'],
    [
      'data before fmt',
      Buffer.concat([made({ data }).subarray(0, 12), Buffer.from('data\0\0\0\0')]),
      'before the data chunk',
    ],
    ['no channels', made({ data, channels: 0 }), 'expected 1 to 64 channels, got 0'],
    ['65535 channels', made({ data, channels: 65535, frame: 65534 }), 'got 65535'],
    ['a rate of 0', made({ data, sampleRate: 0 }), 'expected a sample rate'],
    ['a rate of 4 GHz', made({ data, sampleRate: 4e9 }), 'expected a sample rate'],
    ['frames of no bytes', made({ data, frame: 0 }), 'expected 2 bytes for 1 samples of 16 bits, got 0'],
    ['12 bits', made({ data, bits: 12 }), 'got format 1 of 12 bits'],
    ['ADPCM', made({ data, code: 2, bits: 4 }), 'got format 2 of 4 bits'],
    ['64-bit floats', made({ data, code: 3, bits: 64 }), 'got format 3 of 64 bits'],
    ['another sub-format', made({ data, extensible: SUBFORMAT.replace('aa', 'ab') }), 'got the sub-format'],
    ['a NaN', made({ code: 3, bits: 32, data: new Uint8Array(Float32Array.of(0, Number.NaN).buffer) }), 'frame 1'],
  ];
  it.each(bad)('refuses %s', (_, bytes, message) => {
    const attempt = () => decodeWav(bytes, 'x.wav');
    expect(attempt).toThrow(CheckpointError);
    expect(attempt).toThrow(message);
    expect(attempt).toThrow('x.wav: ');
  });

  it('answers any damage with a sound or a CheckpointError', () => {
    const whole = made({ channels: 2, data: new Uint8Array(64), extensible: SUBFORMAT, before: ['LIST', data] });
    const random = new Random(7);
    const seen = { sounds: 0, refusals: 0 };
    for (let round = 0; round < 3000; round++) {
      const bytes = Buffer.from(
        whole.subarray(0, random.integer(4) === 0 ? random.integer(whole.length) : whole.length),
      );
      for (let flips = random.integer(4); flips > 0 && bytes.length > 0; flips--) {
        bytes[random.integer(Math.min(90, bytes.length))] = random.integer(256);
      }
      try {
        decodeWav(bytes, 'x.wav');
        seen.sounds++;
      } catch (error) {
        expect(error).toBeInstanceOf(CheckpointError);
        seen.refusals++;
      }
    }
    expect(seen.sounds).toBeGreaterThan(100);
    expect(seen.refusals).toBeGreaterThan(100);
  });

  it('names a file that is missing', async () => {
    await writeFile(join(folder, 'a.wav'), made({ data }));
    expect((await readWav(join(folder, 'a.wav'))).sampleRate).toBe(8000);
    await expect(readWav(join(folder, 'b.wav'))).rejects.toThrow('there is no such file');
  });
});
