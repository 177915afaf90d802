import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { float32ToBf16, float32ToF16 } from '../../lib/models/safetensors/floats.ts';
import { type StoredTensor, serializeSafetensors, toFloat32 } from '../../lib/models/safetensors.ts';
import { Random } from '../../lib/random.ts';
import { randomFloats } from './random-data.ts';

export type Tensors = Record<string, StoredTensor>;

/** A tensor of random floats. */
export function floatTensor(random: Random, shape: number[], dtype: 'F32' | 'F16' | 'BF16' = 'F32'): StoredTensor {
  const values = randomFloats(
    random,
    shape.reduce((a, b) => a * b, 1),
    2,
  );
  if (dtype === 'F32') return { dtype, shape, data: new Uint8Array(values.buffer) };
  const narrow = Uint16Array.from(values, dtype === 'F16' ? float32ToF16 : float32ToBf16);
  return { dtype, shape, data: new Uint8Array(narrow.buffer) };
}

/** A tensor of random whole numbers. */
export function wholeTensor(random: Random, count: number): StoredTensor {
  const data = Uint8Array.from({ length: count * 4 }, () => random.integer(256));
  return { dtype: 'I32', shape: [count], data };
}

/** Tensors of all kinds of types and sizes, from none to several pieces of the least size. */
export function mixedTensors(seed: number): Tensors {
  const random = new Random(seed);
  return {
    'blocks.0.attention.query': floatTensor(random, [70, 33]),
    'blocks.0.attention.value': floatTensor(random, [4097], 'BF16'),
    'blocks.0.norm': floatTensor(random, [3]),
    'blocks.1.attention.query': floatTensor(random, [2048, 2], 'F16'),
    'blocks.1.norm': floatTensor(random, [], 'F16'),
    'blocks.1.bias': floatTensor(random, [5], 'BF16'),
    empty: floatTensor(random, [0, 7]),
    steps: wholeTensor(random, 3000),
    scale: floatTensor(random, [1]),
  };
}

/** Writes a file whose tensors lie in the order given, at odd offsets where it makes them. */
export function writeUnsorted(path: string, tensors: Tensors, metadata?: Record<string, string>): void {
  let end = 0;
  const header: Record<string, unknown> = metadata ? { __metadata__: metadata } : {};
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [end, end + data.byteLength] };
    end += data.byteLength;
  }
  const head = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(head.byteLength));
  writeFileSync(path, Buffer.concat([prefix, head, ...Object.values(tensors).map(({ data }) => data)]));
}

/** Writes a checkpoint in several files; returns its folder. */
export function writeSharded(
  folder: string,
  shards: readonly Tensors[],
  metadata: Record<string, string> = {},
  index: Record<string, unknown> = {},
): string {
  mkdirSync(folder, { recursive: true });
  const weightMap: Record<string, string> = {};
  let size = 0;
  shards.forEach((tensors, i) => {
    const of = (n: number) => String(n).padStart(5, '0');
    const name = `model-${of(i + 1)}-of-${of(shards.length)}.safetensors`;
    writeFileSync(join(folder, name), Buffer.concat(serializeSafetensors(Object.entries(tensors), metadata)));
    for (const [tensor, { data }] of Object.entries(tensors)) {
      weightMap[tensor] = name;
      size += data.byteLength;
    }
  });
  const content = { metadata: { total_size: size, ...index }, weight_map: weightMap };
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify(content));
  return folder;
}

/** The values of a tensor of floats, in double. */
export function valuesOf(tensor: StoredTensor): number[] {
  return [...toFloat32(tensor)];
}

/** Every file below a folder with a digest of its content, to see what has changed. */
export async function snapshot(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const found: Record<string, string> = {};
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    found[path] = entry.isFile()
      ? createHash('sha256')
          .update(await readFile(path))
          .digest('hex')
      : 'folder';
  }
  return found;
}
