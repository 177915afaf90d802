import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CheckpointError, DTypeError, ShapeError, ValueError } from '../lib/errors.ts';
import { bf16ToFloat32, f16ToFloat32, float32ToBf16, float32ToF16 } from '../lib/models/safetensors/floats.ts';
import {
  fromFloat32,
  loadSafetensors,
  parseSafetensors,
  type StoredTensor,
  saveSafetensors,
  serializeSafetensors,
  toFloat32,
} from '../lib/models/safetensors.ts';
import { entry, safetensorsFile } from './support/hostile-safetensors.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cfgdistill-safetensors-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

// Written by the Python package safetensors 0.8.0 (safetensors.numpy.save) from 'b.weight' = float32 arange(6) [2, 3],
// 'a' = float16 [1.5, -2, 65504], 'step' = int64 7, 'empty' = float32 [0, 4], 'é"\n' = uint8 [1, 2, 3],
// 'B' = int32 [-1], with the metadata {'kind': 'golden'}.
const GOLDEN = Buffer.from(
  'gAEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJraW5kIjoiZ29sZGVuIn0sInN0ZXAiOnsiZHR5cGUiOiJJNjQiLCJzaGFwZSI6W10sImRhdGFf' +
    'b2Zmc2V0cyI6WzAsOF19LCJiLndlaWdodCI6eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbMiwzXSwiZGF0YV9vZmZzZXRzIjpbOCwzMl19LCJl' +
    'bXB0eSI6eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbMCw0XSwiZGF0YV9vZmZzZXRzIjpbMzIsMzJdfSwiQiI6eyJkdHlwZSI6IkkzMiIsInNo' +
    'YXBlIjpbMV0sImRhdGFfb2Zmc2V0cyI6WzMyLDM2XX0sImEiOnsiZHR5cGUiOiJGMTYiLCJzaGFwZSI6WzNdLCJkYXRhX29mZnNldHMiOlsz' +
    'Niw0Ml19LCLDqVwiXG4iOnsiZHR5cGUiOiJVOCIsInNoYXBlIjpbM10sImRhdGFfb2Zmc2V0cyI6WzQyLDQ1XX19ICAHAAAAAAAAAAAAAAAA' +
    'AIA/AAAAQAAAQEAAAIBAAACgQP////8APgDA/3sBAgM=',
  'base64',
);

const goldenTensors = (): [string, StoredTensor][] => [
  ['b.weight', fromFloat32(Float32Array.of(0, 1, 2, 3, 4, 5), [2, 3])],
  ['a', fromFloat32(Float32Array.of(1.5, -2, 65504), [3], 'F16')],
  ['step', { dtype: 'I64', shape: [], data: new Uint8Array(BigInt64Array.of(7n).buffer) }],
  ['empty', fromFloat32(new Float32Array(0), [0, 4])],
  ['é"\n', { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 3) }],
  ['B', { dtype: 'I32', shape: [1], data: new Uint8Array(Int32Array.of(-1).buffer) }],
];

describe('against the reference implementation', () => {
  it('reads its file', () => {
    const { tensors, metadata } = parseSafetensors(GOLDEN);
    expect({ ...metadata }).toEqual({ kind: 'golden' });
    expect([...tensors.keys()].sort()).toEqual(['B', 'a', 'b.weight', 'empty', 'step', 'é"\n']);
    for (const [name, tensor] of goldenTensors()) {
      const read = tensors.get(name)!;
      expect(read.dtype).toBe(tensor.dtype);
      expect(read.shape).toEqual(tensor.shape);
      expect([...read.data]).toEqual([...tensor.data]);
    }
    expect([...toFloat32(tensors.get('a')!)]).toEqual([1.5, -2, 65504]);
  });

  it('writes the same bytes, in whatever order the tensors come', async () => {
    const path = join(folder, 'golden.safetensors');
    await saveSafetensors(path, goldenTensors(), { kind: 'golden' });
    expect((await readFile(path)).equals(GOLDEN)).toBe(true);
    const reversed = serializeSafetensors(new Map(goldenTensors().reverse()), { kind: 'golden' });
    expect(Buffer.concat(reversed).equals(GOLDEN)).toBe(true);
  });

  it('sorts every dtype as it does', () => {
    const sizes = { BOOL: 1, U8: 1, I8: 1, F8_E5M2: 1, F8_E4M3: 1, F8_E8M0: 1, F8_E4M3FNUZ: 1, F8_E5M2FNUZ: 1 };
    const wide = { I16: 2, U16: 2, F16: 2, BF16: 2, I32: 4, U32: 4, F32: 4, C64: 8, F64: 8, I64: 8, U64: 8 };
    const tensors = Object.entries({ ...wide, ...sizes }).map(
      ([dtype, size]) => [dtype, { dtype, shape: [1], data: new Uint8Array(size) } as StoredTensor] as const,
    );
    const { tensors: read } = parseSafetensors(Buffer.concat(serializeSafetensors(tensors)));
    expect([...read.keys()].join(' ')).toBe(
      'U64 I64 F64 C64 F32 U32 I32 BF16 F16 U16 I16 F8_E5M2FNUZ F8_E4M3FNUZ F8_E8M0 F8_E4M3 F8_E5M2 I8 U8 BOOL',
    );
  });
});

describe('round trip', () => {
  it('keeps scalars, empty tensors, strange names and metadata, by memory and by file', async () => {
    const tensors = new Map<string, StoredTensor>([
      ['__proto__', fromFloat32(Float32Array.of(1, -0), [2])],
      ['constructor', fromFloat32(Float32Array.of(Number.NaN), [])],
      ['', { dtype: 'BOOL', shape: [1, 1, 1], data: Uint8Array.of(1) }],
      ['12', fromFloat32(new Float32Array(0), [3, 0, 2])],
      ['😀', fromFloat32(Float32Array.of(1.5), [1], 'BF16')],
    ]);
    const metadata = Object.fromEntries([
      ['__proto__', 'safe'],
      ['config', '{"a":"\\u0000é"}'],
    ]);
    const path = join(folder, 'round.safetensors');
    await saveSafetensors(path, tensors, metadata);
    for (const read of [await loadSafetensors(path), parseSafetensors(await readFile(path))]) {
      expect([...read.tensors.keys()].sort()).toEqual([...tensors.keys()].sort());
      for (const [name, tensor] of tensors) {
        expect(read.tensors.get(name)).toMatchObject({ dtype: tensor.dtype, shape: tensor.shape });
        expect([...read.tensors.get(name)!.data]).toEqual([...tensor.data]);
      }
      expect(Object.entries(read.metadata).sort()).toEqual(Object.entries(metadata).sort());
      expect(read.metadata.toString).toBeUndefined();
    }
    expect(({} as Record<string, unknown>).safe).toBeUndefined();
    expect(await readdir(folder)).not.toContainEqual(expect.stringMatching(/\.tmp$/));
  });

  it('keeps a file without tensors and without metadata', () => {
    const bytes = Buffer.concat(serializeSafetensors([]));
    expect(bytes.subarray(8).toString()).toBe('{}      ');
    const { tensors, metadata } = parseSafetensors(bytes);
    expect(tensors.size).toBe(0);
    expect(Object.keys(metadata)).toEqual([]);
  });

  it('pads the header to 8 bytes, so that all data is aligned', () => {
    for (let n = 1; n <= 9; n++) {
      const chunks = serializeSafetensors([['x'.repeat(n), fromFloat32(Float32Array.of(2), [1])]]);
      expect(chunks[0]!.byteLength % 8).toBe(0);
    }
  });

  it('gives aligned data whatever the offset of the bytes or the order in the file', () => {
    const header = { a: entry('U8', [1], 0, 1), b: entry('F32', [1], 1, 5), c: entry('F64', [1], 5, 13) };
    const data = Buffer.alloc(13);
    data.writeFloatLE(2.5, 1);
    data.writeDoubleLE(-1e300, 5);
    const bytes = safetensorsFile(header, data);
    for (let shift = 0; shift < 8; shift++) {
      const moved = new Uint8Array(bytes.byteLength + 8);
      moved.set(bytes, shift);
      const { tensors } = parseSafetensors(moved.subarray(shift, shift + bytes.byteLength));
      expect(toFloat32(tensors.get('b')!)[0]).toBe(2.5);
      const c = tensors.get('c')!.data;
      expect(new Float64Array(c.buffer, c.byteOffset, 1)[0]).toBe(-1e300);
    }
  });
});

describe('damaged files', () => {
  const ok = entry('F32', [1], 0, 4);
  it('refuses every truncation of a good file, and every extension', () => {
    for (let length = 0; length < GOLDEN.byteLength; length++) {
      expect(() => parseSafetensors(GOLDEN.subarray(0, length))).toThrow(CheckpointError);
    }
    expect(() => parseSafetensors(Buffer.concat([GOLDEN, Buffer.alloc(1)]))).toThrow(CheckpointError);
  });

  it('reads or refuses, never crashes, when any byte of the header is changed', () => {
    const end = 8 + Number(GOLDEN.readBigUInt64LE(0));
    for (let position = 0; position < end; position++) {
      for (const flip of [0x01, 0x10, 0x80]) {
        const bytes = Buffer.from(GOLDEN);
        bytes[position] = bytes[position]! ^ flip;
        try {
          for (const { data, shape } of parseSafetensors(bytes).tensors.values()) {
            expect(data.byteLength).toBeGreaterThanOrEqual(shape.reduce((product, n) => product * n, 1));
          }
        } catch (error) {
          expect(error).toBeInstanceOf(CheckpointError);
        }
      }
    }
  });

  it('takes an empty tensor between others and in any place that leaves no gap', () => {
    const header = { z: entry('F32', [0], 4, 4), a: ok, b: entry('U8', [2, 0], 0, 0), c: entry('U8', [1], 4, 5) };
    expect([...parseSafetensors(safetensorsFile(header, 5)).tensors.keys()]).toEqual(['b', 'a', 'z', 'c']);
  });

  it('names a missing file', async () => {
    const path = join(folder, 'none.safetensors');
    await expect(loadSafetensors(path)).rejects.toThrow(`${path}: cannot be read: there is no such file`);
  });
});

describe('what cannot be written', () => {
  const tensor = fromFloat32(Float32Array.of(1), [1]);
  it.each([
    [
      'a name twice',
      [
        ['a', tensor],
        ['a', tensor],
      ],
      ValueError,
      /"a" occurs twice/,
    ],
    ['the reserved name', [['__metadata__', tensor]], ValueError, /cannot be a tensor's name/],
    ['half a surrogate pair', [['\ud800', tensor]], ValueError, /cannot be a tensor's name/],
    ['a wrong size', [['a', { ...tensor, shape: [2] }]], ShapeError, /expected 8 bytes for F32 \[2\], got 4/],
    ['a negative dimension', [['a', { ...tensor, shape: [-1] }]], ShapeError, /shape of integers/],
  ] as [string, [string, StoredTensor][], new (message: string) => Error, RegExp][])(
    'refuses %s and writes no file',
    async (_, tensors, type, message) => {
      const path = join(folder, 'refused.safetensors');
      const error = await saveSafetensors(path, tensors).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(type);
      expect((error as Error).message).toMatch(message);
      expect(await readdir(folder)).not.toContain('refused.safetensors');
    },
  );

  it('refuses an unknown dtype and metadata that is no string', () => {
    const unknown = { ...tensor, dtype: 'F31' } as unknown as StoredTensor;
    expect(() => serializeSafetensors([['a', unknown]])).toThrow(DTypeError);
    const metadata = { k: 1 } as unknown as Record<string, string>;
    expect(() => serializeSafetensors([], metadata)).toThrow(/metadata\.k: expected a string, got 1/);
  });
});

/** Nearest representable value with `fraction` stored bits and exponents ≥ `lowest`, ties to even, in float64. */
function nearest(value: number, fraction: number, lowest: number, largest: number): number {
  if (!Number.isFinite(value) || value === 0) return value;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(value))), lowest);
  const step = 2 ** (exponent - fraction);
  const scaled = Math.abs(value) / step;
  const below = Math.floor(scaled);
  const rest = scaled - below;
  const rounded = (rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below) * step;
  return Math.sign(value) * (rounded > largest ? Number.POSITIVE_INFINITY : rounded);
}

describe('float16 and bfloat16', () => {
  const formats = [
    { name: 'F16', widen: f16ToFloat32, round: float32ToF16, fraction: 10, bias: 15, largest: 65504 },
    { name: 'BF16', widen: bf16ToFloat32, round: float32ToBf16, fraction: 7, bias: 127, largest: 255 * 2 ** 120 },
  ];

  it.each(formats)('$name widens every pattern exactly and rounds it back to itself', (format) => {
    const { widen, round, fraction, bias } = format;
    const infinite = 2 * bias + 1;
    for (let bits = 0; bits < 65536; bits++) {
      const exponent = (bits >> fraction) & infinite;
      const significand = bits & (2 ** fraction - 1);
      const sign = bits >> 15 ? -1 : 1;
      const value = widen(bits);
      if (exponent === infinite && significand !== 0) {
        if (!Number.isNaN(value) || !Number.isNaN(widen(round(value)))) throw new Error(`${bits} is NaN`);
        continue;
      }
      let expected = Number.POSITIVE_INFINITY;
      if (exponent === 0) expected = significand * 2 ** (1 - bias - fraction);
      else if (exponent < infinite) expected = (2 ** fraction + significand) * 2 ** (exponent - bias - fraction);
      if (!Object.is(value, sign * expected) || round(value) !== bits) throw new Error(`${bits}: ${value}`);
    }
  });

  it.each(formats)('$name rounds to nearest, ties to even, at and beside every midpoint', (format) => {
    const { widen, round, fraction, bias, largest } = format;
    const float = new Float32Array(1);
    const bits = new Int32Array(float.buffer);
    const top = (2 * bias + 1) << fraction;
    for (let low = 0; low < top; low++) {
      const upper = low + 1 === top ? 2 ** (bias + 1) : widen(low + 1);
      float[0] = widen(low) / 2 + upper / 2;
      const middle = bits[0]!;
      for (const neighbour of [-1, 0, 1]) {
        bits[0] = middle + neighbour;
        for (const value of [float[0]!, -float[0]!]) {
          const expected = nearest(value, fraction, 1 - bias, largest);
          const got = widen(round(value));
          if (got !== expected) throw new Error(`${value}: expected ${expected}, got ${got}`);
        }
      }
    }
  });

  it.each(formats)('$name overflows to infinity, underflows to a signed zero and keeps NaN', ({ widen, round }) => {
    expect(widen(round(3.4028234663852886e38))).toBe(Number.POSITIVE_INFINITY);
    expect(widen(round(Number.NEGATIVE_INFINITY))).toBe(Number.NEGATIVE_INFINITY);
    expect(widen(round(-1e-45))).toBe(-0);
    expect(widen(round(-0))).toBe(-0);
    const payload = new Float32Array(Uint32Array.of(0x7f800001).buffer);
    expect(widen(round(Number.NaN))).toBeNaN();
    expect(widen(round(payload[0]!))).toBeNaN();
  });

  it('converts tensors, and refuses what float32 cannot hold or what does not fit', () => {
    const values = Float32Array.of(1, -2.5, 1e-3, 3);
    expect([...toFloat32(fromFloat32(values, [2, 2]))]).toEqual([...values]);
    expect([...toFloat32(fromFloat32(values, [4], 'BF16'))]).toEqual([1, -2.5, bf16ToFloat32(float32ToBf16(1e-3)), 3]);
    const odd = new Uint8Array(5);
    odd.set(new Uint8Array(values.buffer, 0, 4), 1);
    expect([...toFloat32({ dtype: 'F32', shape: [1], data: Buffer.from(odd.buffer).subarray(1) })]).toEqual([1]);
    expect(() => toFloat32({ dtype: 'I64', shape: [], data: new Uint8Array(8) }, 'step')).toThrow(
      'step: expected F32, F16 or BF16, got I64',
    );
    expect(() => toFloat32({ dtype: 'F32', shape: [2], data: new Uint8Array(4) })).toThrow(CheckpointError);
    expect(() => fromFloat32(values, [3])).toThrow(ShapeError);
  });
});

describe('large headers', () => {
  it('reads metadata of tens of megabytes, full of escapes, braces and quotes', () => {
    const config = '{"a\\":\n}'.repeat(4_000_000);
    const chunks = serializeSafetensors([], { config });
    expect(parseSafetensors(chunks[0]!).metadata.config).toBe(config);
  });
});
