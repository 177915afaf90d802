import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CheckpointError } from '../../errors.ts';
import { quoted, quotedList } from './describe.ts';
import type { HeaderEntry } from './header.ts';
import { openSafetensors, type SafetensorsFile } from './open.ts';
import { isPickleName, pickleError } from './pickle.ts';
import { INDEX_ENDING, readShardIndex, type ShardIndex } from './shard-index.ts';
import { damaged } from './strict-json.ts';

/** Where a checkpoint keeps a tensor. */
export interface TensorLocation extends HeaderEntry {
  file: SafetensorsFile;
}

/** An open checkpoint: a single safetensors file, or several with an index. Of the tensors only the headers are read. */
export interface Checkpoint {
  /** As it was given. */
  path: string;
  /** The one file, or the shards sorted by name. */
  files: readonly SafetensorsFile[];
  /** For shards, their index and its file's name. */
  index: (ShardIndex & { name: string }) | null;
  tensors: ReadonlyMap<string, TensorLocation>;
  /** The metadata of all files; an object without a prototype. */
  metadata: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/**
 * Opens a checkpoint and reads its headers; the caller closes it.
 *
 * @param path a safetensors file; the index of a sharded checkpoint (`model.safetensors.index.json`); or the folder of
 *   either
 * @throws CheckpointError for files that are missing, damaged or pickles, and for shards and tensors that the index
 *   lacks or has too many
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const file = await findFile(path);
  if (file.endsWith('.json')) return openShards(path, file);
  const opened = await openSafetensors(file);
  return checkpointOf(path, [opened], null);
}

/** The index or the single file that a path means. */
async function findFile(path: string): Promise<string> {
  const isFolder = await stat(path).then(
    (status) => status.isDirectory(),
    () => false,
  );
  if (!isFolder) return path;
  const names = await readdir(path);
  const indices = names.filter((name) => name.endsWith(INDEX_ENDING));
  const found = indices.length > 0 ? indices : names.filter((name) => name.endsWith('.safetensors'));
  if (found.length === 1) return join(path, found[0] as string);
  const pickle = names.find(isPickleName);
  if (found.length === 0 && pickle !== undefined) throw pickleError(join(path, pickle));
  const expected = `expected a folder with one index (…${INDEX_ENDING}) or else one .safetensors file`;
  const got = found.length === 0 ? 'none' : `${quotedList(found.sort())}; name the file itself`;
  throw new CheckpointError(`${path}: ${expected}, got ${got}`, path);
}

async function openShards(path: string, indexPath: string): Promise<Checkpoint> {
  const index = await readShardIndex(indexPath);
  const folder = dirname(indexPath);
  const shards = [...new Set(index.weightMap.values())].sort();
  checkShards(shards, await readdir(folder), indexPath);
  const files: SafetensorsFile[] = [];
  try {
    for (const shard of shards) files.push(await openSafetensors(join(folder, shard)));
    checkTensors(index, files, indexPath);
  } catch (error) {
    await closeAll(files);
    throw error;
  }
  return checkpointOf(path, files, { ...index, name: basename(indexPath) });
}

/** Every shard is there, and none of the same numbering that the index does not know. */
function checkShards(shards: readonly string[], names: readonly string[], source: string): void {
  const present = new Set(names);
  const missing = shards.filter((shard) => !present.has(shard));
  if (missing.length > 0) {
    throw damaged(source, `expected the shards that it lists beside it, ${quotedList(missing)} not found`);
  }
  const series = new Set(shards.map(seriesOf).filter((name) => name !== null));
  const listed = new Set(shards);
  const extra = names.filter((name) => series.has(seriesOf(name) ?? '') && !listed.has(name)).sort();
  if (extra.length > 0) {
    throw damaged(source, `expected every shard to be listed, ${quotedList(extra)} not; is the index of other files?`);
  }
}

/** What the shards of one checkpoint share in their names: `model` of `model-00001-of-00003.safetensors`. */
function seriesOf(name: string): string | null {
  return /^(.*)-\d+-of-\d+\.safetensors$/s.exec(name)?.[1] ?? null;
}

/** Each tensor is in the shard that the index says, and in no other. */
function checkTensors({ weightMap }: ShardIndex, files: readonly SafetensorsFile[], source: string): void {
  const found = new Set<string>();
  for (const { path, entries } of files) {
    const shard = basename(path);
    const unlisted = entries.filter(({ name }) => !weightMap.has(name)).map(({ name }) => name);
    if (unlisted.length > 0) {
      throw damaged(source, `expected every tensor to be listed, ${quotedList(unlisted)} of ${quoted(shard)} not`);
    }
    for (const { name } of entries) {
      const expected = weightMap.get(name) as string;
      if (expected !== shard) {
        throw damaged(source, `expected tensor ${quoted(name)} in ${quoted(expected)}, found it in ${quoted(shard)}`);
      }
      found.add(name);
    }
  }
  const missing = [...weightMap.keys()].filter((name) => !found.has(name));
  if (missing.length > 0) {
    const shards = [...new Set(missing.map((name) => weightMap.get(name) as string))];
    throw damaged(
      source,
      `expected the tensors that it lists, ${quotedList(missing)} missing from ${quotedList(shards)}`,
    );
  }
}

function checkpointOf(path: string, files: readonly SafetensorsFile[], index: Checkpoint['index']): Checkpoint {
  const tensors = new Map<string, TensorLocation>();
  const metadata: Record<string, string> = Object.create(null);
  for (const file of files) {
    for (const entry of file.entries) tensors.set(entry.name, { ...entry, file });
    Object.assign(metadata, file.metadata);
  }
  return { path, files, index, tensors, metadata, close: () => closeAll(files) };
}

async function closeAll(files: readonly SafetensorsFile[]): Promise<void> {
  await Promise.all(files.map(({ handle }) => handle.close()));
}
