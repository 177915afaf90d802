/** One partial of a tone: a sine of `ratio` times the note's frequency. */
export interface TonePartial {
  readonly ratio: number;
  /** Relative to the tone's other partials. */
  readonly amplitude: number;
  /** Seconds in which it falls to 1/e while the note is held; Infinity for one that does not fall. */
  readonly decay: number;
}

export interface Tone {
  /** In seconds, of the rise of every note: half a period of a cosine. */
  readonly attack: number;
  /** In seconds, of the fall after the note's end. */
  readonly release: number;
  /** The partials of a note of this frequency, in hertz. */
  partials(frequency: number): readonly TonePartial[];
}

const PARTIALS = 12;
/** Where along a string it is plucked, as a fraction of its length. */
const PLUCKED_AT = 0.23;

/**
 * A plucked string: an ideal string's partials have amplitudes sin(πhp) / h² for a pluck at p of its length; 1.4 instead
 * of 2 is brighter, as a plectrum is. High notes and high partials die sooner.
 */
const pluck: Tone = {
  attack: 0.004,
  release: 0.06,
  partials: (frequency) =>
    Array.from({ length: PARTIALS }, (_, index) => {
      const ratio = index + 1;
      return {
        ratio,
        amplitude: Math.sin(Math.PI * ratio * PLUCKED_AT) / ratio ** 1.4,
        decay: (1.1 * Math.sqrt(220 / frequency)) / (1 + 0.3 * index),
      };
    }),
};

/** A reed or a small organ: a steady sound, in which the odd partials are the louder ones. */
const reed: Tone = {
  attack: 0.025,
  release: 0.05,
  partials: () =>
    Array.from({ length: PARTIALS }, (_, index) => {
      const ratio = index + 1;
      return { ratio, amplitude: (ratio % 2 === 1 ? 1 : 0.4) / ratio ** 1.3, decay: Number.POSITIVE_INFINITY };
    }),
};

/** The tones that are built in. */
export const TONES = { pluck, reed } as const;
export type ToneName = keyof typeof TONES;
