/** What an accent of ABC's text strings adds to the letter after it, as combining marks. */
const ACCENTS: Readonly<Record<string, string>> = {
  '`': '\u0300',
  "'": '\u0301',
  '^': '\u0302',
  '~': '\u0303',
  '"': '\u0308',
  c: '\u0327',
  ',': '\u0327',
  u: '\u0306',
  v: '\u030c',
  r: '\u030a',
  H: '\u030b',
  ';': '\u0328',
  '=': '\u0304',
};

/** Letters that are no accented ones. */
const LIGATURES: Readonly<Record<string, string>> = {
  aa: 'å',
  AA: 'Å',
  ae: 'æ',
  AE: 'Æ',
  cc: 'ç',
  cC: 'Ç',
  oe: 'œ',
  OE: 'Œ',
  ss: 'ß',
  '/o': 'ø',
  '/O': 'Ø',
  dh: 'ð',
  DH: 'Ð',
  th: 'þ',
  TH: 'Þ',
};

/** The text of a field, with escapes (`\%`, `\'e`, `\u00e9`) resolved and the white space at both ends gone. */
export function readText(text: string): string {
  return text
    .replace(/\\(u[0-9a-fA-F]{4}|[%&\\]|[`'^~"cuvrH,;=][A-Za-z]|\/[oO]|[A-Za-z]{2})/g, (whole, code: string) => {
      if (code.length === 5) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
      if (code.length === 1) return code;
      const ligature = LIGATURES[code];
      if (ligature !== undefined) return ligature;
      const accent = ACCENTS[code[0]!];
      return accent === undefined ? whole : (code[1] + accent).normalize('NFC');
    })
    .trim();
}

/** A string as the content of a field: one line, and nothing in it that ABC would take for an escape or a comment. */
export function writeText(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: what a field cannot hold
      .replace(/[\u0000-\u001f\u007f\u0085\u2028\u2029]+/g, ' ')
      .replace(/[\\%&]/g, '\\$&')
      .trim()
  );
}

/** The line up to its comment, which a `%` begins that no backslash stands before. */
export function withoutComment(line: string): string {
  const match = /(?<!\\)%/.exec(line);
  return match ? line.slice(0, match.index) : line;
}
