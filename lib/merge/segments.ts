import type { Checkpoint, TensorLocation } from '../models/safetensors/checkpoint.ts';
import { SAFETENSORS_DTYPES, type SafetensorsDType } from '../models/safetensors/dtype.ts';
import type { HeaderEntry } from '../models/safetensors/header.ts';
import type { SafetensorsFile } from '../models/safetensors/open.ts';
import type { Mix, Recipe } from './recipe.ts';

/** Types that are interpolated. */
const FLOATS: ReadonlySet<SafetensorsDType> = new Set(['F32', 'F16', 'BF16']);
/** Types without fractions: there is nothing between two of their values, so that they come from the first input. */
const WHOLE: ReadonlySet<SafetensorsDType> = new Set(['BOOL', 'U8', 'I8', 'U16', 'I16', 'U32', 'I32', 'U64', 'I64']);

/** Bytes of an input, and where they are. */
export interface Source {
  file: SafetensorsFile;
  /** From the file's start. */
  position: number;
}

/** A stretch of bytes of a file to be written that is made in one way: a tensor, or several that lie side by side. */
export interface Segment {
  /** The (first) tensor. */
  name: string;
  dtype: SafetensorsDType;
  /** From the end of the header. */
  begin: number;
  bytes: number;
  /** One per input; null where no output needs it. */
  sources: (Source | null)[];
  /** One per output. */
  mixes: readonly Mix[];
  /** Its type cannot be mixed: all inputs that the outputs would mix must hold the same bytes. */
  alike: boolean;
}

/**
 * What is to be done for one output file.
 *
 * @param entries the file's tensors in the order of their bytes
 */
export function segmentsOf(entries: readonly HeaderEntry[], inputs: readonly Checkpoint[], recipe: Recipe): Segment[] {
  const segments: Segment[] = [];
  for (const entry of entries) {
    if (entry.begin === entry.end) continue;
    const segment = segmentOf(entry, inputs, recipe(entry.name));
    const last = segments.at(-1);
    if (last && continues(last, segment)) last.bytes += segment.bytes;
    else segments.push(segment);
  }
  return segments;
}

/** Size of a segment's elements in bytes: pieces hold whole ones. */
export function elementBytes({ dtype }: Segment): number {
  return SAFETENSORS_DTYPES[dtype];
}

function segmentOf(
  { name, dtype, begin, end }: HeaderEntry,
  inputs: readonly Checkpoint[],
  wanted: readonly Mix[],
): Segment {
  const mixes = WHOLE.has(dtype) ? wanted.map((): Mix => ({ kind: 'take', input: 0 })) : wanted;
  const needed = new Set(mixes.flatMap((mix) => inputsOf(mix)));
  const sources = inputs.map(({ tensors }, i) => {
    if (!needed.has(i)) return null;
    const { file, begin: from } = tensors.get(name) as TensorLocation;
    return { file, position: file.start + from };
  });
  const alike = !FLOATS.has(dtype) && mixes.some(({ kind }) => kind !== 'take');
  return { name, dtype, begin, bytes: end - begin, sources, mixes, alike };
}

function inputsOf(mix: Mix): number[] {
  if (mix.kind === 'take') return [mix.input];
  if (mix.kind === 'average') return mix.weights.flatMap((weight, i) => (weight === 0 ? [] : [i]));
  return [0, 1];
}

/** Small tensors side by side go through in one piece. An arc is a matter of one tensor. */
function continues(last: Segment, next: Segment): boolean {
  return (
    last.dtype === next.dtype &&
    !last.alike &&
    !next.alike &&
    last.mixes.every((mix, i) => mix.kind !== 'slerp' && sameMix(mix, next.mixes[i] as Mix)) &&
    last.sources.every((source, i) => {
      const follower = next.sources[i] as Source | null;
      if (!source || !follower) return source === follower;
      return source.file === follower.file && source.position + last.bytes === follower.position;
    })
  );
}

function sameMix(a: Mix, b: Mix): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
