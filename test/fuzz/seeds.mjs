// Inputs to begin with: what the targets would take long to find.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A raw file, for the target's first kind of input. */
const raw = (file) => Buffer.concat([Buffer.from([0]), file]);
/** A header whose length the target makes to fit, with this many bytes behind it. */
const headed = (text, dataBytes) =>
  Buffer.concat([Buffer.from([1, dataBytes & 255, dataBytes >> 8]), Buffer.from(text)]);

/** An index of shards. */
const index = (text) => Buffer.concat([Buffer.from([3]), Buffer.from(text)]);

function tensorFile(serialize, tensors, metadata) {
  return Buffer.concat(serialize(Object.entries(tensors), metadata));
}

/** @param serialize the library's serializeSafetensors */
function safetensorsSeeds(serialize) {
  const tensor = (dtype, shape, bytes) => ({ dtype, shape, data: new Uint8Array(bytes).fill(7) });
  const one = { a: tensor('F32', [2, 3], 24) };
  const several = {
    weight: tensor('BF16', [4, 4], 32),
    scalar: tensor('F64', [], 8),
    empty: tensor('I32', [0, 7], 0),
    'é\n"\\': tensor('U8', [3], 3),
  };
  const entry = (fields) => JSON.stringify({ a: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...fields } });
  const two = (a, b) =>
    JSON.stringify({
      a: { dtype: 'U8', shape: [4], data_offsets: a },
      b: { dtype: 'U8', shape: [4], data_offsets: b },
    });
  return [
    raw(tensorFile(serialize, {}, {})),
    raw(tensorFile(serialize, one, {})),
    raw(tensorFile(serialize, several, { format: 'pt', 'a key': '' })),
    raw(Buffer.from('ffffffffffffffff7b7d', 'hex')),
    raw(Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d])),
    headed('{}', 0),
    headed(entry({}), 8),
    headed(`${entry({})}   `, 8),
    headed(entry({ shape: [] }), 4),
    headed(entry({ shape: [9007199254740991, 9007199254740991] }), 8),
    headed(entry({ shape: [1e300] }), 8),
    headed(entry({ shape: [-1] }), 8),
    headed(entry({ dtype: 'F16', shape: [4] }), 8),
    headed(entry({ data_offsets: [8, 0] }), 8),
    headed(entry({ data_offsets: [0, 4294967296] }), 8),
    headed(two([0, 4], [4, 8]), 8),
    headed(two([0, 4], [2, 6]), 6),
    headed(two([0, 4], [5, 9]), 9),
    headed('{"__metadata__":{"a":"b","c":"\\u0000"}}', 0),
    headed('{"__metadata__":{"a":1}}', 0),
    headed('{"a":1,"a":2}', 0),
    headed('{"\\ud800":{}}', 0),
    headed('{"__proto__":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}', 0),
    headed(`${'['.repeat(500)}${']'.repeat(500)}`, 0),
    headed(`${'{"a":'.repeat(300)}1${'}'.repeat(300)}`, 0),
    index('{"metadata":{"total_size":8},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"b.safetensors"}}'),
    index('{"weight_map":{"a":"../a.safetensors"}}'),
    index('{"weight_map":{"a":"pytorch_model.bin"}}'),
    index('{"weight_map":{"a":["x.safetensors"]},"metadata":1}'),
  ];
}

/** For targets that decode their inputs: each operation with ordinary arguments, and with some others. */
function decodedSeeds(operations, prefixes) {
  const seeds = [];
  for (const prefix of prefixes) {
    for (let operation = 0; operation < operations; operation++) {
      let state = operation + 1;
      for (const length of [6, 40, 120]) {
        const bytes = Array.from({ length }, () => {
          state = (Math.imul(state, 0x915f77f5) + 0x6a09e667) >>> 0;
          return state >>> 24;
        });
        seeds.push(Buffer.from([...prefix, operation, ...bytes.map((byte) => (byte > 250 ? byte : byte % 160))]));
      }
    }
  }
  return seeds;
}

/** Writes the seeds of a target into a folder. */
export function writeSeeds(target, folder, serialize) {
  const seeds =
    target === 'safetensors'
      ? safetensorsSeeds(serialize)
      : target === 'tensors'
        ? decodedSeeds(48, [[0], [10], [14], [15]])
        : decodedSeeds(12, [[]]);
  mkdirSync(folder, { recursive: true });
  seeds.forEach((seed, i) => writeFileSync(join(folder, `seed-${String(i).padStart(3, '0')}`), seed));
}

/** Words of the safetensors format, as a libFuzzer dictionary. */
export const SAFETENSORS_WORDS = [
  ...['"dtype":', '"shape":[', '"data_offsets":[', '"__metadata__":{', '":{', '},"', '"a":', '[0,', ',0]', '{}', '[]'],
  ...['"F32"', '"BF16"', '"F16"', '"U8"', '"I64"', '"BOOL"', '"F8_E4M3"', '9007199254740991', '4294967296', '1e308'],
  ...[
    '"weight_map":{',
    '"metadata":{',
    '.safetensors"',
    '../',
    '-1',
    '0.5',
    'null',
    'true',
    '\\u0000',
    '\\ud800',
    '\\"',
    '"__proto__":',
  ],
];
