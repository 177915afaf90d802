import { ValueError } from '../../../errors.ts';
import type { Report } from '../../../evaluation/types.ts';
import { fullMeasures, measuresOf } from '../../../tasks/tunes/bars.ts';
import { commonKeyShift, tonicFifths } from '../../../tasks/tunes/keys.ts';
import { barTicks, beatTicks, parseMeter } from '../../../tasks/tunes/meter.ts';
import { askedFor } from '../../../tasks/tunes/prompt.ts';
import { BAR_LINES, type Bar, type Note } from '../../../tasks/tunes/tune.ts';
import { samplesByPoint } from '../gallery.ts';
import { type MelodyToken, packMelodies } from './packing.ts';

/** The content of `samples.json`: every generator's tunes for some of the held-out prompts. */
export interface TuneSamples {
  /** `text` as the model read it; `meter` as '6/8', '' for none. */
  prompts: { text: string; meter: string }[];
  /** By point name: [prompt][sample]. */
  models: Record<string, TuneSample[][]>;
}

export interface TuneSample {
  /** As it sounds: in the key that its prompt asks for. */
  elements: readonly (Note | Bar)[];
  /** How well it follows its prompt, such as a cosine; shown as "–" when not finite. */
  quality: number;
  valid: boolean;
  /** Its place in the map of its prompt's generations, which all generators share. */
  map: readonly [x: number, y: number];
}

/** A prompt as the page wants it. */
export interface PackedPrompt {
  text: string;
  meter: string;
  /** Ticks of a bar; null without bars. */
  bar: number | null;
  /** Ticks of a beat. */
  beat: number;
  /** Pitch classes, 0 for C, of the tonic and of the scale asked for; null where none is. */
  tonic: number | null;
  scale: number[] | null;
}

/** One generator's tunes for one prompt, packed; arrays are by sample. */
export interface PackedTunes {
  melodies: string[];
  quality: (number | null)[];
  /** '1' for a valid one, else '0'. */
  valid: string;
  /** x and y in turn. */
  map: number[];
  /** Indices of the measures that are not full. */
  uneven: number[][];
}

export interface PackedSamples {
  prompts: PackedPrompt[];
  /** What each character of a melody stands for. */
  tokens: [character: string, token: MelodyToken][];
  /** [point][prompt]; null for a point without samples. */
  tunes: (PackedTunes[] | null)[];
}

/** Ticks of a quarter, the beat where no metre says another. */
const QUARTER = 24;
const MAJOR = [0, 2, 4, 5, 7, 9, 11];

/**
 * Every point's tunes, packed.
 *
 * @throws ValueError when samples are named after no point, a metre or an element is none, or a place is not finite
 * @throws ShapeError when a point's samples are not one list per prompt
 */
export function packTunes(report: Report, samples: TuneSamples): PackedSamples {
  const prompts = samples.prompts.map(packPrompt);
  const found = samplesByPoint(report, samples.models, prompts.length);
  const melodies = found.flatMap((point) =>
    (point?.perPrompt ?? []).flatMap((drawn, prompt) =>
      drawn.map(({ elements }, sample) => {
        checkElements(elements, `${point!.argument}[${prompt}][${sample}]`);
        return elements;
      }),
    ),
  );
  const packed = packMelodies(melodies);
  let next = 0;
  const tunes = found.map((point) => {
    if (point === null) return null;
    return point.perPrompt.map((drawn, prompt): PackedTunes => {
      const { meter } = prompts[prompt]!;
      return {
        melodies: drawn.map(() => packed.melodies[next++]!),
        quality: drawn.map(({ quality }) => (Number.isFinite(quality) ? rounded(quality) : null)),
        valid: drawn.map(({ valid }) => (valid ? '1' : '0')).join(''),
        map: drawn.flatMap(({ map }, sample) => checkedPlace(map, `${point.argument}[${prompt}][${sample}]`)),
        uneven: drawn.map(({ elements }) =>
          (fullMeasures(measuresOf(elements), meter) ?? []).flatMap((full, index) => (full ? [] : [index])),
        ),
      };
    });
  });
  return { prompts, tokens: packed.tokens, tunes };
}

function packPrompt({ text, meter }: TuneSamples['prompts'][number], index: number): PackedPrompt {
  parseMeter(meter, `samples.prompts[${index}].meter`);
  const { key, mode } = askedFor(text);
  const scaled = key !== undefined && mode !== undefined;
  return {
    text,
    meter,
    bar: barTicks(meter),
    beat: beatTicks(meter) ?? QUARTER,
    tonic: scaled ? (((tonicFifths(key) * 7) % 12) + 12) % 12 : null,
    scale: scaled ? MAJOR.map((pitch) => (pitch - commonKeyShift(key, mode) + 24) % 12).sort((a, b) => a - b) : null,
  };
}

/** To what can be seen of it. */
function rounded(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}

function checkedPlace(map: TuneSample['map'], argument: string): number[] {
  if (map.length !== 2 || !map.every(Number.isFinite)) {
    throw new ValueError(`${argument}.map: expected two finite numbers, got ${JSON.stringify(map)}`, argument);
  }
  return map.map(rounded);
}

function checkElements(elements: readonly (Note | Bar)[], argument: string): void {
  elements.forEach((element, index) => {
    const name = `${argument}.elements[${index}]`;
    const refuse = (expected: string) => {
      throw new ValueError(`${name}: expected ${expected}, got ${JSON.stringify(element)}`, name);
    };
    if (element.kind === 'bar') {
      if (!BAR_LINES.includes(element.line)) refuse(`a bar line of ${BAR_LINES.join(' ')}`);
    } else if (element.kind === 'note') {
      const { pitch, ticks } = element;
      if (pitch !== null && !(Number.isInteger(pitch) && pitch >= 0 && pitch <= 127)) refuse('a pitch from 0 to 127');
      if (!(Number.isInteger(ticks) && ticks >= 1)) refuse('a whole number of ticks');
    } else refuse('a note or a bar');
  });
}
