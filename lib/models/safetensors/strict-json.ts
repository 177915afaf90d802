import { CheckpointError } from '../../errors.ts';
import { describe, quoted } from './describe.ts';
import { findDuplicateName, isDeeper } from './json.ts';

/** Deepest nesting that is read: the formats here have 3 levels, others may add fields of their own. */
const MAX_DEPTH = 16;

/**
 * Parses a JSON object that nobody vouches for.
 *
 * @param bytes UTF-8
 * @param source what errors call the file
 * @param part what errors call the text: "the header"
 * @throws CheckpointError for what is not UTF-8, JSON or an object, begins otherwise than with a brace, is nested deeply
 *   or holds a name twice
 */
export function parseObject(bytes: Uint8Array, source: string, part: string): object {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw damaged(source, `${part} is not valid UTF-8`, error);
  }
  if (isDeeper(text, MAX_DEPTH)) throw damaged(source, `${part} is nested deeper than ${MAX_DEPTH} levels`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(source, `${part} is not valid JSON (${(error as Error).message})`, error);
  }
  if (!isObject(value)) throw damaged(source, `expected a JSON object as ${part.slice(4)}, got ${describe(value)}`);
  if (!text.startsWith('{')) throw damaged(source, `${part} must begin with '{', got ${describe(text[0])}`);
  const duplicate = findDuplicateName(text);
  if (duplicate !== null) throw damaged(source, `the name ${quoted(duplicate)} occurs twice in ${part}`);
  return value;
}

export function damaged(source: string, message: string, cause?: unknown): CheckpointError {
  return new CheckpointError(`${source}: ${message}`, source, cause === undefined ? undefined : { cause });
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
