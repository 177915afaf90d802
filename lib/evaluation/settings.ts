/** A setting that two runs do not share; values are written as JSON. */
export interface SettingDifference {
  /** With dots: `embedder.digest`. */
  name: string;
  there: string;
  here: string;
}

/** Where two pieces of plain data differ, leaf by leaf, in the order of the names. */
export function differencesOf(there: unknown, here: unknown): SettingDifference[] {
  const [a, b] = [leavesOf(there), leavesOf(here)];
  const names = [...new Set([...a.keys(), ...b.keys()])].sort();
  return names.flatMap((name) => {
    const [own, other] = [a.get(name) ?? 'none', b.get(name) ?? 'none'];
    return own === other ? [] : [{ name, there: own, here: other }];
  });
}

/** Lists are leaves: a list that is one longer would otherwise differ everywhere. */
function leavesOf(value: unknown, name = ''): Map<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return value === undefined ? new Map() : new Map([[name || 'settings', JSON.stringify(value)]]);
  }
  const entries = Object.entries(value);
  if (entries.length === 0 && name) return new Map([[name, '{}']]);
  return new Map(entries.flatMap(([key, own]) => [...leavesOf(own, name ? `${name}.${key}` : key)]));
}
