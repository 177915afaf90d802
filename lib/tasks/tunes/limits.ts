/** The notes and bar lines of one tune, read or unrolled. */
export const MOST_ELEMENTS = 100_000;

/** The ticks of one note: 64 whole notes. */
export const MOST_TICKS = 64 * 96;

/** The highest pitch that MIDI counts. */
export const HIGHEST_PITCH = 127;
