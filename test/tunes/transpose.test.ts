import { describe, expect, it } from 'vitest';
import { commonKeyShift, signatureOf, spell, transposeKey } from '../../lib/tasks/tunes/keys.ts';
import { fromCommonKey, toCommonKey, transpose } from '../../lib/tasks/tunes/transpose.ts';
import { MODES, type Mode } from '../../lib/tasks/tunes/tune.ts';
import { show, tuneOf } from './scene.ts';

const KEYS = ['C', 'D', 'E', 'F', 'G', 'A', 'B'].flatMap((letter) => [letter, `${letter}b`, `${letter}#`]);
const SEMITONES: Record<string, number> = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 };
const STEPS: Record<Mode, string> = {
  major: '2212221',
  minor: '2122122',
  dorian: '2122212',
  phrygian: '1222122',
  lydian: '2221221',
  mixolydian: '2212212',
  locrian: '1221222',
};
const tonic = (key: string) => SEMITONES[key[0]!]! + (key[1] === '#' ? 1 : key[1] === 'b' ? -1 : 0);
/** The pitch classes of a scale, by its steps. */
function scale(key: string, mode: Mode): Set<number> {
  const pitches = new Set<number>();
  let at = tonic(key) + 12;
  for (const step of STEPS[mode]) {
    pitches.add(at % 12);
    at += Number(step);
  }
  return pitches;
}

describe('keys', () => {
  it('have the signatures that every musician knows', () => {
    const known = {
      'C major': 0,
      'G major': 1,
      'F major': -1,
      'A minor': 0,
      'E minor': 1,
      'D dorian': 0,
      'B locrian': 0,
    };
    for (const [name, signature] of Object.entries(known)) {
      const [key, mode] = name.split(' ') as [string, Mode];
      expect(signatureOf(key, mode)).toBe(signature);
    }
    expect(signatureOf('Cb', 'major')).toBe(-7);
    expect(() => signatureOf('C', 'ionian' as Mode)).toThrow('mode: expected one of');
  });

  it('come to the white keys by the nearer octave', () => {
    const white = scale('C', 'major');
    for (const key of KEYS) {
      for (const mode of MODES) {
        const shift = commonKeyShift(key, mode);
        expect(shift).toBeGreaterThanOrEqual(-6);
        expect(shift).toBeLessThanOrEqual(5);
        expect(new Set([...scale(key, mode)].map((pitch) => (pitch + shift + 12) % 12))).toEqual(white);
      }
    }
    expect([commonKeyShift('G', 'major'), commonKeyShift('F', 'major'), commonKeyShift('F#', 'major')]).toEqual([
      5, -5, -6,
    ]);
  });

  it('keep their scale when moved, with six sharps or flats at most', () => {
    for (const key of KEYS) {
      for (const mode of MODES) {
        for (let semitones = -13; semitones <= 13; semitones++) {
          const moved = transposeKey(key, mode, semitones);
          expect((tonic(moved) - tonic(key) - semitones) % 12 === 0).toBe(true);
          if (semitones % 12 !== 0) expect(Math.abs(signatureOf(moved, mode))).toBeLessThanOrEqual(6);
        }
      }
    }
    expect([transposeKey('C', 'major', 1), transposeKey('C', 'major', 6), transposeKey('C#', 'major', 12)]).toEqual([
      'Db',
      'F#',
      'C#',
    ]);
  });

  it('spell every pitch class once, as itself', () => {
    for (let signature = -12; signature <= 12; signature++) {
      for (let pitch = 0; pitch < 12; pitch++) {
        const { letter, alteration } = spell(pitch, signature);
        expect((SEMITONES[letter]! + alteration + 24) % 12).toBe(pitch);
      }
    }
    const inC = [1, 3, 6, 8, 10].map((pitch) => spell(pitch, 0)).map(({ letter, alteration }) => letter + alteration);
    expect(inC).toEqual(['C1', 'E-1', 'F1', 'G1', 'B-1']);
  });
});

describe('tunes', () => {
  const tune = tuneOf('62:12- 62:12 | R:12 66:12', { key: 'D' });

  it('are moved with their key', () => {
    const up = transpose(tune, 3);
    expect([up.key, show(up)]).toEqual(['F', '65:12- 65:12 | R:12 69:12']);
    expect(transpose(up, -3)).toEqual(tune);
    expect(() => transpose(tune, 0.5)).toThrow('semitones: expected an integer, got 0.5');
    expect(() => transpose(tune, 62)).toThrow(
      'semitones: expected pitches to stay in 0 to 127, got 128 at elements[4]',
    );
  });

  it('go to the common key and back', () => {
    for (const key of KEYS) {
      for (const mode of MODES) {
        const there = toCommonKey({ ...tune, key, mode });
        expect(signatureOf(there.key, mode)).toBe(0);
        expect(fromCommonKey(there, key)).toEqual({ ...tune, key, mode });
      }
    }
    expect(() => fromCommonKey(tune, 'G')).toThrow('tune: expected the key C major, got D major');
  });
});
