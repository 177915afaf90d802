import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { CfgDistillError, CheckpointError, ValueError } from '../../errors.ts';
import { isSystemError, systemFailure } from '../../files/failure.ts';
import { readBounded } from '../../files.ts';
import { AbcReader, type ReadAbcOptions } from './abc/read.ts';
import { JsonLinesReader } from './jsonl.ts';
import { LineSplitter } from './lines.ts';
import { MOST_MIDI_BYTES } from './midi/chunks.ts';
import { readMidi } from './midi/read.ts';
import type { TuneProblem, TunesRead } from './problem.ts';
import { splitOf, titleCluster } from './split.ts';
import type { Tune } from './tune.ts';
import { findTuneFiles, type TuneFile } from './tune-files.ts';
import { uniqueIds } from './unique-ids.ts';
import { unroll } from './unroll.ts';

export interface ReadTunesOptions extends Pick<ReadAbcOptions, 'accidentals'> {
  /** Play repeats and endings out, see {@link unroll}. Default: they stay as bar lines. */
  readonly unroll?: boolean;
  readonly signal?: AbortSignal;
  /** Called after each file. */
  readonly onProgress?: (progress: { files: number; done: number; tunes: number }) => void;
}

/** A tune that knows its part. */
export type SplitTune = Tune & { readonly split: 'train' | 'validation' };

/** The bytes of one file of text, unpacked: what stops a small file that unpacks without end. */
const MOST_TEXT_BYTES = 2 ** 33;

/**
 * Reads the tunes of a file, or of all files below a folder: ABC (.abc), Standard MIDI files (.mid, .midi) and labelled
 * tunes as JSON lines (.jsonl, .jsonl.gz). Files come in the order of their paths, so the result depends on nothing but
 * their content; text files are read as streams.
 *
 * A tune that cannot be read costs no other: it is told in `problems`. Ids are unique: those of JSON lines where they
 * state one; otherwise the file's path below the folder without its ending, followed, for ABC and JSON lines, by `#` and
 * the X: number or the line; what is there twice gets `~2`, `~3` …. Tunes without a stated split get one by
 * {@link splitOf} their cluster: as stated, else {@link titleCluster} of the title, else the id; for MIDI files the id.
 *
 * @param path a file or a folder
 * @throws ValueError when it is a file with another ending
 * @throws CheckpointError when it cannot be read, or holds no tune: the message has the first problem
 * @throws the signal's reason when it is aborted
 */
export async function readTunes(path: string, options: ReadTunesOptions = {}): Promise<TunesRead<SplitTune>> {
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  const files = await findTuneFiles(path, signal);
  const tunes: SplitTune[] = [];
  const problems: TuneProblem[] = [];
  const identify = uniqueIds('~');
  for (const [index, file] of files.entries()) {
    const read = await readFile(file, options);
    for (const problem of read.problems) problems.push(problem);
    for (const tune of read.tunes) {
      const id = identify(tune.id);
      const split = tune.split ?? splitOf(clusterOf(tune, file));
      const elements = options.unroll ? unrolled(tune, file, problems) : tune.elements;
      if (elements !== null) tunes.push({ ...tune, elements, id, split });
    }
    onProgress?.({ files: files.length, done: index + 1, tunes: tunes.length });
  }
  if (tunes.length === 0) {
    const lost = problems.find((problem) => problem.lost);
    const found = files.length === 0 ? 'no file that ends in .abc, .mid, .midi, .jsonl or .jsonl.gz' : 'none';
    throw new CheckpointError(`${path}: expected tunes, got ${found}${lost ? `; ${lost.message}` : ''}`, path);
  }
  return { tunes, problems };
}

/** The tune with its repeats played out; null, and a problem, where that is longer than any tune. */
function unrolled(tune: Tune, { path }: TuneFile, problems: TuneProblem[]): Tune['elements'] | null {
  try {
    return unroll(tune).elements;
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    problems.push({ file: path, message: `${path}: tune ${tune.id}: ${error.message}`, lost: true });
    return null;
  }
}

function clusterOf(tune: Tune, file: TuneFile): string {
  // Names of MIDI tracks say "Melody" or "Track 1" as often as a title.
  return (file.format === 'midi' ? '' : titleCluster(tune.title)) || tune.id;
}

async function readFile(file: TuneFile, options: ReadTunesOptions): Promise<TunesRead<Tune>> {
  const { path, stem, format } = file;
  const { signal, accidentals } = options;
  try {
    if (format === 'midi') {
      const bytes = await readBounded(path, MOST_MIDI_BYTES, 'a MIDI file');
      signal?.throwIfAborted();
      return { tunes: [await readMidi(bytes, { source: path, id: stem })], problems: [] };
    }
    if (format === 'abc') {
      const reader = new AbcReader({ source: path, ...(accidentals === undefined ? {} : { accidentals }) });
      const problems = await readLines(file, reader, signal);
      return { tunes: reader.tunes.map((tune) => ({ ...tune, id: `${stem}#${tune.id}` })), problems };
    }
    const reader = new JsonLinesReader(path, `${stem}#`);
    return { tunes: reader.tunes, problems: await readLines(file, reader, signal) };
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof CfgDistillError) || error.argument === 'accidentals') throw error;
    return { tunes: [], problems: [{ file: path, message: error.message, lost: true }] };
  }
}

/** Feeds a file's lines to a reader; tunes before the place where the file cannot be read further are kept. */
async function readLines(
  { path, format }: TuneFile,
  reader: AbcReader | JsonLinesReader,
  signal: AbortSignal | undefined,
): Promise<TuneProblem[]> {
  const splitter = new LineSplitter((line) => reader.push(line));
  const sink = async (chunks: AsyncIterable<Uint8Array>): Promise<void> => {
    let bytes = 0;
    for await (const chunk of chunks) {
      bytes += chunk.length;
      if (bytes > MOST_TEXT_BYTES) {
        throw new CheckpointError(`${path}: expected at most ${MOST_TEXT_BYTES} bytes of text, got more`, path);
      }
      splitter.push(chunk);
    }
  };
  const file = createReadStream(path);
  try {
    if (format === 'jsonl.gz') await pipeline(file, createGunzip(), sink, { signal });
    else await pipeline(file, sink, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    const failure = readFailure(path, error);
    return [...reader.problems, { file: path, message: failure.message, lost: true }];
  }
  splitter.end();
  reader.end();
  return reader.problems;
}

/** What the system, gzip or this reader says about a file. */
function readFailure(path: string, error: unknown): CfgDistillError {
  if (error instanceof CfgDistillError) return error;
  if (error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')) {
    return new CheckpointError(`${path}: expected gzip data: ${error.message}`, path, { cause: error });
  }
  if (isSystemError(error)) return systemFailure(path, 'read', error);
  throw error;
}
