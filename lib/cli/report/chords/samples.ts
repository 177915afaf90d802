import { ValueError } from '../../../errors.ts';
import type { Report } from '../../../evaluation/types.ts';
import { samplesByPoint } from '../gallery.ts';

/** What a chord was asked for. */
export interface ChordPrompt {
  instrument: string;
  key: string;
  suffix: string;
}

/** The content of `samples.json`: every generator's voicings for every held-out prompt. */
export interface ChordSamples {
  prompts: ChordPrompt[];
  /** By point name: [prompt][sample][string] = absolute fret, −1 muted, −2 a string that cannot be played. */
  models: Record<string, number[][][]>;
}

/** Whether a voicing is a valid answer to its prompt. */
export type ChordJudge = (prompt: ChordPrompt, frets: readonly number[]) => boolean;

/** Highest fret that {@link packVoicing} can write: the next base-36 digit is the letter of a muted string. */
const HIGHEST_FRET = 32;

/**
 * A voicing as one short word: `+` when valid and `-` when not, then a character per string: `x` muted, `?` impossible,
 * otherwise the fret as a base-36 digit.
 */
export function packVoicing(frets: readonly number[], valid: boolean): string {
  return (valid ? '+' : '-') + frets.map(packFret).join('');
}

function packFret(fret: number): string {
  if (fret === -1) return 'x';
  return fret === -2 ? '?' : fret.toString(36);
}

/**
 * Every point's voicings, packed: [point][prompt] is the prompt's words (see {@link packVoicing}) joined by spaces; null
 * for a point without samples.
 *
 * @throws ValueError when samples are named after no point, or a fret is no integer from −2 to 32
 * @throws ShapeError when a point's samples are not one list per prompt
 */
export function packSamples(report: Report, samples: ChordSamples, isValid: ChordJudge): (string[] | null)[] {
  return samplesByPoint(report, samples.models, samples.prompts.length).map((found) => {
    if (found === null) return null;
    return found.perPrompt.map((drawn, index) => {
      const prompt = samples.prompts[index]!;
      return drawn
        .map((frets, sample) => {
          checkFrets(frets, `${found.argument}[${index}][${sample}]`);
          return packVoicing(frets, isValid(prompt, frets));
        })
        .join(' ');
    });
  });
}

function checkFrets(frets: readonly number[], argument: string): void {
  const wrong = frets.find((fret) => !Number.isInteger(fret) || fret < -2 || fret > HIGHEST_FRET);
  if (wrong !== undefined) {
    throw new ValueError(`${argument}: expected frets from -2 to ${HIGHEST_FRET}, got ${wrong}`, argument);
  }
}
