import { safetensorsFile } from './hostile-safetensors.ts';

/** A sharded checkpoint that must be refused: the files of its folder, and what the error must say. */
export interface HostileIndex {
  fault: string;
  files: Record<string, Uint8Array | string>;
  message: RegExp;
}

export const INDEX = 'model.safetensors.index.json';
export const SHARDS = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'] as const;
const [ONE, TWO] = SHARDS;

/** A file of F32 [1] tensors. */
function shard(...names: string[]): Uint8Array {
  const header = names.map((name, i) => [name, { dtype: 'F32', shape: [1], data_offsets: [4 * i, 4 * i + 4] }]);
  return safetensorsFile(Object.fromEntries(header), 4 * names.length);
}

/** The files of a good checkpoint: 'a' and 'b' in the first shard, 'c' in the second. */
export const goodShards = () => ({
  [ONE]: shard('a', 'b'),
  [TWO]: shard('c'),
  [INDEX]: JSON.stringify({ metadata: { total_size: 12 }, weight_map: { a: ONE, b: ONE, c: TWO } }),
});

/** The good checkpoint with other content in its index. */
const indexed = (index: unknown, files: HostileIndex['files'] = {}) => ({
  ...goodShards(),
  [INDEX]: typeof index === 'string' ? index : JSON.stringify(index),
  ...files,
});
const mapped = (map: unknown, files?: HostileIndex['files']) => indexed({ weight_map: map }, files);
const map = { a: ONE, b: ONE, c: TWO };
const beside = /weight_map\.a: expected the name of a \.safetensors file beside the index, got /;
const path = (text: string) => new RegExp(`${beside.source}the path ${text}`);

type Case = [fault: string, files: HostileIndex['files'], message: RegExp];

const cases: Case[] = [
  ['an empty index', indexed(''), /the index is not valid JSON \(Unexpected end/],
  ['an index that is not JSON', indexed('weights'), /the index is not valid JSON \(Unexpected token/],
  [
    'an index in UTF-16',
    { ...indexed(''), [INDEX]: Buffer.from('\ufeff{}', 'utf16le') },
    /the index is not valid UTF-8/,
  ],
  ['a list as index', indexed([]), /expected a JSON object as index, got \[\]/],
  [
    'a nested index',
    indexed(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`),
    /the index is nested deeper than 16/,
  ],
  ['a tensor listed twice', indexed(`{"weight_map":{"a":"${ONE}","a":"${TWO}"}}`), /"a" occurs twice in the index/],
  ['metadata of text', indexed({ metadata: 'x', weight_map: map }), /metadata: expected an object, got "x"/],
  ['no map', indexed({ metadata: {} }), /weight_map: expected an object, got nothing/],
  ['a map of text', mapped(ONE), /weight_map: expected an object, got "model-00001/],
  ['an empty map', mapped({}), /weight_map: expected at least one tensor, got none/],
  ['the metadata as tensor', mapped({ ...map, __metadata__: ONE }), /__metadata__ cannot be a tensor's name/],
  ['a shard that is a number', mapped({ ...map, a: 1 }), new RegExp(`${beside.source}1`)],
  ['a shard that is null', mapped({ ...map, a: null }), new RegExp(`${beside.source}null`)],
  ['no name', mapped({ ...map, a: '' }), new RegExp(`${beside.source}""`)],
  ['the folder itself', mapped({ ...map, a: '.' }), new RegExp(`${beside.source}"\\."`)],
  ['the folder above', mapped({ ...map, a: '..' }), new RegExp(`${beside.source}"\\.\\."`)],
  ['a path upwards', mapped({ ...map, a: '../outside.safetensors' }), path('"../outside.safetensors"')],
  ['a path upwards in the middle', mapped({ ...map, a: 'x/../../outside.safetensors' }), path('"x/../..')],
  ['an absolute path', mapped({ ...map, a: '/etc/passwd.safetensors' }), path('"/etc/passwd.safetensors"')],
  ['a path of Windows', mapped({ ...map, a: '..\\outside.safetensors' }), path('"..\\\\\\\\outside.safetensors"')],
  ['a drive', mapped({ ...map, a: 'C:outside.safetensors' }), new RegExp(`${beside.source}"C:outside`)],
  ['NUL in a name', mapped({ ...map, a: `${ONE}\0.safetensors` }), /got "model-.*\\u0000\.safetensors"/],
  ['a file of another kind', mapped({ ...map, a: 'config.json' }), new RegExp(`${beside.source}"config.json"`)],
  ['a pickled shard', mapped({ ...map, a: 'pytorch_model-00001-of-00002.bin' }), /PyTorch file \(pickle\).*convert/],
  [
    'a missing shard',
    mapped({ ...map, d: 'model-00003-of-00003.safetensors' }),
    /"model-00003-of-00003.safetensors" not found/,
  ],
  [
    'two missing shards',
    mapped({ ...map, d: 'x.safetensors', e: 'y.safetensors' }),
    /shards that it lists beside it, "x.safetensors" and "y.safetensors" not found/,
  ],
  [
    'a shard that is not listed',
    indexed({ weight_map: map }, { 'model-00003-of-00003.safetensors': shard('d') }),
    /every shard to be listed, "model-00003-of-00003.safetensors" not/,
  ],
  ['a tensor in another shard', mapped({ ...map, b: TWO }), /tensor "b" in "model-00002.*, found it in "model-00001/],
  ['a tensor in no shard', mapped({ ...map, d: TWO }), /tensors that it lists, "d" missing from "model-00002/],
  ['a tensor not listed', mapped({ a: ONE, c: TWO }), /every tensor to be listed, "b" of "model-00001.* not/],
  [
    'a tensor in two shards',
    indexed({ weight_map: map }, { [TWO]: shard('c', 'a') }),
    /tensor "a" in "model-00001.*found it in "model-00002/,
  ],
  [
    'an index as shard',
    mapped({ ...map, a: 'x.safetensors' }, { 'x.safetensors': '{"weight_map":{}}' }),
    /header of at most/,
  ],
  [
    'a damaged shard',
    indexed({ weight_map: map }, { [TWO]: shard('c').subarray(0, -1) }),
    /-00002-of-.*but only 3 bytes follow/,
  ],
  ['an empty shard', indexed({ weight_map: map }, { [TWO]: '' }), /-00002-of-.*at least 8 bytes, got 0/],
];

export const HOSTILE_INDICES: readonly HostileIndex[] = cases.map(([fault, files, message]) => ({
  fault,
  files,
  message,
}));
