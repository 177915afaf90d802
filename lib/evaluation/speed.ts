/**
 * Tokens per second of several runs, each the median over rounds in which all run in turn, so that drift of the machine
 * hits all.
 *
 * @param runs each returns how many tokens it made
 * @param onRun called after each run, with its index
 */
export async function measureSpeeds(
  runs: readonly (() => Promise<number>)[],
  rounds: number,
  onRun: (run: number) => void,
): Promise<number[]> {
  const speeds = runs.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [r, run] of runs.entries()) {
      const begin = performance.now();
      const tokens = await run();
      speeds[r]!.push(tokens / ((performance.now() - begin) / 1000));
      onRun(r);
    }
  }
  return speeds.map(median);
}

/** 0 for none. */
function median(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
