import { describe, expect, it } from 'vitest';
import { Random } from '../../lib/random.ts';
import { readMidi } from '../../lib/tasks/tunes/midi/read.ts';
import { writeMidi } from '../../lib/tasks/tunes/midi/write.ts';
import type { Tune } from '../../lib/tasks/tunes/tune.ts';
import { show, tuneOf } from './scene.ts';

const chunk = (name: string, bytes: number[]) => {
  const length = [bytes.length >>> 24, bytes.length >>> 16, bytes.length >>> 8, bytes.length].map((b) => b & 255);
  return [...Buffer.from(name), ...length, ...bytes];
};
const header = (format: number, tracks: number, division: number) =>
  chunk('MThd', [0, format, 0, tracks, (division >> 8) & 255, division & 255]);
const END = [0, 0xff, 0x2f, 0];
const track = (...events: number[][]) => chunk('MTrk', [...events.flat(), ...END]);
const file = (division: number, ...tracks: number[][]) =>
  Uint8Array.from([...header(tracks.length > 1 ? 1 : 0, tracks.length, division), ...tracks.flat()]);
/** A time of one to four bytes, seven bits each. */
const time = (ticks: number): number[] => {
  const bytes = [ticks & 127];
  for (let rest = ticks >> 7; rest > 0; rest >>= 7) bytes.unshift((rest & 127) | 128);
  return bytes;
};
const on = (wait: number, pitch: number, channel = 0) => [...time(wait), 0x90 | channel, pitch, 80];
const off = (wait: number, pitch: number, channel = 0) => [...time(wait), 0x80 | channel, pitch, 0];
const meter = (wait: number, numerator: number, power: number) => [
  ...time(wait),
  0xff,
  0x58,
  4,
  numerator,
  power,
  24,
  8,
];
const text = (kind: number, content: string) => [0, 0xff, kind, Buffer.byteLength(content), ...Buffer.from(content)];

describe('reading MIDI', () => {
  it('understands running status, and note-on of velocity 0 as note-off', async () => {
    const events = [
      [0, 0x90, 60, 80],
      [96, 60, 0],
      [0, 62, 80],
      [48, 62, 0],
      [48, 64, 80],
      [96, 64, 0],
    ];
    expect(show(await readMidi(file(96, track(...events))))).toBe('60:24 62:12 R:12 64:24');
  });

  it('reads labels, from whichever track has them', async () => {
    const labels = track(
      text(3, 'The Títle'),
      [0, 0xff, 0x51, 3, 0x07, 0xa1, 0x20],
      [0, 0xff, 0x59, 2, 0xfe, 1],
      meter(0, 6, 3),
      text(1, 'type: Jig'),
      text(1, 'composer: A. N. Other'),
    );
    const notes = track(...[60, 62, 63, 65, 67, 68, 70].flatMap((pitch) => [on(0, pitch), off(240, pitch)]));
    const tune = await readMidi(file(480, labels, notes), { id: 'x' });
    expect(tune).toMatchObject({
      id: 'x',
      title: 'The Títle',
      type: 'jig',
      meter: '6/8',
      key: 'G',
      mode: 'minor',
      tempo: '1/4=120',
      composer: 'A. N. Other',
    });
    expect(show(tune)).toBe('60:12 62:12 63:12 65:12 67:12 68:12 | 70:12 |');
  });

  it('has no bars and no tempo where the file has none', async () => {
    const tune = await readMidi(file(24, track(on(0, 60), off(24, 60))));
    expect(tune).toEqual({ ...tuneOf('60:24') });
  });

  it('takes the part of one voice with most notes, and no percussion', async () => {
    const scale = [60, 62, 64, 65];
    const melody = scale.flatMap((pitch) => [on(0, pitch, 3), off(96, pitch, 3)]);
    const chords = scale.flatMap((p) => [on(0, p - 12), on(0, p - 8), off(96, p - 12), off(0, p - 8)]);
    const drums = Array.from({ length: 20 }, () => [on(0, 36, 9), off(10, 36, 9)]).flat();
    const few = [on(0, 40, 5), off(96, 40, 5)];
    const tune = await readMidi(file(96, track(...drums), track(...chords), track(...few), track(...melody)));
    expect(show(tune)).toBe('60:24 62:24 64:24 65:24');
    await expect(readMidi(file(96, track(...drums)))).rejects.toThrow(
      'midi: expected notes on a channel other than 10',
    );
  });

  it('takes the highest of notes that begin together, and ends a note where the next begins', async () => {
    const tune = await readMidi(
      file(
        96,
        track(
          on(0, 60),
          on(0, 67),
          on(0, 64),
          off(96, 60),
          off(0, 64),
          off(0, 67),
          on(0, 65),
          on(48, 69),
          off(48, 65),
          off(48, 69),
        ),
      ),
    );
    expect(show(tune)).toBe('67:24 65:12 69:24');
  });

  it('moves times to 32nds and triplet 16ths', async () => {
    const played = [0, 5, -7, 3, 0, -4].map((late, index) => 120 * index + late + 10);
    const events = played.flatMap((at, index) => [
      on(at - (played[index - 1] ?? 0) - (index > 0 ? 100 : 0), 60 + index),
      off(100, 60 + index),
    ]);
    expect(show(await readMidi(file(480, track(...events))))).toBe('60:6 61:6 62:6 63:6 64:6 65:6');
    const triplets = [60, 62, 64].flatMap((pitch) => [on(0, pitch), off(160, pitch)]);
    expect(show(await readMidi(file(480, track(...triplets, on(0, 65), off(480, 65)))))).toBe('60:8 62:8 64:8 65:24');
  });

  it('ties notes over bar lines, and follows changes of metre', async () => {
    const events = [
      meter(0, 2, 2),
      on(0, 60),
      off(72, 60),
      on(0, 62),
      off(48, 62),
      [...time(0), ...meter(0, 3, 2).slice(1)],
    ];
    const tune = await readMidi(file(24, track(...events, on(0, 64), off(24, 64))));
    expect(show(tune)).toBe('60:48- | 60:24 62:24- | 62:24 | 64:24 |');
  });

  it('leaves out chunks that it does not know, and silence before the melody', async () => {
    const known = track(meter(0, 4, 2), on(480 * 4 + 1440, 60), off(480, 60), on(0, 62), off(480, 62));
    const bytes = Uint8Array.from([...header(0, 1, 480), ...chunk('XFIH', [1, 2, 3]), ...known, ...chunk('JUNK', [])]);
    expect(show(await readMidi(bytes))).toBe('60:24 | 62:24 |');
    const inLarger = new Uint8Array(bytes.length + 8);
    inLarger.set(bytes, 5);
    expect(show(await readMidi(inLarger.subarray(5, 5 + bytes.length)))).toBe('60:24 | 62:24 |');
  });

  it('refuses what is no such file', async () => {
    const notes = track(on(0, 60), off(96, 60));
    const whole = file(96, notes);
    const refused = async (bytes: ArrayLike<number>, message: string) => {
      await expect(readMidi(Uint8Array.from(bytes), { source: 'a.mid' })).rejects.toThrow(`a.mid: ${message}`);
    };
    await refused([], 'expected a Standard MIDI file, which begins with MThd, got ""');
    await refused(
      Buffer.from('RIFF00000000000000'),
      'expected a Standard MIDI file, which begins with MThd, got "RIFF"',
    );
    await refused([...header(2, 1, 96), ...notes], 'expected MIDI format 0 or 1, got format 2');
    await refused([...header(0, 1, 0), ...notes], 'expected time counted in parts of a quarter note, got 0 parts');
    await refused([...header(0, 1, 0xe728), ...notes], 'expected time counted in parts of a quarter note, got frames');
    await refused(header(0, 1, 96), 'expected 1 to 65535 tracks, got 0');
    await refused(whole.subarray(0, whole.length - 3), 'expected a chunk of');
    await refused([...whole, 1, 2], 'expected a whole chunk, got 2 bytes at byte');
    await refused(new Uint8Array(5 * 2 ** 20), 'expected a MIDI file of at most 4194304 bytes');
    await refused(file(96, track([0, 60, 80])), 'expected a Standard MIDI file: ');
    await refused(
      file(96, chunk('MTrk', [0, 0x90, 60])),
      'expected a note and a velocity of 0 to 127 in track 1, got 60',
    );
    await refused(file(96, track([0x7f, 0x90, 200, 80])), 'expected a note and a velocity');
    await refused(
      file(96, track([0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x90, 60, 80])),
      'expected a time of at most four bytes',
    );
    await refused(file(96, track(meter(0, 0, 2))), 'expected a metre of 1 to 99 over 1 to 64 in track 1, got 0/4');
    await refused(
      file(1, track(on(0x0fffffff, 60), on(0x0fffffff, 62))),
      'expected at most 100000 notes and bar lines',
    );
    await refused(file(1, track(meter(0, 1, 6), on(0, 60), off(0x0fffffff, 60))), 'expected at most 100000 notes');
  });

  it('never throws anything but its own error for damaged bytes', async () => {
    const random = new Random(3);
    const bytes = await writeMidi(tuneOf('60:12 62:12 | 64:24 |', { meter: '2/4', title: 'T', tempo: '1/4=90' }));
    let read = 0;
    for (let run = 0; run < 2000; run++) {
      const damaged = bytes.slice();
      for (let count = 0; count <= random.integer(4); count++)
        damaged[random.integer(damaged.length)] = random.integer(256);
      try {
        await readMidi(damaged, { source: 'a.mid' });
        read++;
      } catch (error) {
        expect((error as Error).message).toMatch(/^a\.mid: expected /);
      }
    }
    expect(read).toBeGreaterThan(100);
  });
});

describe('writing MIDI', () => {
  it('writes bytes that are known', async () => {
    const bytes = await writeMidi(tuneOf('60:24 R:24', { meter: '6/8', key: 'Bb', mode: 'dorian', title: 'é' }), {
      program: 5,
      quartersPerMinute: 100,
      velocity: 70,
    });
    expect(bytes).toEqual(
      file(
        480,
        chunk('MTrk', [
          ...text(3, 'é'),
          ...[0, 0xff, 0x51, 3, 0x09, 0x27, 0xc0],
          ...text(1, 'key: Bb dorian'),
          ...meter(0, 6, 3),
          ...[0, 0xff, 0x59, 2, 0xfc, 1],
          ...[0, 0xc0, 5],
          ...[0, 0x90, 60, 70],
          ...[...time(480), 0x80, 60, 64],
          ...[...time(480), 0xff, 0x2f, 0],
        ]),
      ),
    );
  });

  it('reads back to the same tune, in every key and metre', async () => {
    const random = new Random(5);
    const keys = ['C', 'D', 'Eb', 'F#', 'Ab', 'B'];
    for (let run = 0; run < 300; run++) {
      const denominator = 2 ** random.integer(6);
      const full = (96 / denominator) * (2 + random.integer(7));
      const parts: string[] = [];
      let previous = -1;
      for (let bar = 0; bar < 6; bar++) {
        for (let left = full; left > 0; ) {
          const ticks = Math.min(left, 3 * (1 + random.integer(8)));
          const rest = bar + left < full && previous >= 0 && random.integer(6) === 0;
          let pitch = 40 + random.integer(40);
          if (pitch === previous) pitch++;
          parts.push(`${rest ? 'R' : pitch}:${ticks}`);
          previous = rest ? -1 : pitch;
          left -= ticks;
        }
        parts.push('|');
      }
      if (parts.at(-2)!.startsWith('R')) parts[parts.length - 2] = parts.at(-2)!.replace('R', '90');
      const tune: Tune = tuneOf(parts.join(' '), {
        meter: `${(full * denominator) / 96}/${denominator}`,
        key: keys[random.integer(keys.length)]!,
        mode: (['major', 'minor', 'dorian', 'mixolydian'] as const)[random.integer(4)]!,
        title: 'The Títle',
        type: 'jig',
        tempo: `1/4=${60 + random.integer(100)}`,
        composer: 'Ó',
      });
      expect(await readMidi(await writeMidi(tune))).toEqual(tune);
    }
  });

  it('plays repeats and ties, and keeps an upbeat', async () => {
    const tune = tuneOf('67:24 |: 60:24- 60:24 62:24 | 64:48 67:24 :|', { meter: '3/4' });
    expect(show(await readMidi(await writeMidi(tune)))).toBe(
      '67:24 | 60:48 62:24 | 64:48 67:24 | 60:48 62:24 | 64:48 67:24 |',
    );
    expect(show(await readMidi(await writeMidi(tune, { repeats: false })))).toBe('67:24 | 60:48 62:24 | 64:48 67:24 |');
  });

  it('has the tempo of the tune, 120 for words, or what is asked', async () => {
    const tempo = async (of: string | undefined, options = {}) => {
      const tune = tuneOf('60:12');
      return (await readMidi(await writeMidi(of === undefined ? tune : { ...tune, tempo: of }, options))).tempo;
    };
    expect([await tempo('3/8=100'), await tempo('slow'), await tempo(undefined), await tempo('1/8=90')]).toEqual([
      '1/4=150',
      '1/4=120',
      '1/4=120',
      '1/4=45',
    ]);
    expect(await tempo('1/4=90', { quartersPerMinute: 66.5 })).toBe('1/4=66.5');
  });

  it('refuses options out of range', async () => {
    const tune = tuneOf('60:12');
    await expect(writeMidi(tune, { program: 128 })).rejects.toThrow(
      'program: expected an integer in 0 to 127, got 128',
    );
    await expect(writeMidi(tune, { velocity: 0 })).rejects.toThrow('velocity: expected an integer in 1 to 127, got 0');
    await expect(writeMidi(tune, { quartersPerMinute: Number.NaN })).rejects.toThrow(
      'quartersPerMinute: expected a number in 4',
    );
    await expect(writeMidi(tuneOf('128:12'))).rejects.toThrow(
      'tune.elements[0].pitch: expected an integer in 0 to 127',
    );
    await expect(writeMidi({ ...tune, key: 'X' })).rejects.toThrow('key: expected a tonic');
  });
});
