const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN = 0x7b;
const CLOSE = 0x7d;

const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;

/**
 * Whether brackets and braces are nested deeper than `limit`: a text of brackets alone takes many times its size once
 * it is parsed.
 *
 * @param text anything; what is not JSON gets some answer
 */
export function isDeeper(text: string, limit: number): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === OPEN || code === OPEN_LIST) depth++;
    else if (code === CLOSE || code === CLOSE_LIST) depth--;
    if (depth > limit) return true;
  }
  return false;
}

/**
 * The first name that occurs twice in one object of a JSON text, or null. JSON.parse keeps the last of them in
 * silence, and two readers that keep different ones see different models in one file.
 *
 * @param text valid JSON
 */
export function findDuplicateName(text: string): string | null {
  const open: Set<string>[] = [];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === OPEN) {
      open.push(new Set());
    } else if (code === CLOSE) {
      open.pop();
    } else if (code === QUOTE) {
      const start = at;
      at = endOfString(text, start);
      // In valid JSON a string is a name exactly when a colon follows it.
      if (text.charCodeAt(skipSpace(text, at + 1)) !== COLON) continue;
      const name = JSON.parse(text.slice(start, at + 1)) as string;
      const names = open.at(-1)!;
      if (names.has(name)) return name;
      names.add(name);
    }
  }
  return null;
}

/** Index of the quote that closes the string opened at `start`; past the end where none does. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (at < text.length && text.charCodeAt(at) <= 0x20) at++;
  return at;
}
