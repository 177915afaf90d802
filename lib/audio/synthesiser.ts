import { ValueError } from '../errors.ts';
import { hostArray } from '../host-arrays.ts';
import { checkRange, checkSampleRate } from './checks.ts';
import type { SoundingNote } from './performance.ts';
import { TONES, type Tone, type ToneName } from './tones.ts';

/** The sample rate that the audio embedder hears, in hertz. */
export const EMBEDDER_SAMPLE_RATE = 16_000;
/** The sample rate of a compact disc, for what people listen to, in hertz. */
export const LISTENING_SAMPLE_RATE = 44_100;

export interface SynthesiserOptions {
  /** In hertz. Default 16,000. */
  readonly sampleRate?: number;
  /** Default 'pluck'. */
  readonly tone?: ToneName | Tone;
  /** The frequency of pitch 69 in hertz. Default 440. */
  readonly tuning?: number;
  /** The largest absolute sample of the result, in (0, 1]. Default 0.9. */
  readonly peak?: number;
}

/**
 * Sounds notes with the built-in additive synthesiser. A note is a sum of partials
 * Σ_h a_h · exp(−t/τ_h) · sin(2π·r_h·f·t) with f = tuning · 2^((pitch − 69)/12), of which only those below half the
 * sample rate are sounded, so that nothing is aliased; it rises and falls along half periods of a cosine, so that nothing
 * clicks. The same notes and options give the same samples.
 *
 * @param notes in any order; they may overlap
 * @returns one channel of samples in [−peak, peak], from time 0 to where the last note has faded; empty for no notes
 * @throws ValueError naming a note or an option that is outside its domain, OutOfMemoryError for a performance too long
 */
export function synthesise(
  notes: readonly SoundingNote[],
  { sampleRate = EMBEDDER_SAMPLE_RATE, tone = 'pluck', tuning = 440, peak = 0.9 }: SynthesiserOptions = {},
): Float32Array<ArrayBuffer> {
  checkSampleRate('sampleRate', sampleRate);
  checkRange('tuning', tuning, 1, sampleRate / 2);
  checkRange('peak', peak, Number.MIN_VALUE, 1);
  const sound = typeof tone === 'string' ? TONES[tone] : tone;
  if (sound === undefined) {
    throw new ValueError(`tone: expected ${Object.keys(TONES).join(' or ')}, got ${JSON.stringify(tone)}`, 'tone');
  }

  let end = 0;
  for (const [index, note] of notes.entries()) {
    checkNote(`notes[${index}]`, note);
    end = Math.max(end, note.start + note.seconds + sound.release);
  }
  const samples = hostArray('float32', Math.ceil(end * sampleRate), `${end.toFixed(0)} seconds of sound`);
  for (const note of notes) addNote(samples, note, sound, tuning, sampleRate);
  normalisePeak(samples, peak);
  return samples;
}

/** Scales samples, in place, so that the largest absolute one is `peak`; silence stays. */
export function normalisePeak(samples: Float32Array, peak: number): void {
  let largest = 0;
  for (let at = 0; at < samples.length; at++) largest = Math.max(largest, Math.abs(samples[at]!));
  if (largest === 0) return;
  const gain = peak / largest;
  for (let at = 0; at < samples.length; at++) samples[at]! *= gain;
}

/** Throws ValueError unless a note can be sounded. */
export function checkNote(name: string, { pitch, start, seconds, loudness = 1 }: SoundingNote): void {
  checkRange(`${name}.pitch`, pitch, 0, 127);
  checkRange(`${name}.start`, start, 0, 1e6);
  checkRange(`${name}.seconds`, seconds, 1e-6, 1e6);
  checkRange(`${name}.loudness`, loudness, Number.MIN_VALUE, 1);
}

function addNote(samples: Float32Array, note: SoundingNote, tone: Tone, tuning: number, sampleRate: number): void {
  const frequency = tuning * 2 ** ((note.pitch - 69) / 12);
  const begin = Math.ceil(note.start * sampleRate);
  const end = Math.min(samples.length, Math.ceil((note.start + note.seconds + tone.release) * sampleRate));
  const length = end - begin;
  const sum = new Float64Array(length);
  // Notes begin between two samples too; the sine is taken there.
  const first = begin / sampleRate - note.start;
  for (const { ratio, amplitude, decay } of tone.partials(frequency)) {
    const partial = frequency * ratio;
    if (partial < sampleRate / 2) addPartial(sum, amplitude, 1 / decay, 2 * Math.PI * partial, first, sampleRate);
  }
  shape(sum, note.seconds, tone, first, sampleRate);
  const loudness = note.loudness ?? 1;
  for (let at = 0; at < length; at++) samples[begin + at]! += loudness * sum[at]!;
}

/** Adds amplitude · exp(−damping·t) · sin(angular·t) at t = first, first + 1/sampleRate, …: one complex product a sample. */
function addPartial(
  sum: Float64Array,
  amplitude: number,
  damping: number,
  angular: number,
  first: number,
  sampleRate: number,
): void {
  const factor = Math.exp(-damping / sampleRate);
  const stepReal = factor * Math.cos(angular / sampleRate);
  const stepImaginary = factor * Math.sin(angular / sampleRate);
  const size = amplitude * Math.exp(-damping * first);
  let real = size * Math.cos(angular * first);
  let imaginary = size * Math.sin(angular * first);
  for (let at = 0; at < sum.length; at++) {
    sum[at]! += imaginary;
    const next = real * stepReal - imaginary * stepImaginary;
    imaginary = real * stepImaginary + imaginary * stepReal;
    real = next;
  }
}

/** Lets a note rise and fall, in place. */
function shape(sum: Float64Array, held: number, tone: Tone, first: number, sampleRate: number): void {
  const length = sum.length;
  const rising = tone.attack > 0 ? Math.min(length, Math.ceil(tone.attack * sampleRate)) : 0;
  for (let at = 0; at < rising; at++) sum[at]! *= halfCosine((first + at / sampleRate) / tone.attack);
  if (!(tone.release > 0)) return;
  for (let at = Math.max(0, Math.floor((held - first) * sampleRate)); at < length; at++) {
    sum[at]! *= halfCosine(1 - (first + at / sampleRate - held) / tone.release);
  }
}

/** From 0 at 0 to 1 at 1, level at both, and constant outside. */
function halfCosine(x: number): number {
  if (x <= 0) return 0;
  return x >= 1 ? 1 : 0.5 - 0.5 * Math.cos(Math.PI * x);
}
