import Table from 'cli-table3';

/** A number with about three significant digits. */
export function figure(value) {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString('en');
  return value.toFixed(size >= 10 ? 1 : 2);
}

/** A median with its range. */
export function ranged({ median, min, max }) {
  return `${figure(median)} (${figure(min)} – ${figure(max)})`;
}

/** Seconds in a unit that suits them. */
export function duration(seconds) {
  if (seconds < 1e-3) return `${figure(seconds * 1e6)} µs`;
  return seconds < 1 ? `${figure(seconds * 1e3)} ms` : `${figure(seconds)} s`;
}

/**
 * @param {readonly string[]} head
 * @param {readonly (readonly (string | number)[])[]} rows
 * @param {number} [texts] how many of the first columns are text, the others being figures
 */
export function table(head, rows, texts = 1) {
  const lines = new Table({
    head: [...head],
    colAligns: head.map((_, i) => (i < texts ? 'left' : 'right')),
    style: { head: [], border: [], compact: true },
  });
  lines.push(...rows.map((row) => row.map(String)));
  return lines.toString();
}
