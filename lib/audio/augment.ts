import { ValueError } from '../errors.ts';
import { Random } from '../random.ts';
import { checkRange, checkWaveform } from './checks.ts';
import type { SoundingNote } from './performance.ts';
import { changeTempo, shiftPitch, type VocoderOptions } from './phase-vocoder.ts';

/** How one hearing of a piece differs from the piece. */
export interface Augmentation {
  /** In semitones, upwards. */
  readonly semitones: number;
  /** 2 is twice as fast. */
  readonly speed: number;
  /** Signal to noise in decibels; null for no noise. */
  readonly decibels: number | null;
  /** Of the noise. */
  readonly seed: number;
}

/** What augmentations are drawn from: [low, high], each drawn uniformly (speeds uniformly in their logarithm). */
export interface AugmentationRanges {
  /** Default [−2, 2]. */
  readonly semitones?: readonly [number, number];
  /** Default [0.9, 1.1]. */
  readonly speed?: readonly [number, number];
  /** Default [10, 40]; null for no noise. */
  readonly decibels?: readonly [number, number] | null;
  /** Whether to draw whole semitones only. Default false. */
  readonly wholeSemitones?: boolean;
}

/** An augmentation drawn from ranges. Throws ValueError for a range that is empty or outside what can be done. */
export function drawAugmentation(random: Random, ranges: AugmentationRanges = {}): Augmentation {
  const { semitones = [-2, 2], speed = [0.9, 1.1], decibels = [10, 40], wholeSemitones = false } = ranges;
  checkInterval('semitones', semitones, -24, 24);
  checkInterval('speed', speed, 0.25, 4);
  if (decibels) checkInterval('decibels', decibels, -100, 200);
  // All is drawn whatever is used, so that turning one thing off changes no other.
  const [first, second, third, seed] = [random.uniform(), random.uniform(), random.uniform(), random.word()];
  const within = ([low, high]: readonly [number, number], at: number) => low + at * (high - low);
  return {
    semitones: wholeSemitones ? wholeWithin(semitones, first) : within(semitones, first),
    speed: Math.exp(within([Math.log(speed[0]), Math.log(speed[1])], second)),
    decibels: decibels && within(decibels, third),
    seed,
  };
}

function checkInterval(name: string, [from, to]: readonly [number, number], low: number, high: number): void {
  checkRange(`${name}[0]`, from, low, high);
  checkRange(`${name}[1]`, to, from, high);
}

function wholeWithin([low, high]: readonly [number, number], at: number): number {
  const [first, last] = [Math.ceil(low), Math.floor(high)];
  if (first > last) {
    throw new ValueError(`semitones: expected a range with a whole semitone in it, got [${low}, ${high}]`, 'semitones');
  }
  return first + Math.floor(at * (last - first + 1));
}

/**
 * A waveform with an augmentation: first its pitch, then its tempo (both by a phase vocoder), then noise.
 *
 * @returns round(length / speed) samples, which may lie outside [−1, 1]
 * @throws as `shiftPitch`, `changeTempo` and `addNoise`
 */
export function augmentWaveform(
  waveform: Float32Array,
  { semitones, speed, decibels, seed }: Augmentation,
  options: VocoderOptions = {},
): Float32Array<ArrayBuffer> {
  const changed = changeTempo(shiftPitch(waveform, semitones, options), speed, options);
  return decibels === null ? changed : addNoise(changed, { decibels, seed });
}

/**
 * Notes with an augmentation's pitch and tempo, exactly; its noise is for the waveform ({@link addNoise}).
 *
 * @throws ValueError for a note that leaves MIDI's range
 */
export function augmentNotes(
  notes: readonly SoundingNote[],
  { semitones, speed }: Pick<Augmentation, 'semitones' | 'speed'>,
): SoundingNote[] {
  checkRange('speed', speed, 0.25, 4);
  checkRange('semitones', semitones, -24, 24);
  return notes.map((note, index) => {
    const pitch = note.pitch + semitones;
    checkRange(`notes[${index}].pitch`, pitch, 0, 127);
    return { ...note, pitch, start: note.start / speed, seconds: note.seconds / speed };
  });
}

/**
 * A waveform with white Gaussian noise, scaled so that 10 · log10(Σ signal² / Σ noise²) is `decibels` exactly. Silence
 * stays silence.
 *
 * @throws ValueError for decibels or samples that are not finite, DTypeError for what is no Float32Array
 */
export function addNoise(
  waveform: Float32Array,
  { decibels, seed }: { readonly decibels: number; readonly seed: number },
): Float32Array<ArrayBuffer> {
  checkRange('decibels', decibels, -100, 200);
  checkWaveform('waveform', waveform);
  const random = new Random(seed);
  const noise = new Float64Array(waveform.length);
  let signalEnergy = 0;
  let noiseEnergy = 0;
  for (let at = 0; at < noise.length; at += 2) {
    // Box and Muller's two from two uniform numbers, the first of which is in (0, 1].
    const radius = Math.sqrt(-2 * Math.log((random.word() + 1) / 2 ** 32));
    const angle = (2 * Math.PI * random.word()) / 2 ** 32;
    noise[at] = radius * Math.cos(angle);
    if (at + 1 < noise.length) noise[at + 1] = radius * Math.sin(angle);
  }
  for (let at = 0; at < noise.length; at++) {
    signalEnergy += waveform[at]! ** 2;
    noiseEnergy += noise[at]! ** 2;
  }
  const gain = noiseEnergy === 0 ? 0 : Math.sqrt(signalEnergy / noiseEnergy / 10 ** (decibels / 10));
  const out = new Float32Array(waveform.length);
  for (let at = 0; at < out.length; at++) out[at] = waveform[at]! + gain * noise[at]!;
  return out;
}
