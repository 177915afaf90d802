import { readBounded } from '../../files.ts';
import { clipped, describe, quoted } from './describe.ts';
import { MAX_HEADER_BYTES, METADATA_NAME } from './header.ts';
import { isPickleName, pickleError } from './pickle.ts';
import { damaged, isObject, parseObject } from './strict-json.ts';

/** How the file that lists the shards of a checkpoint is called. */
export const INDEX_ENDING = '.safetensors.index.json';

/** The content of such a file. */
export interface ShardIndex {
  /** Anything; most have the `total_size` of the tensors in bytes. */
  metadata: Readonly<Record<string, unknown>>;
  /** Each tensor's shard, a file beside the index. */
  weightMap: ReadonlyMap<string, string>;
}

/**
 * Reads and checks an index. Shards can only be files of the same folder: no path in it leads anywhere else.
 *
 * @throws CheckpointError for each way in which it can be wrong
 */
export async function readShardIndex(path: string): Promise<ShardIndex> {
  if (isPickleName(path)) throw pickleError(path);
  return parseShardIndex(await readBounded(path, MAX_HEADER_BYTES, 'an index'), path);
}

/** As `readShardIndex`, from bytes. */
export function parseShardIndex(bytes: Uint8Array, source: string): ShardIndex {
  const { metadata = {}, weight_map: map } = parseObject(bytes, source, 'the index') as Record<string, unknown>;
  if (!isObject(metadata)) throw damaged(source, `metadata: expected an object, got ${describe(metadata)}`);
  if (!isObject(map)) throw damaged(source, `weight_map: expected an object, got ${describe(map)}`);
  const weightMap = new Map<string, string>();
  for (const [name, shard] of Object.entries(map)) {
    if (name === METADATA_NAME) throw damaged(source, `weight_map: ${METADATA_NAME} cannot be a tensor's name`);
    checkShardName(shard, name, source);
    weightMap.set(name, shard);
  }
  if (weightMap.size === 0) throw damaged(source, 'weight_map: expected at least one tensor, got none');
  return { metadata: { ...metadata }, weightMap };
}

function checkShardName(shard: unknown, tensor: string, source: string): asserts shard is string {
  const expected = `weight_map.${clipped(tensor)}: expected the name of a .safetensors file beside the index`;
  if (typeof shard !== 'string') throw damaged(source, `${expected}, got ${describe(shard)}`);
  if (/[/\\]/.test(shard)) throw damaged(source, `${expected}, got the path ${quoted(shard)}`);
  if (isPickleName(shard)) throw pickleError(shard);
  // A control character can only be there to mislead.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (!/^[^\u0000-\u001f\u007f:]+\.safetensors$/.test(shard)) {
    throw damaged(source, `${expected}, got ${quoted(shard)}`);
  }
}
