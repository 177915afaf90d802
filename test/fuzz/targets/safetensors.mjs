// The safetensors reader: any bytes give a file, an index of shards or a CheckpointError. What was read can be written
// and read again, and shards are files of the same folder.
import { deepStrictEqual } from 'node:assert/strict';
import { basename, join } from 'node:path';
import { Bytes } from '../bytes.mjs';

const KINDS = ['file', 'header', 'header', 'index'];

/**
 * The file that an input stands for. A mutation of a whole file mostly breaks the length in front: of the second kind
 * the input is the header alone, and the length is made to fit.
 */
function fileOf(kind, input) {
  if (kind === 'file') return Uint8Array.from(input.rest);
  const dataBytes = input.byte() | ((input.byte() & 3) << 8);
  const header = input.rest;
  const file = new Uint8Array(8 + header.byteLength + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.byteLength), true);
  file.set(header, 8);
  for (let i = 8 + header.byteLength; i < file.byteLength; i++) file[i] = i;
  return file;
}

export async function makeTarget({ errors, folder }) {
  const { parseSafetensors, serializeSafetensors, toFloat32 } = await import(join(folder, 'lib/models/safetensors.js'));
  const { parseShardIndex } = await import(join(folder, 'lib/models/safetensors/shard-index.js'));
  return {
    refused: (error) => error instanceof errors.CheckpointError && error.message.length < 10_000,
    run(bytes) {
      const input = new Bytes(bytes);
      const kind = input.pick(KINDS);
      if (kind === 'index') {
        const { weightMap } = parseShardIndex(Uint8Array.from(input.rest), 'index');
        for (const shard of weightMap.values()) {
          if (basename(shard) !== shard) throw new Error(`the shard ${JSON.stringify(shard)} is in another folder`);
        }
        return;
      }
      const file = fileOf(kind, input);
      const { tensors, metadata } = parseSafetensors(file, 'input');
      for (const [name, tensor] of tensors) {
        if (tensor.dtype === 'F32' || tensor.dtype === 'F16' || tensor.dtype === 'BF16') toFloat32(tensor, name);
      }
      const written = Uint8Array.from(Buffer.concat(serializeSafetensors(tensors, metadata)));
      const again = parseSafetensors(written, 'written');
      deepStrictEqual(again.metadata, metadata);
      deepStrictEqual(new Map([...again.tensors].sort()), new Map([...tensors].sort()));
    },
  };
}
