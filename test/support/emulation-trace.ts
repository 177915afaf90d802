import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What the emulated device was asked for, by kind. */
export interface Submissions {
  kernel: number;
  copy: number;
  graph: number;
  event: number;
  wait: number;
}

/** Counts what `body` puts into the emulated device's streams; it must wait for all of it. */
export async function submissionsOf(body: () => Promise<void>): Promise<Submissions> {
  const folder = mkdtempSync(join(tmpdir(), 'cfgdistill-trace-'));
  const file = join(folder, 'trace');
  writeFileSync(file, '');
  process.env.CFGDISTILL_EMULATION_TRACE = file;
  try {
    await body();
    const counts: Submissions = { kernel: 0, copy: 0, graph: 0, event: 0, wait: 0 };
    for (const word of readFileSync(file, 'utf8').split('\n')) if (word in counts) counts[word as keyof Submissions]++;
    return counts;
  } finally {
    delete process.env.CFGDISTILL_EMULATION_TRACE;
    rmSync(folder, { recursive: true, force: true });
  }
}
