import { digestOfTunes } from '../../tasks/tunes/digest.ts';
import { withHeldOut } from '../../tasks/tunes/held-out.ts';
import { readTunes, type SplitTune } from '../../tasks/tunes/read-tunes.ts';
import type { TaskData } from './task.ts';

export interface TuneData {
  tunes: readonly SplitTune[];
  data: TaskData;
  /** How many tunes were held out although their own split did not say so, because there are few; null where it served. */
  chosen: number | null;
}

/**
 * The tunes of a file or folder, some of them held out.
 *
 * Rejects as `readTunes` does when nothing can be read.
 */
export async function readTuneData(path: string, signal: AbortSignal | undefined): Promise<TuneData> {
  const { tunes: read, problems } = await readTunes(path, { ...(signal && { signal }) });
  const { tunes, heldOut: chosen } = withHeldOut(read);
  const data = {
    path,
    digest: digestOfTunes(tunes),
    items: tunes.length,
    heldOut: tunes.filter(({ split }) => split === 'validation').length,
    problems: problems.map(({ message }) => message),
    lost: problems.filter(({ lost }) => lost).length,
  };
  return { tunes, data, chosen };
}
