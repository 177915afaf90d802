/**
 * Makes ids unique: the first to come with an id keeps it, the next gets a mark and 2, then 3 and so on.
 *
 * @param mark what stands between an id and its number
 */
export function uniqueIds(mark: string): (id: string) => string {
  /** Of each id, the number that the next to come with it gets. */
  const next = new Map<string, number>();
  return (id) => {
    let unique = id;
    let number = next.get(id) ?? 1;
    // An id may be what another was made into.
    while (number > 1 && next.has(unique)) unique = `${id}${mark}${number++}`;
    next.set(id, Math.max(number, 2));
    if (unique !== id) next.set(unique, 2);
    return unique;
  };
}
