import { ValueError } from '../errors.ts';

/**
 * Whether names fit a pattern as a whole: `*` any characters (dots too), `?` one, `[a-z]` one of them, `[!a-z]` one not
 * of them, `{a,b}` one of the alternatives; all else stands for itself.
 *
 * @param argument what errors call the pattern
 * @throws ValueError for brackets or braces without their end, and ranges that run backwards
 */
export function globMatcher(pattern: string, argument: string): (name: string) => boolean {
  const refuse = (why: string): never => {
    throw new ValueError(`${argument}: ${why} in the pattern ${JSON.stringify(pattern)}`, argument);
  };
  let source = '';
  let open = 0;
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] as string;
    if (char === '*') source += '.*';
    else if (char === '?') source += '.';
    else if (char === '{' && ++open) source += '(?:';
    else if (char === '}' && open > 0 && open--) source += ')';
    else if (char === ',' && open > 0) source += '|';
    else if (char === '[') {
      const end = pattern.indexOf(']', at + (pattern[at + 1] === '!' ? 3 : 2));
      if (end < 0) refuse("expected a ']' after '['");
      source += characterClass(pattern.slice(at + 1, end));
      at = end;
    } else source += char.replace(/[\\^$.|+()\]}]/, '\\$&');
  }
  if (open > 0) refuse("expected a '}' after '{'");
  try {
    const expression = new RegExp(`^(?:${source})$`, 's');
    return (name) => expression.test(name);
  } catch {
    return refuse('expected ranges that run forwards');
  }
}

function characterClass(content: string): string {
  const negated = content.startsWith('!');
  return `[${negated ? '^' : ''}${content.slice(negated ? 1 : 0).replace(/[\\\]^[]/g, '\\$&')}]`;
}
