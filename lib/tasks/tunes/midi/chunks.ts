import { ValueError } from '../../../errors.ts';

/** The bytes of a MIDI file; melodies need a few thousand. */
export const MOST_MIDI_BYTES = 4 * 2 ** 20;

/**
 * Checks the outer form of a Standard MIDI file, and leaves out the chunks that are neither header nor track, as the
 * standard asks of readers.
 *
 * @throws ValueError naming the source
 */
export function checkedChunks(bytes: Uint8Array, source: string): Uint8Array {
  const refuse = (expected: string, got: string): never => {
    throw new ValueError(`${source}: expected ${expected}, got ${got}`, source);
  };
  if (bytes.length > MOST_MIDI_BYTES) refuse(`a MIDI file of at most ${MOST_MIDI_BYTES} bytes`, `${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 14 || nameAt(bytes, 0) !== 'MThd' || view.getUint32(4) < 6) {
    refuse('a Standard MIDI file, which begins with MThd', JSON.stringify(nameAt(bytes, 0)));
  }
  const format = view.getUint16(8);
  if (format > 1) refuse('MIDI format 0 or 1', `format ${format}`);
  const division = view.getInt16(12);
  if (division < 1)
    refuse('time counted in parts of a quarter note', division === 0 ? '0 parts' : 'frames of a second');

  const tracks: Uint8Array[] = [];
  for (let at = 8 + view.getUint32(4); at < bytes.length; ) {
    if (at + 8 > bytes.length) refuse('a whole chunk', `${bytes.length - at} bytes at byte ${at}`);
    const end = at + 8 + view.getUint32(at + 4);
    if (end > bytes.length) refuse(`a chunk of ${end - at} bytes at byte ${at}`, `${bytes.length - at}`);
    if (nameAt(bytes, at) === 'MTrk') tracks.push(bytes.subarray(at, end));
    at = end;
  }
  if (tracks.length === 0 || tracks.length > 65_535) refuse('1 to 65535 tracks', `${tracks.length}`);
  const size = tracks.reduce((total, track) => total + track.length, 14);
  const clean = new Uint8Array(size);
  clean.set(bytes.subarray(0, 14));
  const header = new DataView(clean.buffer);
  header.setUint32(4, 6);
  header.setUint16(10, tracks.length);
  let at = 14;
  for (const track of tracks) {
    clean.set(track, at);
    at += track.length;
  }
  return clean;
}

function nameAt(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}
