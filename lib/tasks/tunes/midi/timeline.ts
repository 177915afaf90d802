import type { MidiData } from 'midi-file';

/** A note of a MIDI file, in the file's own ticks from its begin. */
export interface TimedNote {
  readonly pitch: number;
  readonly start: number;
  end: number;
}

/** What one channel of one track plays. */
export interface Part {
  readonly track: number;
  readonly channel: number;
  readonly notes: TimedNote[];
}

export interface Timeline {
  readonly parts: Part[];
  readonly title: string;
  /** What text events say, as `type: jig`. */
  readonly texts: readonly string[];
  /** Microseconds for a quarter note, where the file says. */
  readonly tempo: number | undefined;
  readonly key: { readonly signature: number; readonly minor: boolean } | undefined;
  /** In the order of time; `at` in the file's ticks. */
  readonly meters: readonly { readonly at: number; readonly numerator: number; readonly denominator: number }[];
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** Text of a file, one character for each byte, as UTF-8 where it is that. */
function decodeText(bytes: string): string {
  let text = bytes;
  try {
    text = UTF8.decode(Uint8Array.from(bytes, (character) => character.charCodeAt(0)));
  } catch {
    // Latin-1 then, which it already is.
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what a title cannot hold
  return text.replace(/[\u0000-\u001f\u007f]+/g, ' ').trim();
}

/** The channel of percussion, whose notes have no pitch. */
const PERCUSSION = 9;
/** Labels stand at the begin. */
const MOST_TEXTS = 64;

/**
 * Lays the tracks' events out in time. A note lasts until its note-off (or note-on of velocity 0), the next note-on of
 * its pitch, or its track's end.
 *
 * @returns a message when an event is damaged
 */
export function layOut({ tracks }: MidiData): Timeline | string {
  const parts: Part[] = [];
  const meters: { at: number; numerator: number; denominator: number }[] = [];
  const texts: string[] = [];
  let title = '';
  let tempo: number | undefined;
  let key: Timeline['key'];
  for (const [track, events] of tracks.entries()) {
    const channels = new Map<number, Part>();
    const sounding = new Map<number, TimedNote>();
    let now = 0;
    for (const event of events) {
      if (!Number.isInteger(event.deltaTime) || event.deltaTime < 0 || event.deltaTime > 0x0fffffff) {
        return `expected a time of at most four bytes in track ${track + 1}, got ${event.deltaTime}`;
      }
      now += event.deltaTime;
      if (event.type === 'endOfTrack') break;
      if (event.type === 'trackName' && title === '') title = decodeText(event.text);
      if (event.type === 'text' && texts.length < MOST_TEXTS) texts.push(decodeText(event.text));
      if (event.type === 'setTempo' && event.microsecondsPerBeat > 0) tempo ??= event.microsecondsPerBeat;
      if (event.type === 'keySignature' && Math.abs(event.key) <= 7) {
        key ??= { signature: event.key, minor: event.scale === 1 };
      }
      if (event.type === 'timeSignature') {
        const { numerator, denominator } = event;
        if (!(numerator >= 1 && numerator <= 99 && denominator >= 1 && denominator <= 64)) {
          return `expected a metre of 1 to 99 over 1 to 64 in track ${track + 1}, got ${numerator}/${denominator}`;
        }
        meters.push({ at: now, numerator, denominator });
      }
      if (event.type !== 'noteOn' && event.type !== 'noteOff') continue;
      const { channel, noteNumber, velocity } = event;
      if (!(noteNumber >= 0 && noteNumber <= 127 && velocity >= 0 && velocity <= 127)) {
        return `expected a note and a velocity of 0 to 127 in track ${track + 1}, got ${noteNumber} and ${velocity}`;
      }
      if (channel === PERCUSSION) continue;
      const voice = channel * 128 + noteNumber;
      const held = sounding.get(voice);
      if (held) held.end = now;
      sounding.delete(voice);
      if (event.type === 'noteOff') continue;
      let part = channels.get(channel);
      if (!part) {
        part = { track, channel, notes: [] };
        channels.set(channel, part);
        parts.push(part);
      }
      const note = { pitch: noteNumber, start: now, end: now };
      part.notes.push(note);
      sounding.set(voice, note);
    }
    for (const note of sounding.values()) note.end = now;
  }
  meters.sort((a, b) => a.at - b.at);
  return { parts, title, texts, tempo, key, meters };
}
