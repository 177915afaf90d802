import type { MidiEvent } from 'midi-file';
import { ValueError } from '../../../errors.ts';
import { checkNote } from '../check.ts';
import { signatureOf } from '../keys.ts';
import { barTicks, parseMeter } from '../meter.ts';
import { type Mode, TICKS_PER_WHOLE, type Tune } from '../tune.ts';
import { unroll } from '../unroll.ts';

export interface WriteMidiOptions {
  /** The instrument by its General MIDI number, 0 to 127. Default 73, a flute. */
  readonly program?: number;
  /** Quarter notes a minute, above 4 and up to 1000. Default: what the tune's tempo says in beats, otherwise 120. */
  readonly quartersPerMinute?: number;
  /** How hard notes are struck, 1 to 127. Default 90. */
  readonly velocity?: number;
  /** Whether repeats are played. Default true. */
  readonly repeats?: boolean;
}

const TICKS_PER_QUARTER = 480;
const SCALE = TICKS_PER_QUARTER / (TICKS_PER_WHOLE / 4);
const MINOR_MODES: readonly Mode[] = ['minor', 'dorian', 'phrygian', 'locrian'];

function inRange(value: number, argument: string, least: number, most: number, integer: boolean): number {
  if (!(value >= least && value <= most && (!integer || Number.isInteger(value)))) {
    throw new ValueError(
      `${argument}: expected ${integer ? 'an integer' : 'a number'} in ${least} to ${most}, got ${value}`,
      argument,
    );
  }
  return value;
}

/** Text as the file holds it: UTF-8, one character for each byte. */
function bytesOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** Quarter notes a minute of a tempo as '3/8=100'; undefined for words. */
function quarters(tempo: string | undefined): number | undefined {
  const match = /^(\d+)\/(\d+)=(\d+(?:\.\d+)?)$/.exec(tempo ?? '');
  if (!match) return undefined;
  const value = (4 * Number(match[1]) * Number(match[3])) / Number(match[2]);
  return value >= 4 && value <= 1000 ? value : undefined;
}

function headerEvents(tune: Tune, quartersPerMinute: number, program: number): MidiEvent[] {
  const meter = parseMeter(tune.meter);
  const signature = signatureOf(tune.key, tune.mode);
  const texts: [string, string][] = [
    ['type', tune.type],
    ['key', `${tune.key} ${tune.mode}`],
    ['composer', tune.composer ?? ''],
  ];
  const events: MidiEvent[] = [
    { deltaTime: 0, meta: true, type: 'trackName', text: bytesOf(tune.title) },
    { deltaTime: 0, meta: true, type: 'setTempo', microsecondsPerBeat: Math.round(60e6 / quartersPerMinute) },
  ];
  for (const [label, text] of texts) {
    if (text !== '') events.push({ deltaTime: 0, meta: true, type: 'text', text: bytesOf(`${label}: ${text}`) });
  }
  if (meter) {
    events.push({ deltaTime: 0, meta: true, type: 'timeSignature', ...meter, metronome: 24, thirtyseconds: 8 });
  }
  // Signatures of more than seven cannot be said; the text event still names the key.
  if (Math.abs(signature) <= 7) {
    const scale = MINOR_MODES.includes(tune.mode) ? 1 : 0;
    events.push({ deltaTime: 0, meta: true, type: 'keySignature', key: signature, scale });
  }
  events.push({ deltaTime: 0, channel: 0, type: 'programChange', programNumber: program });
  return events;
}

/** The silence that lets an upbeat end where the first full bar begins. */
function upbeatRest(tune: Tune): number {
  const full = barTicks(tune.meter);
  let first = 0;
  for (const element of tune.elements) {
    if (element.kind === 'bar') {
      if (first > 0) return full !== null && first < full ? full - first : 0;
    } else first += element.ticks;
  }
  return 0;
}

/**
 * Writes a tune as a Standard MIDI file of one track (format 0, 480 ticks a quarter note): name, tempo, time and key
 * signature, instrument, then the notes, tied ones as one. Repeats are played out unless `repeats` is false. An upbeat
 * follows the silence of the rest of its bar.
 *
 * @throws ValueError for an option out of range, or a tune with a key, metre, pitch or duration that is none
 */
export async function writeMidi(tune: Tune, options: WriteMidiOptions = {}): Promise<Uint8Array> {
  const program = inRange(options.program ?? 73, 'program', 0, 127, true);
  const velocity = inRange(options.velocity ?? 90, 'velocity', 1, 127, true);
  const tempo = options.quartersPerMinute ?? quarters(tune.tempo) ?? 120;
  inRange(tempo, 'quartersPerMinute', 4, 1000, false);
  for (const [index, element] of tune.elements.entries()) if (element.kind === 'note') checkNote(element, index);
  const played = options.repeats === false ? tune : unroll(tune);
  const events = headerEvents(tune, tempo, program);
  let silence = Math.round(upbeatRest(played) * SCALE);
  let held: { pitch: number; ticks: number } | null = null;
  for (const element of played.elements) {
    if (element.kind === 'bar') continue;
    const { pitch, ticks, tied } = element;
    if (pitch === null) {
      silence += ticks * SCALE;
      continue;
    }
    const total: number = ticks * SCALE + (held?.ticks ?? 0);
    if (tied) {
      held = { pitch, ticks: total };
      continue;
    }
    held = null;
    events.push({ deltaTime: silence, channel: 0, type: 'noteOn', noteNumber: pitch, velocity });
    events.push({ deltaTime: total, channel: 0, type: 'noteOff', noteNumber: pitch, velocity: 64 });
    silence = 0;
  }
  events.push({ deltaTime: silence, meta: true, type: 'endOfTrack' });
  const library = (await import('midi-file')).default;
  const header = { format: 0, numTracks: 1, ticksPerBeat: TICKS_PER_QUARTER } as const;
  return Uint8Array.from(library.writeMidi({ header, tracks: [events] }));
}
