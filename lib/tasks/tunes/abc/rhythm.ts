import { isCompound, parseMeter } from '../meter.ts';
import { AbcFault, type Place } from './fault.ts';
import { type Fraction, fraction, ONE, times } from './fraction.ts';
import type { DraftNote } from './notes.ts';

/** The most notes that one tuplet sign may put in the time of others, and that it may cover. */
const MOST_IN_TUPLET = 99;

const TUPLET = /\((\d+)(?::(\d*))?(?::(\d*))?/y;
const BROKEN = /[<>]+/y;

/** Tuplets and broken rhythm: what changes a note's length besides the length written at it. */
export class Rhythm {
  private tuplet: { factor: Fraction; left: number } | null = null;
  private pending: { factor: Fraction; place: Place } | null = null;

  /**
   * Reads `(p`, `(p:q`, `(p:q:r` at `from`: p notes in the time of q for the next r notes. Without q it is 2 for 3, 6
   * and, outside of compound metres, for 5, 7 and 9; 3 for 2, 4, 8 and, in compound metres, for 5, 7 and 9. Without r
   * it is p.
   *
   * @returns where the sign ends, or null when there is none
   */
  readTuplet(text: string, from: number, meter: string, place: Place): number | null {
    TUPLET.lastIndex = from;
    const match = TUPLET.exec(text);
    if (!match) return null;
    const parsed = parseMeter(meter);
    const p = Number(match[1]);
    const q = match[2] ? Number(match[2]) : usualTime(p, parsed !== null && isCompound(parsed));
    const r = match[3] ? Number(match[3]) : p;
    if (q === undefined || [p, q, r].some((value) => value < 1 || value > MOST_IN_TUPLET)) {
      const got = JSON.stringify(match[0].slice(0, 24));
      throw new AbcFault(
        place,
        `expected a tuplet (p:q:r of 1 to ${MOST_IN_TUPLET}, q left out for p from 2 to 9, got ${got}`,
      );
    }
    if (this.tuplet) {
      throw new AbcFault(place, `expected ${this.tuplet.left} more notes of the tuplet before another begins`);
    }
    this.tuplet = { factor: fraction(q, p), left: r };
    return from + match[0].length;
  }

  /**
   * Reads `>` or `<`, single, doubled or tripled, at `from`: the longer note takes from the shorter one.
   *
   * @param before the note before the sign
   * @returns where the sign ends, or null when there is none
   */
  readBroken(text: string, from: number, before: DraftNote | null, place: Place): number | null {
    BROKEN.lastIndex = from;
    const signs = BROKEN.exec(text)?.[0];
    if (signs === undefined) return null;
    if (!/^(>{1,3}|<{1,3})$/.test(signs)) {
      throw new AbcFault(place, `expected one to three of > or <, got ${JSON.stringify(signs.slice(0, 24))}`);
    }
    if (!before || this.pending) {
      throw new AbcFault(place, `expected a note before ${signs}`);
    }
    const power = 2 ** signs.length;
    const longer = fraction(2 * power - 1, power);
    const shorter = fraction(1, power);
    before.length = times(before.length, signs[0] === '>' ? longer : shorter);
    this.pending = { factor: signs[0] === '>' ? shorter : longer, place };
    return from + signs.length;
  }

  /** What the next note's length is multiplied by. */
  nextFactor(): Fraction {
    let factor = this.pending?.factor ?? ONE;
    this.pending = null;
    if (this.tuplet) {
      factor = times(factor, this.tuplet.factor);
      if (--this.tuplet.left === 0) this.tuplet = null;
    }
    return factor;
  }

  /** @throws AbcFault when broken rhythm waits for a note; a tuplet may end short */
  finish(): void {
    if (this.pending) throw new AbcFault(this.pending.place, 'expected a note after broken rhythm, got the end');
  }
}

function usualTime(p: number, compound: boolean): number | undefined {
  if (p === 3 || p === 6) return 2;
  if (p === 2 || p === 4 || p === 8) return 3;
  return p === 5 || p === 7 || p === 9 ? (compound ? 3 : 2) : undefined;
}
