/** A small encoder of ONNX files: the protocol buffer messages of a model that multiplies its input by a matrix. */

type Bytes = readonly number[];

function varint(value: number): Bytes {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return [...bytes, rest];
}

/** A field of an integer. */
const integer = (field: number, value: number): Bytes => [...varint(field * 8), ...varint(value)];

/** A field of bytes: a text, raw data, or another message. */
function content(field: number, value: string | Bytes | Uint8Array): Bytes {
  const bytes = typeof value === 'string' ? [...new TextEncoder().encode(value)] : [...value];
  return [...varint(field * 8 + 2), ...varint(bytes.length), ...bytes];
}

const FLOAT = 1;

/** A float32 tensor that is part of the model. */
function initializer(name: string, shape: readonly number[], values: Float32Array): Bytes {
  const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return [...shape.flatMap((d) => integer(1, d)), ...integer(2, FLOAT), ...content(8, name), ...content(9, raw)];
}

/** A float32 input or output; a dimension that is a text is not fixed. */
function valueInfo(name: string, shape: readonly (number | string)[]): Bytes {
  const dimensions = shape.flatMap((d) => content(1, typeof d === 'number' ? integer(1, d) : content(2, d)));
  const tensor = [...integer(1, FLOAT), ...content(2, dimensions)];
  return [...content(1, name), ...content(2, content(1, tensor))];
}

function node(type: string, inputs: readonly string[], output: string): Bytes {
  return [...inputs.flatMap((name) => content(1, name)), ...content(2, output), ...content(4, type)];
}

/**
 * An ONNX model of `features` [batch, rows] × matrix [rows, columns] = `embedding` [batch, columns]. The matrix is in the
 * file, or (`matrixGiven`) an input of unknown shape; `secondOutput` adds `positive`, the positive part.
 */
export function matrixModel(
  matrix: Float32Array,
  [rows, columns]: readonly [number, number],
  { matrixGiven = false, secondOutput = false } = {},
): Uint8Array {
  const width = matrixGiven ? 'columns' : columns;
  const graph = [
    ...content(1, node('MatMul', ['features', 'matrix'], 'embedding')),
    ...(secondOutput ? content(1, node('Relu', ['embedding'], 'positive')) : []),
    ...content(2, 'graph'),
    ...(matrixGiven ? [] : content(5, initializer('matrix', [rows, columns], matrix))),
    ...content(11, valueInfo('features', ['batch', rows])),
    ...(matrixGiven ? content(11, valueInfo('matrix', ['rows', 'columns'])) : []),
    ...content(12, valueInfo('embedding', ['batch', width])),
    ...(secondOutput ? content(12, valueInfo('positive', ['batch', width])) : []),
  ];
  const operators = [...content(1, ''), ...integer(2, 13)];
  return Uint8Array.from([...integer(1, 8), ...content(7, graph), ...content(8, operators)]);
}
