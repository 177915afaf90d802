// The safetensors reader: any bytes give a file or a CheckpointError, and what was read can be written and read again.
import { deepStrictEqual } from 'node:assert/strict';
import { join } from 'node:path';
import { Bytes } from '../bytes.mjs';

const RAW = 0;

/**
 * The file that an input stands for. A mutation of a whole file mostly breaks the length in front, so that only the
 * first kind of input is the file itself; of the others the input is the header, and the length is made to fit.
 */
function fileOf(bytes) {
  const input = new Bytes(bytes);
  if (input.byte() % 4 === RAW) return Uint8Array.from(input.rest);
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
  return {
    refused: (error) => error instanceof errors.CheckpointError && error.message.length < 10_000,
    run(bytes) {
      const file = fileOf(bytes);
      const { tensors, metadata } = parseSafetensors(file, 'input');
      for (const [name, tensor] of tensors) {
        if (tensor.dtype === 'F32' || tensor.dtype === 'F16' || tensor.dtype === 'BF16') toFloat32(tensor, name);
      }
      const again = parseSafetensors(Buffer.concat(serializeSafetensors(tensors, metadata)), 'written');
      deepStrictEqual(again.metadata, metadata);
      deepStrictEqual(new Map([...again.tensors].sort()), new Map([...tensors].sort()));
    },
  };
}
