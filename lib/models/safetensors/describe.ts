/** Longest text that an error message takes over from a file, in UTF-16 units. */
const LONGEST = 120;

/** A name from a file in quotation marks, shortened: a hostile file may hold one of megabytes. */
export function quoted(name: string): string {
  return JSON.stringify(clipped(name));
}

/** A text from a file, shortened. */
export function clipped(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

/** A shape as text, shortened. */
export function shapeText(shape: readonly number[]): string {
  return shape.length <= 16 ? `[${shape.join(', ')}]` : `[${shape.slice(0, 16).join(', ')}, … ${shape.length} in all]`;
}

/** A short picture of a value from a file. Objects are not looked into far: they may be nested without end. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return `[${listed(value.slice(0, 8).map(flat), value.length)}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const keys: string[] = [];
  let count = 0;
  for (const key in value) if (count++ < 4) keys.push(quoted(key));
  return `{${listed(
    keys.map((key) => `${key}: …`),
    count,
  )}}`;
}

/** Several names in quotation marks: the first few, and how many more there are. */
export function quotedList(names: readonly string[], quote = quoted): string {
  const first = names.slice(0, 5).map(quote);
  if (names.length > 5) return `${first.join(', ')} and ${names.length - 5} more`;
  return first.length > 1 ? `${first.slice(0, -1).join(', ')} and ${first.at(-1)}` : `${first[0]}`;
}

function flat(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? '[]' : '[…]';
  return typeof value === 'object' && value !== null ? '{…}' : describe(value);
}

function listed(parts: readonly string[], count: number): string {
  return shortened(parts.join(', '), count > parts.length);
}

function shortened(text: string, more: boolean): string {
  return more && text.length <= LONGEST ? `${text}…` : clipped(text);
}
