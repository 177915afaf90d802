import { ValueError } from '../../../errors.ts';
import { tonicFifths, tonicUnder } from '../keys.ts';
import { MODES, type Mode, type Tune, type TuneLabels } from '../tune.ts';
import { checkedChunks } from './chunks.ts';
import { melodyPart, quantise, toElements } from './melody.ts';
import { layOut, type Timeline } from './timeline.ts';

export interface ReadMidiOptions {
  /** What messages call the file. Default 'midi'. */
  readonly source?: string;
  /** Default '1'. */
  readonly id?: string;
}

/**
 * Reads the melody of a Standard MIDI file (format 0 or 1).
 *
 * The melody is the channel of a track that has the most notes of those with one voice; see {@link melodyPart}. Where
 * notes sound together the highest counts, and a note ends where the next begins. Times go to the nearest 32nd or
 * triplet 16th; see {@link quantise}. Bar lines follow the time signatures (without one there are none, and `meter` is
 * ''); silence before the melody is left out, so that an upbeat stays one. Labels come from the first track name, time
 * signature, key signature and tempo (as '1/4=120'), and from text events `type: …`, `key: D dorian` and
 * `composer: …`, as `writeMidi` writes them. Without a key signature the key is C major.
 *
 * @throws ValueError when the bytes are no such file, are damaged, more than 4 MiB, or hold no note with a pitch
 */
export async function readMidi(bytes: Uint8Array, options: ReadMidiOptions = {}): Promise<Tune> {
  const { source = 'midi', id = '1' } = options;
  const refuse = (message: string, cause?: unknown): never => {
    throw new ValueError(`${source}: ${message}`, source, { cause });
  };
  const clean = checkedChunks(bytes, source);
  const { parseMidi } = (await import('midi-file')).default;
  let timeline: Timeline | string;
  const ticksPerQuarter = new DataView(clean.buffer).getUint16(12);
  try {
    timeline = layOut(parseMidi(clean));
  } catch (error) {
    // The parser throws strings, and what reading past an end leads to.
    return refuse(`expected a Standard MIDI file: ${error instanceof Error ? error.message : String(error)}`, error);
  }
  if (typeof timeline === 'string') return refuse(timeline);
  const part = melodyPart(timeline.parts);
  if (!part) return refuse('expected notes on a channel other than 10 (percussion), got none');
  const elements = toElements(quantise(part.notes, ticksPerQuarter), timeline.meters, ticksPerQuarter);
  if (typeof elements === 'string') return refuse(elements);
  const first = part.notes.reduce((least, { start }) => Math.min(least, start), Number.POSITIVE_INFINITY);
  const composer = labelled(timeline, 'composer');
  const tune = { id, title: timeline.title, ...labels(timeline, first), elements };
  return composer === '' ? tune : { ...tune, composer };
}

/** @param first the file's ticks where the melody begins */
function labels(timeline: Timeline, first: number): TuneLabels {
  const { meters, tempo, key } = timeline;
  const meter = meters.findLast(({ at }) => at <= first) ?? meters[0];
  const mode: Mode = key?.minor ? 'minor' : 'major';
  const [, tonic, named] = /^([A-G][#b]?) ([a-z]+)$/.exec(labelled(timeline, 'key')) ?? [];
  const given = tonic !== undefined && (MODES as readonly string[]).includes(named!);
  return {
    type: labelled(timeline, 'type').toLowerCase(),
    meter: meter ? `${meter.numerator}/${meter.denominator}` : '',
    ...(given ? { key: tonic, mode: named as Mode } : { key: tonicName(key?.signature ?? 0, mode), mode }),
    ...(tempo === undefined ? {} : { tempo: `1/4=${Math.round(60e9 / tempo) / 1000}` }),
  };
}

function tonicName(signature: number, mode: Mode): string {
  const name = tonicUnder(signature, mode);
  // Signatures of up to seven give tonics of one accidental at most; the check keeps that true.
  tonicFifths(name);
  return name;
}

function labelled({ texts }: Timeline, label: string): string {
  const text = texts.find((candidate) => candidate.startsWith(`${label}: `));
  return text?.slice(label.length + 2).trim() ?? '';
}
