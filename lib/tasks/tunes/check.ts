import { ValueError } from '../../errors.ts';
import { HIGHEST_PITCH, MOST_TICKS } from './limits.ts';
import type { Note } from './tune.ts';

/**
 * Checks a note that is to be written.
 *
 * @param index where it stands in its tune's elements
 * @throws ValueError when its pitch or its duration is none
 */
export function checkNote(note: Note, index: number): void {
  const { pitch, ticks } = note;
  if (!Number.isInteger(ticks) || ticks < 1 || ticks > MOST_TICKS) {
    throw new ValueError(
      `tune.elements[${index}].ticks: expected an integer in 1 to ${MOST_TICKS}, got ${ticks}`,
      'tune',
    );
  }
  if (pitch !== null && !(Number.isInteger(pitch) && pitch >= 0 && pitch <= HIGHEST_PITCH)) {
    throw new ValueError(
      `tune.elements[${index}].pitch: expected an integer in 0 to ${HIGHEST_PITCH} or null, got ${pitch}`,
      'tune',
    );
  }
}
