import { ValueError } from '../../errors.ts';
import { commonKeyShift, tonicUnder, transposeKey } from './keys.ts';
import { HIGHEST_PITCH } from './limits.ts';
import type { Bar, Note, Tune } from './tune.ts';

/** @throws ValueError when a pitch would leave 0 to 127 */
export function shiftPitches(elements: readonly (Note | Bar)[], semitones: number): (Note | Bar)[] {
  return elements.map((element, index) => {
    if (element.kind === 'bar' || element.pitch === null) return element;
    const pitch = element.pitch + semitones;
    if (pitch < 0 || pitch > HIGHEST_PITCH) {
      throw new ValueError(
        `semitones: expected pitches to stay in 0 to ${HIGHEST_PITCH}, got ${pitch} at elements[${index}]`,
        'semitones',
      );
    }
    return { ...element, pitch };
  });
}

function checkSemitones(semitones: number): void {
  if (!Number.isInteger(semitones)) {
    throw new ValueError(`semitones: expected an integer, got ${semitones}`, 'semitones');
  }
}

/**
 * The tune moved by semitones, with its key named anew: the spelling of the fewest sharps or flats, six sharps before
 * six flats; whole octaves leave the name as it is.
 *
 * @throws ValueError when `semitones` is no integer, or a pitch would leave 0 to 127
 */
export function transpose(tune: Tune, semitones: number): Tune {
  checkSemitones(semitones);
  const key = transposeKey(tune.key, tune.mode, semitones);
  return { ...tune, key, elements: shiftPitches(tune.elements, semitones) };
}

/**
 * The tune in the key of its mode that has an empty signature: C major, A minor, D dorian, E phrygian, F lydian,
 * G mixolydian, B locrian; moved to the nearer octave, by {@link commonKeyShift}'s −6 to 5 semitones.
 * {@link fromCommonKey} with the former key undoes it exactly.
 *
 * @throws ValueError when a pitch would leave 0 to 127
 */
export function toCommonKey(tune: Tune): Tune {
  const elements = shiftPitches(tune.elements, commonKeyShift(tune.key, tune.mode));
  return { ...tune, key: tonicUnder(0, tune.mode), elements };
}

/**
 * A tune in its mode's common key, moved to `key` by what {@link toCommonKey} would take back.
 *
 * @param key the tonic, as 'Bb'
 * @throws ValueError when the tune is in another key, `key` is none, or a pitch would leave 0 to 127
 */
export function fromCommonKey(tune: Tune, key: string): Tune {
  const common = tonicUnder(0, tune.mode);
  if (tune.key !== common) {
    throw new ValueError(`tune: expected the key ${common} ${tune.mode}, got ${tune.key} ${tune.mode}`, 'tune');
  }
  return { ...tune, key, elements: shiftPitches(tune.elements, -commonKeyShift(key, tune.mode)) };
}
