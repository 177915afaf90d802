import { digestOfTunes } from '../../tasks/tunes/digest.ts';
import { withHeldOut } from '../../tasks/tunes/held-out.ts';
import { readTunes, type SplitTune } from '../../tasks/tunes/read-tunes.ts';

/** Tunes as an experiment takes them, and what is to be said of them. */
export interface TuneData {
  tunes: readonly SplitTune[];
  /** Of what models learn from them. */
  digest: string;
  notes: string[];
}

/**
 * The tunes of a file or folder, some of them held out.
 *
 * Rejects as `readTunes` does when nothing can be read, with ValueError for fewer tunes than can be split.
 */
export async function readTuneData(path: string, signal: AbortSignal): Promise<TuneData> {
  const read = await readTunes(path, { signal });
  const { tunes, heldOut } = withHeldOut(read.tunes);
  const [first] = read.problems;
  return {
    tunes,
    digest: digestOfTunes(tunes),
    notes: [
      ...(first ? [`Reading the tunes gave ${read.problems.length} remarks; the first: ${first.message}`] : []),
      ...(heldOut === null
        ? []
        : [
            `The collection is small: of its ${tunes.length} tunes, ${heldOut} were held out, whatever split they had.`,
          ]),
    ],
  };
}
