// Files that a safetensors reader must refuse, each with what it must say of it; and some odd ones that it must read.

export interface HostileFile {
  fault: string;
  bytes: Uint8Array;
  /** What the error must say. */
  message: RegExp;
}

/** A file from a header (bytes, text or value) and zeros as data; `length` overrides the header's stated length. */
export function safetensorsFile(header: unknown, data: number | Uint8Array = 0, length?: bigint): Uint8Array {
  const text = header instanceof Uint8Array || typeof header === 'string' ? header : JSON.stringify(header);
  const head = Buffer.from(text as string);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length ?? BigInt(head.byteLength));
  return new Uint8Array(Buffer.concat([prefix, head, typeof data === 'number' ? Buffer.alloc(data) : data]));
}

/** A header's entry. */
export const entry = (dtype: unknown, shape: unknown, ...offsets: unknown[]) => ({
  dtype,
  shape,
  data_offsets: offsets,
});

const ok = entry('F32', [1], 0, 4);
const okText = JSON.stringify(ok);
/** A tensor 'a' of F32 [1], given as text: numbers that JSON.stringify would not write. */
const raw = (shape: string, offsets: string, dtype = 'F32') =>
  `{"a":{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}}`;
const file = safetensorsFile;

const good = file({ a: ok, b: entry('F32', [2], 4, 12) }, 12);
const goodStart = good.byteLength - 12;

type Case = [fault: string, bytes: Uint8Array, message: RegExp];

const lengths: Case[] = [
  ['no bytes', new Uint8Array(0), /at least 8 bytes, got 0/],
  ['one byte', new Uint8Array(1), /at least 8 bytes, got 1/],
  ['7 bytes', new Uint8Array(7), /at least 8 bytes, got 7/],
  ['only a length', file('', 0, 2n), /should take 2 bytes, but only 0 follow/],
  ['a length of 0', file(''), /not valid JSON/],
  ['a length past the end', file('{}', 0, 3n), /should take 3 bytes, but only 2 follow/],
  ['a length at the cap', file('{}', 0, 100_000_000n), /should take 100000000 bytes, but only 2 follow/],
  ['a length over the cap', file('{}', 0, 100_000_001n), /at most 100000000 bytes, got 100000001/],
  ['a length of 2³¹', file('{}', 0, 2n ** 31n), /at most 100000000 bytes, got 2147483648/],
  ['a length of 2⁵³ + 1', file('{}', 0, 2n ** 53n + 1n), /got 9007199254740993/],
  ['a length of 2⁶³', file('{}', 0, 2n ** 63n), /got 9223372036854775808/],
  ['a length of 2⁶⁴ − 1', file('{}', 0, 2n ** 64n - 1n), /got 18446744073709551615/],
  ['a length that ends within the JSON', file(`{"a":${okText}}`, 4, 9n), /not valid JSON \(/],
  [
    'a length that takes in data',
    file(`{"a":${okText}}`, 4, BigInt(okText.length + 8)),
    /not valid JSON \(.*after JSON/,
  ],
];

const texts: Case[] = [
  ['zeros as header', file(new Uint8Array(16)), /not valid JSON/],
  ['spaces as header', file('        '), /not valid JSON \(Unexpected end/],
  ['invalid UTF-8', file(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), /not valid UTF-8/],
  ['a byte order mark', file(`\ufeff${JSON.stringify({ a: ok })}`, 4), /not valid JSON/],
  ['spaces before the brace', file(` {"a":${okText}}`, 4), /must begin with '\{', got " "/],
  ['a value missing', file('{"a":}'), /not valid JSON/],
  ['a comma too many', file(`{"a":${okText},}`, 4), /not valid JSON \(.*property name/],
  ['a string without its end', file('{"a'), /not valid JSON \(Unterminated string/],
  ['100,000 open brackets', file('['.repeat(100_000)), /nested deeper than 16 levels/],
  ['100,000 closed brackets', file('['.repeat(100_000) + ']'.repeat(100_000)), /nested deeper than 16 levels/],
  ['100,000 objects in each other', file(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`), /nested deeper than 16/],
  ['a list', file([]), /expected a JSON object as header, got \[\]/],
  ['null', file('null'), /expected a JSON object as header, got null/],
  ['a number', file('7'), /expected a JSON object as header, got 7/],
  ['a text', file('"a"'), /expected a JSON object as header, got "a"/],
  ['true', file('true'), /expected a JSON object as header, got true/],
  ['a megabyte of text', file(JSON.stringify('x'.repeat(1_000_000))), /as header, got "x{20,150}…"$/],
];

const names: Case[] = [
  ['a name twice', file(`{"a":${okText},"a":${okText}}`, 4), /the name "a" occurs twice in the header/],
  ['a name twice, once escaped', file(`{"b":${okText},"\\u0062" :${okText}}`, 4), /the name "b" occurs twice/],
  [
    'a field twice',
    file('{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,2]}}', 2),
    /the name "dtype" occurs twice/,
  ],
  ['the metadata twice', file('{"__metadata__":{},"__metadata__":{}}'), /the name "__metadata__" occurs twice/],
  ['a metadata key twice', file('{"__metadata__":{"k":"1","k":"2"}}'), /the name "k" occurs twice/],
  ['half a surrogate pair', file(`{"\\ud800":${okText}}`, 4), /"\\ud800" is not valid Unicode/],
  ['a name of a megabyte', file({ ['y'.repeat(1_000_000)]: 3 }), /tensor "y{100,150}…": expected an object, got 3/],
];

const metadata: Case[] = [
  ['metadata of text', file({ __metadata__: 'x' }), /__metadata__: expected an object, got "x"/],
  ['metadata of null', file({ __metadata__: null }), /__metadata__: expected an object, got null/],
  ['a list as metadata', file({ __metadata__: ['x'] }), /__metadata__: expected an object, got \["x"\]/],
  ['a number in the metadata', file({ __metadata__: { k: 1 } }), /__metadata__\.k: expected a string, got 1/],
  ['an object in the metadata', file({ __metadata__: { k: { l: '1' } } }), /__metadata__\.k: .* got \{"l": …\}/],
  ['null in the metadata', file({ __metadata__: { k: null } }), /__metadata__\.k: expected a string, got null/],
  [
    'half a surrogate pair in the metadata',
    file('{"__metadata__":{"k":"\\ud800"}}'),
    /__metadata__\.k: .* valid Unicode/,
  ],
  ['a tensor as metadata', file({ __metadata__: ok }, 4), /__metadata__\.shape: expected a string, got \[1\]/],
];

const entries: Case[] = [
  ['a tensor that is a number', file({ a: 3 }), /tensor "a": expected an object, got 3/],
  ['a tensor that is null', file({ a: null }), /tensor "a": expected an object, got null/],
  ['a tensor that is a list', file({ a: [ok] }), /tensor "a": expected an object, got \[\{…\}\]/],
  ['no dtype', file({ a: { shape: [1], data_offsets: [0, 4] } }, 4), /unknown dtype nothing/],
  ['an unknown dtype', file({ a: entry('F31', [1], 0, 4) }, 4), /tensor "a": unknown dtype "F31"/],
  ['a dtype in small letters', file({ a: entry('f32', [1], 0, 4) }, 4), /unknown dtype "f32"/],
  ['a dtype of less than a byte', file({ a: entry('F4', [2], 0, 1) }, 1), /unknown dtype "F4"/],
  ['a number as dtype', file({ a: entry(32, [1], 0, 4) }, 4), /unknown dtype 32/],
  ['a list as dtype', file({ a: entry(['F32'], [1], 0, 4) }, 4), /unknown dtype \["F32"\]/],
  ['a dtype from the prototype', file({ a: entry('toString', [1], 0, 4) }, 4), /unknown dtype "toString"/],
  ['the prototype itself as dtype', file({ a: entry('__proto__', [1], 0, 4) }, 4), /unknown dtype "__proto__"/],
  ['no shape', file({ a: { dtype: 'F32', data_offsets: [0, 4] } }, 4), /shape of integers ≥ 0, got nothing/],
  ['a text as shape', file({ a: entry('F32', '1', 0, 4) }, 4), /shape of integers ≥ 0, got "1"/],
  [
    'an object as shape',
    file({ a: entry('F32', { length: 1 }, 0, 4) }, 4),
    /shape of integers ≥ 0, got \{"length": …\}/,
  ],
  ['a negative dimension', file({ a: entry('F32', [-1], 0, 4) }, 4), /shape of integers ≥ 0, got \[-1\]/],
  ['two negative dimensions', file({ a: entry('F32', [-1, -1], 0, 4) }, 4), /shape of integers ≥ 0, got \[-1, -1\]/],
  ['a fractional dimension', file({ a: entry('F32', [1.5], 0, 6) }, 6), /shape of integers ≥ 0, got \[1.5\]/],
  ['a dimension of text', file({ a: entry('F32', ['1'], 0, 4) }, 4), /shape of integers ≥ 0, got \["1"\]/],
  ['a dimension of null', file({ a: entry('F32', [null], 0, 4) }, 4), /shape of integers ≥ 0, got \[null\]/],
  [
    'a dimension beyond 2⁵³',
    file(raw('[9007199254740993]', '[0,0]')),
    /shape of integers ≥ 0, got \[9007199254740992\]/,
  ],
  ['an infinite dimension', file(raw('[1e999]', '[0,0]')), /shape of integers ≥ 0, got \[Infinity\]/],
  [
    'a shape whose product overflows',
    file(raw('[1099511627776,1099511627776]', '[0,4]'), 4),
    /size of shape .* overflows/,
  ],
  ['a shape whose product wraps to 4', file(raw('[4294967297,4294967297]', '[0,4]'), 4), /size of shape .* overflows/],
  ['a size of 2⁵³ bytes', file(raw('[2251799813685248]', '[0,4]'), 4), /size of shape \[2251799813685248\] overflows/],
  [
    'a hundred thousand dimensions',
    file(raw(`[${'2,'.repeat(99_999)}2]`, '[0,4]'), 4),
    /size of shape \[2, 2, .*… 100000 in all\] overflows/,
  ],
];

const offsets: Case[] = [
  ['no offsets', file({ a: { dtype: 'F32', shape: [1] } }, 4), /data_offsets \[begin, end\] .* got nothing/],
  ['one offset', file({ a: entry('F32', [1], 0) }, 4), /data_offsets \[begin, end\] .* got \[0\]/],
  ['three offsets', file({ a: entry('F32', [1], 0, 4, 8) }, 8), /data_offsets \[begin, end\] .* got \[0, 4, 8\]/],
  ['offsets of text', file({ a: entry('F32', [1], '0', '4') }, 4), /data_offsets .* got \["0", "4"\]/],
  [
    'an object as offsets',
    file({ a: { ...ok, data_offsets: { 0: 0, 1: 4 } } }, 4),
    /data_offsets .* got \{"0": …, "1": …\}/,
  ],
  ['negative offsets', file({ a: entry('F32', [1], -4, 0) }, 4), /data_offsets .* got \[-4, 0\]/],
  ['fractional offsets', file({ a: entry('F32', [1], 0.5, 4.5) }, 5), /data_offsets .* got \[0.5, 4.5\]/],
  [
    'offsets of 2⁶⁴',
    file(raw('[1]', '[18446744073709551612,18446744073709551616]'), 4),
    /got \[18446744073709552000, /,
  ],
  ['an infinite offset', file(raw('[1]', '[0,1e400]'), 4), /data_offsets .* got \[0, Infinity\]/],
  ['reversed offsets', file({ a: entry('F32', [1], 4, 0) }, 4), /data_offsets \[4, 0\] are reversed/],
  ['fewer bytes than the shape has', file({ a: entry('F32', [2], 0, 4) }, 4), /expected 8 bytes for F32 \[2\], got 4/],
  ['more bytes than the shape has', file({ a: entry('F32', [1], 0, 8) }, 8), /expected 4 bytes for F32 \[1\], got 8/],
  ['the size of another dtype', file({ a: entry('BF16', [2], 0, 8) }, 8), /expected 4 bytes for BF16 \[2\], got 8/],
  ['bytes for an empty shape', file({ a: entry('F32', [0], 0, 4) }, 4), /expected 0 bytes for F32 \[0\], got 4/],
  ['no bytes for a scalar', file({ a: entry('F64', [], 0, 0) }), /expected 8 bytes for F64 \[\], got 0/],
];

const layouts: Case[] = [
  ['an end past the file', file({ a: entry('F32', [2], 0, 8) }, 7), /"a": ends at byte 8, but only 7 bytes follow/],
  ['a tensor of petabytes', file(raw('[281474976710656]', '[0,1125899906842624]'), 4), /ends at byte 1125899906842624/],
  ['all of it past the file', file({ a: ok, b: entry('F32', [1], 4, 8) }, 4), /"b": ends at byte 8, but only 4 bytes/],
  ['overlap', file({ a: ok, b: entry('F32', [1], 2, 6) }, 6), /"b": begins at byte 2 and overlaps tensor "a"/],
  ['two tensors in one place', file({ a: ok, b: ok }, 4), /"b": begins at byte 0 and overlaps tensor "a"/],
  [
    'a tensor within another',
    file({ a: entry('F32', [4], 0, 16), b: entry('F32', [1], 4, 8) }, 16),
    /at byte 4 and overlaps/,
  ],
  ['a gap', file({ a: ok, b: entry('F32', [1], 8, 12) }, 12), /"b": begins at byte 8, a gap after tensor "a"/],
  ['a gap at the start', file({ a: entry('F32', [1], 4, 8) }, 8), /"a": begins at byte 4, a gap after the header/],
  [
    'an empty tensor in a gap',
    file({ a: ok, b: entry('F32', [0], 6, 6) }, 8),
    /"b": begins at byte 6, a gap after tensor/,
  ],
  ['one trailing byte', file({ a: ok }, 5), /1 trailing bytes after the last tensor/],
  ['a trailing megabyte', file({ a: ok }, 1_000_004), /1000000 trailing bytes/],
  ['data without tensors', file('{}', 3), /3 trailing bytes/],
];

const truncations: Case[] = [
  ['truncated within the length', good.subarray(0, 5), /at least 8 bytes, got 5/],
  ['truncated within the header', good.subarray(0, 40), /but only 32 follow; is the file truncated/],
  [
    'truncated before the data',
    good.subarray(0, goodStart),
    /but only 0 bytes follow the header; is the file truncated/,
  ],
  ['truncated within a tensor', good.subarray(0, goodStart + 6), /"b": ends at byte 12, but only 6 bytes follow/],
  ['truncated by one byte', good.subarray(0, -1), /"b": ends at byte 12, but only 11 bytes follow/],
];

const others: Case[] = [
  [
    'a zip archive of torch.save',
    Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 8, 8, 0, 0),
    /PyTorch file \(pickle\).*convert/,
  ],
  ['a bare pickle', Uint8Array.of(0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20), /PyTorch file \(pickle\)/],
  ['a GGUF file', Buffer.from('GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0'), /header of at most 100000000 bytes/],
  [
    'a page of the web',
    Buffer.from('<!doctype html><html></html>'),
    /at most 100000000 bytes, got 8104636974849335612; is it a safetensors file/,
  ],
  [
    'a pointer of Git LFS',
    Buffer.from('version https://git-lfs.github.com/spec/v1\n'),
    /got 2336927755350992246; is it a/,
  ],
];

/** At least 60, each of another fault. */
export const HOSTILE_FILES: readonly HostileFile[] = [
  ...[lengths, texts, names, metadata, entries, offsets, layouts, truncations, others].flat(),
].map(([fault, bytes, message]) => ({ fault, bytes, message }));

/** Files that look hostile, but are as the format allows: each holds one F32 tensor [1] of this name. */
export const ODD_NAMES = [
  '__proto__',
  'constructor',
  'toString',
  '',
  '\0',
  'a\0b',
  '../../etc/passwd',
  '🙂',
  'ﷺ'.repeat(20_000),
];
