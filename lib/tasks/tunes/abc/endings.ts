import { type AbcBar, MOST_PASSES } from './bars.ts';

/** A tune's content while it is read: notes of any kind, and bar lines. */
export type Entry<N> = N | AbcBar;

export function isBar<N extends object>(entry: Entry<N>): entry is AbcBar {
  return 'passes' in entry;
}

/**
 * Writes out endings that serve several passes, `[1,3 … :|[2 …`, so that every ending serves one, in the order they are
 * played. Endings that already do stay as they are.
 *
 * @param most entries of the result; null is returned when it would have more
 */
export function separateEndings<N extends object>(entries: readonly Entry<N>[], most: number): Entry<N>[] | null {
  const result: Entry<N>[] = [];
  for (let index = 0; index < entries.length; ) {
    const group = endingsFrom(entries, index);
    if (!group) {
      result.push(entries[index++]!);
      continue;
    }
    index = group.end;
    const { endings } = group;
    if (endings.every(({ bar }) => bar.passes.length === 1)) {
      for (const { bar, body } of endings) pushAll(result, [bar, ...body]);
    } else {
      const first = endings[0]!.bar;
      let played = 0;
      for (let pass = 1; pass <= MOST_PASSES; pass++) {
        const ending = endings.find(({ bar }) => bar.passes.includes(pass));
        if (!ending) continue;
        const bar = played++ === 0 ? { ...first, passes: [1] } : { ...REPEATED, passes: [played] };
        pushAll(result, [bar, ...ending.body]);
        if (result.length > most) return null;
      }
    }
  }
  return result.length > most ? null : result;
}

const REPEATED = { end: true, start: false, double: false };

function pushAll<T>(target: T[], values: readonly T[]): void {
  for (const value of values) target.push(value);
}

/** The endings that begin at `index`: each up to the next one, the last up to the next bar line that is not plain. */
function endingsFrom<N extends object>(
  entries: readonly Entry<N>[],
  index: number,
): { endings: { bar: AbcBar; body: Entry<N>[] }[]; end: number } | null {
  const first = entries[index]!;
  if (!isBar(first) || first.passes.length === 0) return null;
  const endings: { bar: AbcBar; body: Entry<N>[] }[] = [{ bar: first, body: [] }];
  let at = index + 1;
  for (; at < entries.length; at++) {
    const entry = entries[at]!;
    if (isBar(entry)) {
      if (entry.passes.length > 0) {
        if (entry.passes.includes(1)) break;
        endings.push({ bar: entry, body: [] });
        continue;
      }
      if (entry.end || entry.start || entry.double) break;
    }
    endings.at(-1)!.body.push(entry);
  }
  return { endings, end: at };
}
