import { BAR_LINES, type Bar, type BarLine, type Note } from './tune.ts';

const NOTE = /^(?:R|(\d{1,3})):(\d{1,4})(-?)$/;

/** The text of a note or bar line: "67:12", "67:12-" where it is tied to the next, "R:24" for a rest, "|:". */
export function elementText(element: Note | Bar): string {
  if (element.kind === 'bar') return element.line;
  return `${element.pitch ?? 'R'}:${element.ticks}${element.tied ? '-' : ''}`;
}

/** The note or bar line of a text; undefined for any other text. A rest may come out tied, which means nothing. */
export function parseElement(text: string): Note | Bar | undefined {
  if ((BAR_LINES as readonly string[]).includes(text)) return { kind: 'bar', line: text as BarLine };
  const match = NOTE.exec(text);
  if (match === null) return undefined;
  const pitch = match[1] === undefined ? null : Number(match[1]);
  const ticks = Number(match[2]);
  return (pitch ?? 0) > 127 || ticks < 1 ? undefined : { kind: 'note', pitch, ticks, tied: match[3] === '-' };
}
