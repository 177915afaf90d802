import { mkdirSync } from 'node:fs';
import { type FileHandle, mkdtemp, open, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ValueError } from '../../lib/errors.ts';
import { averageCheckpoints, type MergeProgress, mergeCheckpoints } from '../../lib/merge.ts';
import { loadSafetensors, saveSafetensors } from '../../lib/models/safetensors.ts';
import { Random } from '../../lib/random.ts';
import { floatTensor, mixedTensors, type Tensors, valuesOf, writeUnsorted } from '../support/checkpoints.ts';

let folder: string;
const at = (name: string): string => join(folder, name);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cfgdistill-streaming-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** The least memory: pieces of 4 KiB. */
const least = (inputs: number, outputs: number) => (inputs + outputs) * 4096;

async function expectMix(
  path: string,
  inputs: Tensors[],
  mix: (values: number[], name: string) => number,
): Promise<void> {
  const { tensors } = await loadSafetensors(path);
  const [first] = inputs as [Tensors];
  expect([...tensors.keys()].sort()).toEqual(Object.keys(first).sort());
  for (const [name, { dtype, shape, data }] of tensors) {
    expect({ dtype, shape }).toEqual({ dtype: first[name]!.dtype, shape: first[name]!.shape });
    if (dtype === 'I32') {
      expect(data).toEqual(first[name]!.data);
      continue;
    }
    const columns = inputs.map((tensors) => valuesOf(tensors[name]!));
    const half = { F32: 2 ** -24, F16: 2 ** -11, BF16: 2 ** -8 }[dtype as 'F32'];
    valuesOf({ dtype, shape, data }).forEach((value, i) => {
      const row = columns.map((column) => column[i]!);
      const exact = mix(row, name);
      // Half a unit of the last place, and what the sum loses where large values cancel: narrow types are added up in
      // float32, (n + 2) · 2⁻²⁴ of the terms' sizes, with weights of 1.5 at most here.
      const scale = row.reduce((sum, x) => sum + Math.abs(x), 0);
      const lost = dtype === 'F32' ? 2 ** -28 : (row.length + 2) * 1.5 * 2 ** -24;
      if (Math.abs(value - exact) <= Math.abs(exact) * half * 1.01 + scale * lost) return;
      throw new Error(`${name}[${i}]: ${value}, expected ${exact}`);
    });
  }
}

describe('pieces', () => {
  const made: object[] = [];
  const [a, b, c] = [mixedTensors(1), mixedTensors(2), mixedTensors(3)];
  const ends = () => ({ quality: at('a.safetensors'), diverse: at('b.safetensors') });
  beforeEach(async () => {
    await saveSafetensors(ends().quality, Object.entries(a), { kind: 'x' });
    // Another order, and tensors at odd places.
    writeUnsorted(ends().diverse, Object.fromEntries([...Object.entries(b)].reverse()));
    await saveSafetensors(at('c.safetensors'), Object.entries(c));
  });

  it.each([
    ['the least memory', least(2, 4)],
    ['one lane and a bit', least(2, 4) * 3 + 5000],
    ['the default', undefined],
  ])('of any size are mixed as exactly as the kernels do: %s', async (_, memoryBytes) => {
    const weights = [0, 0.3, 1, -0.5];
    const output = at('m{weight}.safetensors');
    await mergeCheckpoints({ ...ends(), weights, output, ...(memoryBytes !== undefined && { memoryBytes }) });
    for (const weight of weights) {
      await expectMix(at(`m${weight}.safetensors`), [a, b], ([x, y]) => (1 - weight) * x! + weight * y!);
    }
    const { tensors } = await loadSafetensors(at('m1.safetensors'));
    expect(Object.fromEntries(tensors)).toEqual({ ...b, steps: a.steps });
    const middle = await loadSafetensors(at('m0.3.safetensors'));
    made.push([...middle.tensors].map(([name, { data }]) => [name, Buffer.from(data).toString('base64')]));
  });

  it('make one file whatever their size', () => {
    expect(made.length).toBe(3);
    expect(made[1]).toEqual(made[0]);
    expect(made[2]).toEqual(made[0]);
  });

  it('averages three', async () => {
    const checkpoints = [...Object.values(ends()), at('c.safetensors')];
    await averageCheckpoints({ checkpoints, output: at('m'), memoryBytes: least(3, 1) });
    await expectMix(at('m'), [a, b, c], ([x, y, z]) => x! * (1 / 3) + y! * (1 / 3) + z! * (1 / 3));
    await averageCheckpoints({ checkpoints, weights: [0, 2, 6], output: at('n') });
    await expectMix(at('n'), [a, b, c], ([, y, z]) => y! * 0.25 + z! * 0.75);
  });

  it('refuses too little memory', async () => {
    const merging = mergeCheckpoints({ ...ends(), weights: [0.5], output: at('m'), memoryBytes: least(2, 1) - 1 });
    await expect(merging).rejects.toThrow(ValueError);
    await expect(merging).rejects.toThrow(/^memoryBytes: .* at least 12288 for 2 inputs and 1 outputs, got 12287$/);
    await expect(
      mergeCheckpoints({ ...ends(), weights: [0.5], output: at('m'), memoryBytes: Number.NaN }),
    ).rejects.toThrow(/^memoryBytes: /);
  });

  it('tell how far they are', async () => {
    const seen: MergeProgress[] = [];
    const onProgress = (progress: MergeProgress) => void seen.push(progress);
    await mergeCheckpoints({
      ...ends(),
      weights: [0, 0.5],
      output: at('m{weight}'),
      memoryBytes: least(2, 2),
      onProgress,
    });
    const total = 2 * Object.values(a).reduce((sum, { data }) => sum + data.byteLength, 0);
    expect(seen.length).toBeGreaterThan(8);
    expect(seen.every((progress, i) => progress.total === total && progress.done > (seen[i - 1]?.done ?? 0))).toBe(
      true,
    );
    expect(seen.at(-1)!.done).toBe(total);
    expect(new Set(seen.map(({ tensor }) => tensor)).size).toBeGreaterThan(4);
  });
});

describe('reading', () => {
  it('is done once for five outputs, and not of an end that none needs; memory stays within its bound', async () => {
    const random = new Random(4);
    const big = () => ({ w: floatTensor(random, [1_000_000]), v: floatTensor(random, [300_001], 'BF16') });
    await saveSafetensors(at('a'), Object.entries(big()));
    await saveSafetensors(at('b'), Object.entries(big()));
    const { size } = await stat(at('a'));
    const reads = await spyOnReads();
    const held = () => process.memoryUsage().arrayBuffers;
    const before = held();
    let most = 0;
    const memoryBytes = 2_000_000;
    const onProgress = () => {
      most = Math.max(most, held() - before);
    };
    const ends = { quality: at('a'), diverse: at('b') };
    await mergeCheckpoints({
      ...ends,
      weights: [0.1, 0.3, 0.5, 0.7, 0.9],
      output: at('m{weight}'),
      memoryBytes,
      onProgress,
    });
    expect(reads.bytes()).toBe(2 * size);
    expect(most).toBeGreaterThan(memoryBytes / 2);
    expect(most).toBeLessThan(memoryBytes + 250_000);
    reads.reset();
    await mergeCheckpoints({ ...ends, weights: [0], output: at('m0'), memoryBytes });
    expect(reads.bytes()).toBeLessThan(size + 1000);
    reads.restore();
  });
});

describe('an arc', () => {
  const [a, b] = [mixedTensors(5), mixedTensors(6)];
  const floats = (tensors: Tensors) =>
    Object.fromEntries(Object.entries(tensors).filter(([, { dtype }]) => dtype !== 'I32'));
  const merge = async (x: Tensors, y: Tensors, options: object = {}) => {
    await saveSafetensors(at('a'), Object.entries(x));
    await saveSafetensors(at('b'), Object.entries(y));
    await mergeCheckpoints({
      quality: at('a'),
      diverse: at('b'),
      weights: [0.3],
      output: at('m'),
      method: 'slerp',
      ...options,
    });
    return (await loadSafetensors(at('m'))).tensors;
  };

  it.each([
    ['tensors of one piece', undefined],
    ['tensors of many pieces', least(2, 1)],
  ])('is that of float64, for %s', async (_, memoryBytes) => {
    const merged = await merge(a, b, memoryBytes === undefined ? {} : { memoryBytes });
    for (const [name, tensor] of Object.entries(floats(a))) {
      const [x, y] = [valuesOf(tensor), valuesOf(b[name]!)];
      const dot = (u: number[], v: number[]) => u.reduce((sum, value, i) => sum + value * v[i]!, 0);
      const angle = Math.acos(dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y)));
      // One number alone points along or against another: no arc, the straight line.
      const share = (weight: number) => (x.length === 1 ? weight : Math.sin(weight * angle) / Math.sin(angle));
      const got = valuesOf(merged.get(name)!);
      const unit = { F32: 2 ** -23, F16: 2 ** -10, BF16: 2 ** -7 }[tensor.dtype as 'F32'];
      got.forEach((value, i) => {
        const exact = share(0.7) * x[i]! + share(0.3) * y[i]!;
        const scale = Math.abs(x[i]!) + Math.abs(y[i]!);
        if (!(Math.abs(value - exact) <= scale * unit)) throw new Error(`${name}[${i}]: ${value}, expected ${exact}`);
      });
    }
    expect(merged.get('steps')).toEqual(a.steps);
  });

  it('keeps the length of ends of one length, and has its ends bit for bit', async () => {
    const vector = (...values: number[]): Tensors => {
      return { w: { dtype: 'F32', shape: [values.length], data: new Uint8Array(Float32Array.from(values).buffer) } };
    };
    const merged = await merge(vector(3, 0, 0), vector(0, 0, 3), { weights: [0.5] });
    const [x, y, z] = valuesOf(merged.get('w')!) as [number, number, number];
    expect(Math.hypot(x, y, z)).toBeCloseTo(3, 6);
    expect(x).toBe(z);
    await merge(vector(Number.NaN, 1), vector(1, 2), { weights: [0, 1], output: at('e{weight}') });
    expect((await loadSafetensors(at('e0'))).tensors.get('w')).toEqual(vector(Number.NaN, 1).w);
    expect((await loadSafetensors(at('e1'))).tensors.get('w')).toEqual(vector(1, 2).w);
  });

  it('is the line where there is none: a zero end, equal and opposite ends', async () => {
    const vector = (...values: number[]): Tensors => {
      return { w: { dtype: 'F32', shape: [values.length], data: new Uint8Array(Float32Array.from(values).buffer) } };
    };
    for (const [x, y, mixed] of [
      [
        [0, 0],
        [1, 2],
        [0.25, 0.5],
      ],
      [
        [1, 2],
        [1, 2],
        [1, 2],
      ],
      [
        [1, 2],
        [-1, -2],
        [0.5, 1],
      ],
    ] as const) {
      const merged = await merge(vector(...x), vector(...y), { weights: [0.25] });
      expect(valuesOf(merged.get('w')!)).toEqual(mixed);
    }
  });

  it('needs finite values', async () => {
    const broken = {
      ...a,
      scale: { dtype: 'F32' as const, shape: [1], data: new Uint8Array(Float32Array.of(Infinity).buffer) },
    };
    await expect(merge(broken, b)).rejects.toThrow(/^method: slerp needs finite values, tensor 'scale' holds others$/);
    expect((await readdir(folder)).sort()).toEqual(['a', 'b']);
  });
});

describe('rules for layers', () => {
  const [a, b] = [mixedTensors(7), mixedTensors(8)];
  const merge = async (options: object) => {
    await saveSafetensors(at('a'), Object.entries(a));
    await saveSafetensors(at('b'), Object.entries(b));
    await mergeCheckpoints({
      quality: at('a'),
      diverse: at('b'),
      weights: [0.2, 0.6],
      output: at('m{weight}'),
      ...options,
    });
  };

  it('give tensors weights of their own, the first that fits deciding', async () => {
    const layers = [
      { pattern: '*.norm', weight: 0 },
      { pattern: 'blocks.0.attention.*', weight: 0.3 },
      { pattern: 'blocks.*', weight: (weight: number) => weight / 2 },
    ];
    await merge({ layers });
    const share = (name: string, weight: number) => {
      if (name.endsWith('.norm')) return 0;
      if (name.startsWith('blocks.0.attention.')) return 0.3;
      return name.startsWith('blocks.') ? weight / 2 : weight;
    };
    for (const weight of [0.2, 0.6]) {
      await expectMix(at(`m${weight}`), [a, b], ([x, y], name) => {
        const own = share(name, weight);
        return (1 - own) * x! + own * y!;
      });
    }
    const { metadata } = await loadSafetensors(at('m0.6'));
    expect(JSON.parse(metadata.merged_from!).layers.map(({ weight }: { weight: number }) => weight)).toEqual([
      0, 0.3, 0.3,
    ]);
  });

  it('give averages weights of their own', async () => {
    await saveSafetensors(at('a'), Object.entries(a));
    await saveSafetensors(at('b'), Object.entries(b));
    const layers = [
      { pattern: 'scale', weights: [0, 1] },
      { pattern: 'blocks.0.*', weights: [3, 1] },
    ];
    await averageCheckpoints({ checkpoints: [at('a'), at('b')], output: at('m'), layers });
    await expectMix(at('m'), [a, b], ([x, y], name) => {
      if (name === 'scale') return y!;
      return name.startsWith('blocks.0.') ? 0.75 * x! + 0.25 * y! : 0.5 * x! + 0.5 * y!;
    });
  });

  it('are refused when they cannot be meant', async () => {
    mkdirSync(at('keep'));
    const refused = (layers: unknown, message: RegExp) => expect(merge({ layers })).rejects.toThrow(message);
    await refused([{ pattern: 'block.*', weight: 1 }], /^layers\[0\]\.pattern: .* "block\.\*" fits none$/);
    await refused([{ pattern: '*', weight: Number.NaN }], /^layers\[0\]\.weight: expected a finite number, got NaN$/);
    await refused([{ pattern: '*' }, { pattern: '*', weight: () => 1 / 0 }], /^layers\[1\]\.weight: .* got Infinity$/);
    await refused(
      [{ pattern: '*', method: 'slrep' }],
      /^layers\[0\]\.method: expected 'lerp' or 'slerp', got "slrep"$/,
    );
    await refused([{ pattern: 'blocks.[0' }], /^layers\[0\]\.pattern: expected a '\]'/);
    await expect(merge({ method: 'mean' })).rejects.toThrow(/^method: expected 'lerp' or 'slerp', got "mean"$/);
    const average = (weights: number[]) =>
      averageCheckpoints({ checkpoints: [at('a'), at('b')], output: at('m'), layers: [{ pattern: '*', weights }] });
    await expect(average([1])).rejects.toThrow(/^layers\[0\]\.weights: expected 2 finite numbers, got \[1\]$/);
    await expect(average([1, -1])).rejects.toThrow(/^layers\[0\]\.weights: expected a finite sum other than 0, got 0$/);
    expect((await readdir(folder)).sort()).toEqual(['a', 'b', 'keep']);
  });
});

/** Counts the bytes that all file handles read. */
async function spyOnReads() {
  const handle = await open(at('a'));
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  let bytes = 0;
  const real = prototype.read;
  const spy = vi.spyOn(prototype, 'read').mockImplementation(async function (this: FileHandle, ...args: unknown[]) {
    const result = await (real as (...args: unknown[]) => Promise<{ bytesRead: number }>).apply(this, args);
    bytes += result.bytesRead;
    return result;
  } as never);
  return {
    bytes: () => bytes,
    reset: () => {
      bytes = 0;
    },
    restore: () => spy.mockRestore(),
  };
}
