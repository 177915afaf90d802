import type { Bar, Note } from './tune.ts';

/** The same with no tie that leads to another pitch, or to none: there it ends. */
export function endTies(elements: readonly (Note | Bar)[]): (Note | Bar)[] {
  let next: number | null = null;
  return elements
    .toReversed()
    .map((element) => {
      if (element.kind === 'bar') return element;
      const tied: boolean = element.tied && element.pitch === next;
      next = element.pitch;
      return tied === element.tied ? element : { ...element, tied };
    })
    .toReversed();
}
